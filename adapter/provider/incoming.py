"""Bodies of requests on their way in, each within a time of its own, however slowly the client sends."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from adapter.errors import SizeInvalid
from adapter.transfer.body import PROMPT, Body, announced_length, read_all
from adapter.transfer.source import source_of

BODY_SECONDS: Final = 60.0
"""Seconds in which a body that is passed on must have come as a whole."""


SMALL: Final = 64 << 10
"""Bytes that a socket holds while nobody reads."""


def has_arrived(environ: Mapping[str, Any]) -> bool:
    """Whether the whole of a small body is here, so that receiving it waits for nobody.

    The names of gunicorn are those of `adapter.transfer.source`; where they have changed, nothing has arrived.
    """
    length = announced_length(environ)
    if length is None or length > SMALL:
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


def document(environ: Mapping[str, Any], largest: int, what: str) -> bytes:
    """A body of at most `largest` bytes, as a whole. Raises as `read_all`."""
    with _ended_after(environ, PROMPT):
        return read_all(environ, largest, what)


class Incoming:
    """A request's body that is passed on as it comes: blocks, each of which is valid until the next one.

    `length` is in bytes, None where the client announced none. Iterating raises `SizeInvalid` when the client is
    slower than `BODY_SECONDS`, stops, or leaves before the end.
    """

    def __init__(self, environ: Mapping[str, Any], give_back: Callable[[], None]) -> None:
        self.length = announced_length(environ)
        self._body = Body(source_of(environ), self.length, buffers=1)
        self._environ, self._give_back = environ, give_back

    def __iter__(self) -> Iterator[memoryview]:
        until = time.monotonic() + BODY_SECONDS
        try:
            with _ended_after(self._environ, BODY_SECONDS):
                for block in self._body:
                    if time.monotonic() > until:
                        raise SizeInvalid(
                            f"the request's body did not come within {BODY_SECONDS:g} seconds: send it again"
                        )
                    yield block
        finally:
            self.close()

    def close(self) -> None:
        """Nothing more is read. Safe to call at any time."""
        self._body.close()
        self._give_back()


@contextlib.contextmanager
def _ended_after(environ: Mapping[str, Any], seconds: float) -> Iterator[None]:
    """Ends what the client sends after so many seconds. The answer can still be sent.

    Of a chunked body only: the server reads it until it has as much as it was asked for, and waits anew for each byte.
    """
    connection = environ.get("gunicorn.socket")
    if connection is None or announced_length(environ) is not None:
        yield
        return
    timer = threading.Timer(seconds, _end_reading, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_reading(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
