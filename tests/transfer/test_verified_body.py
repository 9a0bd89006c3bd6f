from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import DigestInvalid
from adapter.references import digest_of
from adapter.transfer.request_body import BUFFERS
from adapter.transfer.verified_body import Block, SizedVerifiedBody, VerifiedBody, collected

BLOCKS = [b"one", b"two", b"three"]
DIGEST = digest_of(b"onetwothree")


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=6))
def test_everything_arrives_when_it_is_right(blocks: list[bytes]) -> None:
    held = VerifiedBody(blocks, digest_of(b"".join(blocks)))
    assert list(held) == blocks
    assert held.complete


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_both_algorithms(algorithm: str) -> None:
    assert list(VerifiedBody(BLOCKS, digest_of(b"onetwothree", algorithm))) == BLOCKS
    with pytest.raises(DigestInvalid):
        list(VerifiedBody(BLOCKS, digest_of(b"other", algorithm)))


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=6))
def test_the_last_block_is_kept_when_it_is_wrong(blocks: list[bytes]) -> None:
    held = VerifiedBody(blocks, digest_of(b"other"))
    assert taken(held) == blocks[:-1]
    assert not held.complete


def taken(held: VerifiedBody) -> list[Block]:
    """What was handed over before it broke."""
    sent: list[Block] = []
    with contextlib.suppress(DigestInvalid, EOFError):
        sent.extend(held)
    return sent


def test_the_last_block_is_kept_when_the_body_breaks() -> None:
    def broken() -> Iterator[bytes]:
        yield from BLOCKS
        raise EOFError

    assert taken(VerifiedBody(broken(), None)) == BLOCKS[:-1]


def test_the_last_block_waits_until_all_was_read() -> None:
    read: list[bytes] = []

    def blocks() -> Iterator[bytes]:
        for block in BLOCKS:
            read.append(block)
            yield block

    held = iter(VerifiedBody(blocks(), DIGEST))
    assert next(held) == b"one"
    assert read == [b"one", b"two"]


def test_complete_means_that_the_last_block_was_taken() -> None:
    held = VerifiedBody(BLOCKS, DIGEST)
    blocks = iter(held)
    assert [next(blocks), next(blocks), next(blocks)] == BLOCKS
    assert not held.complete
    assert list(blocks) == []
    assert held.complete


def test_never_twice() -> None:
    held = VerifiedBody(BLOCKS, None)
    list(held)
    with pytest.raises(RuntimeError):
        list(held)


def test_giving_up_ends_the_checksum() -> None:
    """However far the sending came."""
    before = set(threading.enumerate())
    for taken_before in range(4):
        held = VerifiedBody(BLOCKS, DIGEST)
        blocks = iter(held)
        for _ in range(min(taken_before, len(BLOCKS))):
            next(blocks)
        held.close()
        assert set(threading.enumerate()) <= before
        assert not held.complete
    VerifiedBody(BLOCKS, DIGEST).close()


def test_blocks_are_hashed_before_their_buffers_are_used_again() -> None:
    """With as many buffers as a body has, and a thread that hashes behind."""
    data = random.Random(3).randbytes(40 * 300_000)
    ring = [bytearray(300_000) for _ in range(BUFFERS)]

    def blocks() -> Iterator[memoryview]:
        for number in range(40):
            ring[number % BUFFERS][:] = data[number * 300_000 : (number + 1) * 300_000]
            yield memoryview(ring[number % BUFFERS])

    assert b"".join(map(bytes, VerifiedBody(blocks(), digest_of(data)))) == data


def test_in_one_piece() -> None:
    assert collected(BLOCKS, DIGEST) == b"onetwothree"
    assert collected((), None) == b""
    with pytest.raises(DigestInvalid):
        collected(BLOCKS, digest_of(b"other"))


def test_size() -> None:
    assert len(SizedVerifiedBody(BLOCKS, None, 11)) == 11


def hashing() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "checksum"}


@pytest.mark.parametrize("left", [0, 1])
def test_without_a_spare_core_the_digest_is_taken_in_between(left: int) -> None:
    spare, before = threading.Semaphore(left), hashing()
    right, wrong = VerifiedBody(BLOCKS, DIGEST, spare), VerifiedBody(BLOCKS, digest_of(b"other"), spare)
    assert next(iter(right)) == BLOCKS[0]
    assert len(hashing() - before) == left
    with pytest.raises(DigestInvalid):
        list(wrong)
    right.close()
    assert [spare.acquire(blocking=False) for _ in range(2)] == [left == 1, False]
