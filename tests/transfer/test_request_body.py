from __future__ import annotations

import io
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import SizeInvalid, TooLarge
from adapter.transfer.body_source import BLOCK_BYTES
from adapter.transfer.request_body import BUFFERS, Body, peek, read_all


class MemorySource:
    """A source that returns `step` bytes at a time, and may raise an error at the end."""

    def __init__(self, data: bytes, step: int | None = None, error: Exception | None = None) -> None:
        self._stream = io.BytesIO(data)
        self._step = step or len(data) or 1
        self._error = error

    def fill(self, view: memoryview, deadline: float | None = None) -> int:
        count = self._stream.readinto(view[: self._step])
        if view and not count and self._error is not None:
            raise self._error
        return count

    def release(self) -> None:
        pass


@given(st.binary(max_size=300), st.integers(1, 50))
def test_all_bytes_come_in_order(data: bytes, step: int) -> None:
    for length in (len(data), None):
        body = Body(MemorySource(data, step), length)
        assert b"".join(map(bytes, body)) == data
        assert body.received == len(data)


def test_block_size() -> None:
    size = BLOCK_BYTES * 2 + 1
    assert [len(block) for block in Body(MemorySource(bytes(size)), size)] == [BLOCK_BYTES, BLOCK_BYTES, 1]


@pytest.mark.parametrize(
    ("source", "length", "message"),
    [
        *((MemorySource(bytes(short)), 1000, f"after {short} of 1000 bytes") for short in (0, 1, 499, 999)),
        (MemorySource(bytes(1001)), 1000, "longer than the 1000"),
        (MemorySource(bytes(10), 3, OSError("reset")), None, "lost after 10 bytes"),
        (MemorySource(bytes(10), 3, EOFError()), None, "lost after 10 bytes"),
        (MemorySource(bytes(10), 3, ValueError("bad chunk")), None, "lost after 10 bytes"),
        (MemorySource(bytes(10), 3, TimeoutError()), 20, "stopped after 10 bytes"),
    ],
)
def test_incomplete_body_is_rejected(source: MemorySource, length: int | None, message: str) -> None:
    """Not by an `OSError`, which urllib3 ignores while it sends, only to wait for a response."""
    with pytest.raises(SizeInvalid, match=message) as caught:
        list(Body(source, length))
    assert not isinstance(caught.value, OSError)


@pytest.mark.parametrize("length", [None, 20])
def test_too_large_body_is_rejected(length: int | None) -> None:
    taken: list[bytes] = []
    with pytest.raises(TooLarge):
        taken.extend(map(bytes, Body(MemorySource(bytes(20), 4), length, max_bytes=10)))
    assert sum(map(len, taken)) <= 10
    assert b"".join(map(bytes, Body(MemorySource(bytes(10), 4), None, max_bytes=10))) == bytes(10)


def test_block_is_valid_until_its_buffer_is_reused() -> None:
    body = iter(Body(MemorySource(bytes(range(10)), 1), 10))
    blocks = [next(body) for _ in range(BUFFERS)]
    assert [bytes(block) for block in blocks] == [bytes([number]) for number in range(BUFFERS)]
    next(body)
    assert bytes(blocks[0]) == bytes([BUFFERS])


def test_peek() -> None:
    has_bytes, blocks = peek(Body(MemorySource(b"abcdef", 2), None))
    assert has_bytes
    assert [bytes(block) for block in blocks()] == [b"ab", b"cd", b"ef"]
    has_bytes, blocks = peek(Body(MemorySource(b""), None))
    assert (has_bytes, list(blocks())) == (False, [])


def test_read_all() -> None:
    assert read_all({"wsgi.input": io.BytesIO(b"abc"), "CONTENT_LENGTH": "3"}, 3, "a document") == b"abc"
    for announced in ({"CONTENT_LENGTH": "4"}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        with pytest.raises(TooLarge, match="a document must not exceed 3 bytes"):
            read_all({"wsgi.input": io.BytesIO(b"abcd"), **announced}, 3, "a document")


def test_slow_body_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, but all of them too late."""
    clock = itertools.count(0, 1.5)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.raises(SizeInvalid, match="came too slowly"):
        list(Body(MemorySource(bytes(1000), 1), 1000))
    assert sum(map(len, Body(MemorySource(bytes(100_000), 1000), 100_000))) == 100_000
