"""Upload sessions, and the Content-Range of their chunks (OCI distribution spec, "Pushing a blob in chunks"). Pure."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field, replace
from typing import Final

from adapter.errors import RangeInvalid, SizeInvalid
from adapter.swr.repository import Repository


@dataclass(frozen=True)
class UploadSession:
    """An upload: SWR's own location (path and query), and how many bytes SWR has accepted.

    `doubtful`: a client requested the status, so the last chunk may have failed after SWR had received bytes of it.
    """

    repository: Repository
    location: str = field(repr=False)
    offset: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    doubtful: bool = False

    def advanced(self, location: str, count: int) -> UploadSession:
        """The session after a chunk of `count` bytes."""
        return replace(self, location=location, offset=self.offset + count, doubtful=False)

    @property
    def range(self) -> str:
        """The `Range` header, without `bytes=`, which Harbor cannot read (`docs/facts/harbor.md D.2`)."""
        return f"0-{max(self.offset - 1, 0)}"


# Eighteen digits suffice for any layer, and are few enough for int() to be fast.
_CONTENT_RANGE: Final = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]{1,18}|\*))?")

Span = tuple[int, int]
"""First and last byte."""


def parse_content_range(value: str | None) -> Span | None:
    """`first-last` as in the OCI distribution spec, or HTTP's `bytes first-last/total`. Raises `RangeInvalid`."""
    if value is None:
        return None
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if found is None:
        raise RangeInvalid("invalid Content-Range: send <first byte>-<last byte>")
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise RangeInvalid("invalid Content-Range (it ends before it starts): send <first byte>-<last byte>")
    return first, last


def size_of(span: Span | None, length: int | None) -> int | None:
    """Bytes that must come, according to Content-Range and Content-Length (None: not sent); None if both are None.

    Raises `SizeInvalid` if they differ.
    """
    if span is None:
        return length
    size = span[1] - span[0] + 1
    if length is not None and length != size:
        raise SizeInvalid(f"Content-Length ({length} bytes) and Content-Range ({size} bytes) differ: send equal sizes")
    return size


def content_range(span: Span | None, begin: int) -> str | None:
    """The Content-Range for SWR, from byte `begin` on.

    None unless the client sent one, because it is not documented how SWR treats it.
    """
    return None if span is None else f"{begin}-{span[1]}"
