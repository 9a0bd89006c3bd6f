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
from adapter.transfer.verified_body import Block, SizedVerifiedBody, VerifiedBody, read_verified

BLOCKS = [b"one", b"two", b"three"]
DIGEST = digest_of(b"onetwothree")
SOME_BLOCKS = st.lists(st.binary(min_size=1, max_size=9), max_size=6)


def sent(body: VerifiedBody) -> list[Block]:
    """The blocks until the body raises an error."""
    blocks: list[Block] = []
    with contextlib.suppress(DigestInvalid, EOFError):
        blocks.extend(body)
    return blocks


@given(SOME_BLOCKS, st.sampled_from(["sha256", "sha512"]))
def test_body_is_sent_if_its_digest_matches(blocks: list[bytes], algorithm: str) -> None:
    body = VerifiedBody(blocks, digest_of(b"".join(blocks), algorithm))
    assert list(body) == blocks
    assert body.complete
    wrong = VerifiedBody(blocks, digest_of(b"\0other", algorithm))
    assert sent(wrong) == blocks[:-1]
    assert not wrong.complete


def test_last_block_waits_for_the_end_of_the_body() -> None:
    read: list[bytes] = []

    def blocks() -> Iterator[bytes]:
        for block in BLOCKS:
            read.append(block)
            yield block
        raise EOFError

    body = iter(VerifiedBody(blocks(), DIGEST))
    assert next(body) == b"one"
    assert read == [b"one", b"two"]
    assert sent(VerifiedBody(blocks(), None)) == BLOCKS[:-1]


def test_complete_means_that_the_last_block_was_sent() -> None:
    body = VerifiedBody(BLOCKS, DIGEST)
    blocks = iter(body)
    complete = [body.complete for _ in zip(range(3), blocks, strict=False)]
    assert complete == [False] * 3
    assert list(blocks) == []
    assert body.complete
    with pytest.raises(RuntimeError):
        list(body)


@pytest.mark.parametrize("count", range(5))
def test_close_ends_the_checksum_thread(count: int) -> None:
    before = set(threading.enumerate())
    body = VerifiedBody(BLOCKS, DIGEST)
    if count:
        blocks = iter(body)
        for _ in range(count - 1):
            next(blocks)
    body.close()
    assert set(threading.enumerate()) <= before
    assert not body.complete


def test_blocks_are_hashed_before_their_buffers_are_reused() -> None:
    """With as many buffers as a body has, and a thread that hashes."""
    data = random.Random(3).randbytes(40 * 300_000)
    ring = [bytearray(300_000) for _ in range(BUFFERS)]

    def blocks() -> Iterator[memoryview]:
        for number in range(40):
            ring[number % BUFFERS][:] = data[number * 300_000 : (number + 1) * 300_000]
            yield memoryview(ring[number % BUFFERS])

    assert b"".join(map(bytes, VerifiedBody(blocks(), digest_of(data)))) == data


def test_small_bodies_and_sizes() -> None:
    assert read_verified(BLOCKS, DIGEST) == b"onetwothree"
    assert read_verified((), None) == b""
    with pytest.raises(DigestInvalid):
        read_verified(BLOCKS, digest_of(b"other"))
    assert len(SizedVerifiedBody(BLOCKS, None, 11)) == 11


def checksum_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "checksum"}


@pytest.mark.parametrize("left", [0, 1])
def test_number_of_hash_threads_is_limited(left: int) -> None:
    hash_threads, before = threading.Semaphore(left), checksum_threads()
    right, wrong = VerifiedBody(BLOCKS, DIGEST, hash_threads), VerifiedBody(BLOCKS, digest_of(b"x"), hash_threads)
    assert next(iter(right)) == BLOCKS[0]
    assert len(checksum_threads() - before) == left
    with pytest.raises(DigestInvalid):
        list(wrong)
    right.close()
    assert [hash_threads.acquire(blocking=False) for _ in range(2)] == [left == 1, False]
