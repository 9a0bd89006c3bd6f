"""Request bodies as blocks, with the end checked: gunicorn delivers a body that was cut as one that ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gunicorn.http.errors import ParseException

from adapter.sandbox.upload_files import BLOCK


class BodyCutError(Exception):
    """The client announced more than it sent."""


class BodyTooLargeError(Exception):
    """More than may come."""


def announced(environ: dict[str, Any]) -> int | None:
    """Content-Length in bytes; None for a chunked body."""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return None
    return int(environ.get("CONTENT_LENGTH") or 0)


def blocks(environ: dict[str, Any], limit: int) -> Iterator[bytes]:
    """The body in blocks of at most 1 MiB. Raises BodyCutError, and BodyTooLargeError beyond `limit` bytes."""
    length, body, got = announced(environ), environ["wsgi.input"], 0
    if length is not None and length > limit:
        raise BodyTooLargeError
    while length is None or got < length:
        try:
            block = body.read(BLOCK)
        except (OSError, ParseException):
            raise BodyCutError from None
        if not block:
            break
        got += len(block)
        if got > limit:
            raise BodyTooLargeError
        yield block
    if length is not None and got != length:
        raise BodyCutError


def whole(environ: dict[str, Any], limit: int) -> bytes:
    """A small body in one piece. Raises as `blocks` does."""
    return b"".join(blocks(environ, limit))
