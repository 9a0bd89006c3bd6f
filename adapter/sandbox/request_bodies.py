"""Request bodies as blocks. The length is checked, because gunicorn delivers an interrupted body as a complete one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gunicorn.http.errors import ParseException

from adapter.sandbox.upload_files import BLOCK


class BodyInterruptedError(Exception):
    """The client sent less than it announced."""


class BodyTooLargeError(Exception):
    """The body is larger than the limit."""


def announced_length(environ: dict[str, Any]) -> int | None:
    """Content-Length in bytes; None for a chunked body."""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return None
    return int(environ.get("CONTENT_LENGTH") or 0)


def blocks(environ: dict[str, Any], limit: int) -> Iterator[bytes]:
    """The body in blocks of at most 1 MiB.

    :raises BodyInterruptedError: when the body ends early.
    :raises BodyTooLargeError: beyond `limit` bytes.
    """
    length, body, received = announced_length(environ), environ["wsgi.input"], 0
    if length is not None and length > limit:
        raise BodyTooLargeError
    while length is None or received < length:
        try:
            block = body.read(BLOCK)
        except (OSError, ParseException):
            raise BodyInterruptedError from None
        if not block:
            break
        received += len(block)
        if received > limit:
            raise BodyTooLargeError
        yield block
    if length is not None and received != length:
        raise BodyInterruptedError


def read_body(environ: dict[str, Any], limit: int) -> bytes:
    """The whole body.

    :raises BodyInterruptedError, BodyTooLargeError: as `blocks`.
    """
    return b"".join(blocks(environ, limit))
