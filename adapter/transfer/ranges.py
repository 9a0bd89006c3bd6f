"""Ranges of the bytes of an upload, as Content-Range announces them: both ends count. Pure."""

from __future__ import annotations

import re
from typing import Final

from adapter.errors import RangeInvalid, SizeInvalid

# Eighteen digits are more than any layer, and less than what makes int() slow.
_CONTENT_RANGE: Final = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]{1,18}|\*))?")

Span = tuple[int, int]
"""First and last byte."""


def parse_content_range(value: str | None) -> Span | None:
    """`first-last` as the OCI distribution spec has it, or HTTP's `bytes first-last/total`. Raises `RangeInvalid`."""
    if value is None:
        return None
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if found is None:
        raise RangeInvalid("the Content-Range cannot be read: <first byte>-<last byte> is wanted")
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise RangeInvalid("the Content-Range ends before it starts")
    return first, last


def size_of(span: Span | None, length: int | None) -> int | None:
    """Bytes that must come, by Content-Range and Content-Length (None: not sent); None when nothing says.

    Raises `SizeInvalid` when the two contradict each other.
    """
    if span is None:
        return length
    size = span[1] - span[0] + 1
    if length is not None and length != size:
        raise SizeInvalid(f"Content-Length says {length} bytes, Content-Range {size}")
    return size


def content_range(span: Span | None, begin: int) -> str | None:
    """The Content-Range for SWR, from byte `begin` on.

    Passed on only where the client itself sent one: what SWR makes of it is not documented.
    """
    return None if span is None else f"{begin}-{span[1]}"
