"""Bodies of requests on their way in, each within a time of its own, however slowly the client sends."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from adapter.transfer.body_source import source_of
from adapter.transfer.request_body import Body, Pace, announced_length

PACE: Final = Pace(60.0, math.inf)
"""Of a body that is passed on, whatever its length."""

MAX_WAITING_BYTES: Final = 64 << 10
"""Bytes that a socket holds while nobody reads."""


def has_arrived(environ: Mapping[str, Any]) -> bool:
    """Whether the whole of a small body is here, so that receiving it waits for nobody.

    The names of gunicorn are those of `adapter.transfer.body_source`; where they have changed, nothing has arrived.
    """
    length = announced_length(environ)
    if length is None or length > MAX_WAITING_BYTES:
        return False
    try:
        connection, unreader = environ["gunicorn.socket"], environ["wsgi.input"].reader.unreader
        held = unreader.take_buffered()
        unreader.unread(held)
    except (AttributeError, KeyError):
        return False
    missing = length - len(held)
    return missing <= 0 or _waiting(connection, missing) == missing


def _waiting(connection: socket.socket, most: int) -> int:
    """Bytes that can be received at once, `most` of them."""
    timeout = connection.gettimeout()
    connection.settimeout(0)
    try:
        return len(connection.recv(most, socket.MSG_PEEK))
    except OSError:
        return 0
    finally:
        connection.settimeout(timeout)


class Incoming:
    """A request's body that is passed on as it comes: blocks, each of which is valid until the next one.

    `length` is in bytes, None where the client announced none. Iterating raises `SizeInvalid` when the client needs
    more time than `PACE` gives, stops, or leaves before the end.
    """

    def __init__(self, environ: Mapping[str, Any], give_back: Callable[[], None]) -> None:
        self.length = announced_length(environ)
        self._body = Body(source_of(environ), self.length, pace=PACE, buffers=1)
        self._give_back = give_back

    def __iter__(self) -> Iterator[memoryview]:
        try:
            yield from self._body
        finally:
            self.close()

    def close(self) -> None:
        """Nothing more is read. Safe to call at any time."""
        self._body.close()
        self._give_back()
