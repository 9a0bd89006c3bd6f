from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import DigestInvalid
from adapter.names import digest_of
from adapter.transfer.holdback import HeldBack, SizedHeldBack

BLOCKS = [b"one", b"two", b"three"]
DIGEST = digest_of(b"onetwothree")


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=6))
def test_everything_arrives_when_it_is_right(blocks: list[bytes]) -> None:
    held = HeldBack(blocks, digest_of(b"".join(blocks)))
    assert list(held) == blocks
    assert held.complete


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_both_algorithms(algorithm: str) -> None:
    assert list(HeldBack(BLOCKS, digest_of(b"onetwothree", algorithm))) == BLOCKS
    with pytest.raises(DigestInvalid):
        list(HeldBack(BLOCKS, digest_of(b"other", algorithm)))


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=6))
def test_the_last_block_is_kept_when_it_is_wrong(blocks: list[bytes]) -> None:
    held = HeldBack(blocks, digest_of(b"other"))
    assert taken(held) == blocks[:-1]
    assert not held.complete


def taken(held: HeldBack) -> list[bytes]:
    """What was handed over before it broke."""
    sent: list[bytes] = []
    with contextlib.suppress(DigestInvalid, EOFError):
        sent.extend(held)
    return sent


def test_the_last_block_is_kept_when_the_body_breaks() -> None:
    def broken() -> Iterator[bytes]:
        yield from BLOCKS
        raise EOFError

    assert taken(HeldBack(broken(), None)) == BLOCKS[:-1]


def test_the_last_block_waits_until_all_was_read() -> None:
    read: list[bytes] = []

    def blocks() -> Iterator[bytes]:
        for block in BLOCKS:
            read.append(block)
            yield block

    held = iter(HeldBack(blocks(), DIGEST))
    assert next(held) == b"one"
    assert read == [b"one", b"two"]


def test_complete_means_that_the_last_block_was_taken() -> None:
    held = HeldBack(BLOCKS, DIGEST)
    blocks = iter(held)
    assert [next(blocks), next(blocks), next(blocks)] == BLOCKS
    assert not held.complete
    assert list(blocks) == []
    assert held.complete


def test_never_twice() -> None:
    held = HeldBack(BLOCKS, None)
    list(held)
    with pytest.raises(RuntimeError):
        list(held)


def test_size() -> None:
    assert len(SizedHeldBack(BLOCKS, None, 11)) == 11
