from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import SizeInvalid, TooLarge
from adapter.transfer.body import BLOCK, Body, peek


class Trickle:
    """A stream that gives less than it is asked for, and may break."""

    def __init__(self, data: bytes, step: int, error: Exception | None = None) -> None:
        self._stream = io.BytesIO(data)
        self._step = step
        self._error = error

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(min(size, self._step))
        if not block and self._error is not None:
            raise self._error
        return block


@given(st.binary(max_size=300), st.integers(1, 50))
def test_all_bytes_in_order(data: bytes, step: int) -> None:
    for length in (len(data), None):
        body = Body(Trickle(data, step), length)
        assert b"".join(body) == data
        assert body.received == len(data)


def test_blocks_have_a_size() -> None:
    assert [len(block) for block in Body(io.BytesIO(bytes(BLOCK * 2 + 1)), BLOCK * 2 + 1)] == [BLOCK, BLOCK, 1]


@pytest.mark.parametrize("short", [0, 1, 499, 999])
def test_a_short_body(short: int) -> None:
    with pytest.raises(SizeInvalid, match=f"after {short} of 1000 bytes"):
        list(Body(io.BytesIO(bytes(short)), 1000))


def test_a_body_that_is_too_long() -> None:
    blocks = iter(Body(io.BytesIO(bytes(1001)), 1000))
    with pytest.raises(SizeInvalid, match="longer than the 1000"):
        list(blocks)


@pytest.mark.parametrize("error", [OSError("reset"), EOFError(), ValueError("bad chunk")])
def test_what_breaks_is_no_oserror(error: Exception) -> None:
    """urllib3 swallows those that a body raises, and then waits for an answer."""
    with pytest.raises(SizeInvalid, match="broke off after 10 bytes") as caught:
        list(Body(Trickle(bytes(10), 3, error), None))
    assert not isinstance(caught.value, OSError)


@pytest.mark.parametrize("length", [None, 20])
def test_what_is_larger_than_may_be(length: int | None) -> None:
    taken: list[bytes] = []
    with pytest.raises(TooLarge):
        taken.extend(Body(Trickle(bytes(20), 4), length, largest=10))
    assert sum(map(len, taken)) <= 10
    assert b"".join(Body(Trickle(bytes(10), 4), None, largest=10)) == bytes(10)


def test_peek() -> None:
    first, blocks = peek(Body(Trickle(b"abcdef", 2), None))
    assert first == b"ab"
    assert list(blocks()) == [b"ab", b"cd", b"ef"]
    first, blocks = peek(Body(io.BytesIO(b""), None))
    assert (first, list(blocks())) == (b"", [])
