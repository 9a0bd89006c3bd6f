"""Request bodies for Harbor core, each within a time limit."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from adapter.transfer.body_source import source_of
from adapter.transfer.request_body import Body, Pace, announced_length

PACE: Final = Pace(60.0, math.inf)
"""60 seconds for a body of any length."""

MAX_BUFFERED_BYTES: Final = 64 << 10
"""A larger body may not fit into the receive buffer of a socket."""


def has_arrived(environ: Mapping[str, Any]) -> bool:
    """Whether the whole body can be read without waiting for the client.

    Uses attributes of gunicorn, as `adapter.transfer.body_source` does. Returns False if they are missing.
    """
    length = announced_length(environ)
    if length is None or length > MAX_BUFFERED_BYTES:
        return False
    try:
        connection, unreader = environ["gunicorn.socket"], environ["wsgi.input"].reader.unreader
        buffered = unreader.take_buffered()
        unreader.unread(buffered)
    except (AttributeError, KeyError):
        return False
    missing = length - len(buffered)
    return missing <= 0 or _available_bytes(connection, missing) == missing


def _available_bytes(connection: socket.socket, limit: int) -> int:
    """How many bytes, at most `limit`, can be received without waiting."""
    timeout = connection.gettimeout()
    connection.settimeout(0)
    try:
        return len(connection.recv(limit, socket.MSG_PEEK))
    except OSError:
        return 0
    finally:
        connection.settimeout(timeout)


class Incoming:
    """The blocks of a request body as they come. Each block is valid until the next one.

    `length` is in bytes, None if the client announced none. Iterating raises `SizeInvalid` if the client needs longer
    than `PACE` allows, stalls, or disconnects before the end.
    """

    def __init__(self, environ: Mapping[str, Any], release: Callable[[], None]) -> None:
        self.length = announced_length(environ)
        self._body = Body(source_of(environ), self.length, pace=PACE, buffers=1)
        self._release = release

    def __iter__(self) -> Iterator[memoryview]:
        try:
            yield from self._body
        finally:
            self.close()

    def close(self) -> None:
        """Stops reading and releases the body slot. Safe to call at any time."""
        self._body.close()
        self._release()
