from __future__ import annotations

import io
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import SizeInvalid, TooLarge
from adapter.transfer.body_source import BLOCK
from adapter.transfer.request_body import BUFFERS, Body, peek, read_all


class Given:
    """A source that gives `step` bytes at a time, and may break."""

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
        self.released = True


@given(st.binary(max_size=300), st.integers(1, 50))
def test_all_bytes_in_order(data: bytes, step: int) -> None:
    for length in (len(data), None):
        body = Body(Given(data, step), length)
        assert b"".join(map(bytes, body)) == data
        assert body.received == len(data)


def test_blocks_have_a_size() -> None:
    assert [len(block) for block in Body(Given(bytes(BLOCK * 2 + 1)), BLOCK * 2 + 1)] == [BLOCK, BLOCK, 1]


@pytest.mark.parametrize("short", [0, 1, 499, 999])
def test_a_short_body(short: int) -> None:
    with pytest.raises(SizeInvalid, match=f"after {short} of 1000 bytes"):
        list(Body(Given(bytes(short)), 1000))


def test_a_body_that_is_too_long() -> None:
    blocks = iter(Body(Given(bytes(1001)), 1000))
    with pytest.raises(SizeInvalid, match="longer than the 1000"):
        list(blocks)


@pytest.mark.parametrize("error", [OSError("reset"), EOFError(), ValueError("bad chunk")])
def test_what_breaks_is_no_oserror(error: Exception) -> None:
    """urllib3 swallows those that a body raises, and then waits for an answer."""
    with pytest.raises(SizeInvalid, match="broke off after 10 bytes") as caught:
        list(Body(Given(bytes(10), 3, error), None))
    assert not isinstance(caught.value, OSError)


@pytest.mark.parametrize("length", [None, 20])
def test_what_is_larger_than_may_be(length: int | None) -> None:
    taken: list[bytes] = []
    with pytest.raises(TooLarge):
        taken.extend(map(bytes, Body(Given(bytes(20), 4), length, largest=10)))
    assert sum(map(len, taken)) <= 10
    assert b"".join(map(bytes, Body(Given(bytes(10), 4), None, largest=10))) == bytes(10)


def test_a_body_that_stalls() -> None:
    with pytest.raises(SizeInvalid, match="stopped after 10 bytes") as caught:
        list(Body(Given(bytes(10), 3, TimeoutError()), 20))
    assert not isinstance(caught.value, OSError)


def test_a_block_is_valid_until_others_take_its_buffer() -> None:
    body = iter(Body(Given(bytes(range(10)), 1), 10))
    blocks = [next(body) for _ in range(BUFFERS)]
    assert [bytes(block) for block in blocks] == [bytes([number]) for number in range(BUFFERS)]
    next(body)
    assert bytes(blocks[0]) == bytes([BUFFERS])


def test_peek() -> None:
    some, blocks = peek(Body(Given(b"abcdef", 2), None))
    assert some
    assert [bytes(block) for block in blocks()] == [b"ab", b"cd", b"ef"]
    some, blocks = peek(Body(Given(b""), None))
    assert (some, list(blocks())) == (False, [])


def test_read_all() -> None:
    assert read_all({"wsgi.input": io.BytesIO(b"abc"), "CONTENT_LENGTH": "3"}, 3, "a document") == b"abc"
    for announced in ({"CONTENT_LENGTH": "4"}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        with pytest.raises(TooLarge, match="a document has at most 3 bytes"):
            read_all({"wsgi.input": io.BytesIO(b"abcd"), **announced}, 3, "a document")


def test_a_body_that_trickles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte in time, and all of it much too late."""
    clock = itertools.count(0, 1.5)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.raises(SizeInvalid, match="came too slowly"):
        list(Body(Given(bytes(1000), 1), 1000))
    assert sum(map(len, Body(Given(bytes(100_000), 1000), 100_000))) == 100_000
