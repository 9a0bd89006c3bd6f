"""Where the bytes of a request's body come from: straight from gunicorn's socket, else from `wsgi.input`.

Each read has a deadline, whatever the server's own timeout is: a client that sends a byte now and then, or none, keeps
a thread no longer than its caller allows.

gunicorn's own reader costs more than all the rest of an upload together. So where its insides are the known ones,
what it has read ahead is taken from it and the rest is received from the socket into the caller's buffer, while its
count of what is left is kept in step: it then knows where the next request starts. Chunked bodies, and a gunicorn
whose insides have changed, are read from `wsgi.input`.
"""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

BLOCK: Final = 1 << 20
"""Bytes of a block, if they come within `FLUSH`."""
FLUSH: Final = 1.0
"""Seconds after which a block goes on with what it has: a rule may be throttled to some kilobytes a second."""

_FLUSH: Final = struct.pack("@ll", int(FLUSH), 0)
_FOR_EVER: Final = struct.pack("@ll", 0, 0)
"""The kernel's `struct timeval`."""

_FIRST_READ: Final = 16 << 10
_LARGEST_READ: Final = 256 << 10
_SMALLEST_READ: Final = 1 << 10


class Stream(Protocol):
    """What a WSGI server offers as `wsgi.input`."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; nothing at the end."""
        ...


class Source(Protocol):
    """The bytes of one body, in order."""

    def fill(self, view: memoryview, deadline: float | None = None) -> int:
        """Puts up to `len(view)` bytes there and says how many, 0 at the end: as many as come within `FLUSH`, but
        at least one.

        Raises `TimeoutError` at the monotonic moment `deadline`, or when the connection was idle for too long, and
        what the server raises when the connection breaks."""
        ...

    def release(self) -> None:
        """Nothing more is taken: the connection is the server's again. Safe to call at any time."""
        ...


class TimedConnection:
    """A gunicorn request's connection, as gunicorn's own reader sees it: no `recv` lasts beyond the deadline.

    One read of a chunked body can take many of them, and each would have the whole idle timeout for itself.
    """

    def __init__(self, unreader: Any, connection: Any) -> None:
        self._unreader = unreader
        self._connection = connection
        self._deadline = 0.0
        self._idle: float | None = connection.gettimeout()

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """While gunicorn reads; the connection then is as it was."""
        self._deadline = deadline
        self._unreader.sock = self
        try:
            yield
        finally:
            self._unreader.sock = self._connection
            # It is closed where the worker has ended it meanwhile.
            with contextlib.suppress(OSError):
                self._connection.settimeout(self._idle)

    def recv(self, size: int) -> bytes:
        """Raises `TimeoutError`."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left if self._idle is None else min(left, self._idle))
        data: bytes = self._connection.recv(size)
        return data

    def sendall(self, data: bytes) -> None:
        """`100 Continue`, which the server sends before it first reads."""
        self._connection.sendall(data)


class Reading:
    """From a stream that gives no less than it is asked for: by pieces of what comes in about half a second.

    Without `connection` a read lasts as long as the stream lets it.
    """

    def __init__(
        self,
        stream: Stream,
        connection: TimedConnection | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._clock = clock
        self._piece = _FIRST_READ

    def fill(self, view: memoryview, deadline: float | None = None) -> int:
        size = min(len(view), self._piece)
        begun = self._clock()
        with self._limit(deadline):
            block = self._stream.read(size)
        took = self._clock() - begun
        if took > FLUSH:
            self._piece = max(_SMALLEST_READ, int(self._piece / took / 2))
        elif took < FLUSH / 4 and size == self._piece:
            self._piece = min(_LARGEST_READ, self._piece * 2)
        view[: len(block)] = block
        return len(block)

    def release(self) -> None:
        """There is nothing to give back."""

    def _limit(self, deadline: float | None) -> contextlib.AbstractContextManager[None]:
        if self._connection is None or deadline is None:
            return contextlib.nullcontext()
        return self._connection.until(deadline)


class Receiving:
    """From the socket of a gunicorn request that has a Content-Length."""

    def __init__(self, reader: Any, connection: Any, count: Callable[[int], object] | None = None) -> None:
        """`count` is called with the number of bytes of each `fill`, which pass by the server's own stream."""
        self._reader = reader
        self._connection = connection
        self._count = count
        # The kernel collects a whole block, or what comes in `FLUSH`; of TLS it gives one record at a time.
        self._flags = 0 if isinstance(connection, ssl.SSLSocket) else socket.MSG_WAITALL
        self._idle: float | None = connection.gettimeout()
        self._limited = False

    def fill(self, view: memoryview, deadline: float | None = None) -> int:
        view = view[: self._reader.length]
        got = self._held(view)
        if got < len(view):
            self._limit()
            got += self._received(view[got:], deadline, some=got > 0)
        if self._count is not None:
            self._count(got)
        if self._reader.length == 0:
            self.release()
            if got:
                self._give_back()
        return got

    def _limit(self) -> None:
        """From now on waits `FLUSH` for bytes and no longer. Not for each block anew: each of these calls lets other
        threads go first."""
        if self._limited:
            return
        self._limited = True
        if self._flags:
            self._connection.settimeout(None)
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _FLUSH)
        else:
            self._connection.settimeout(FLUSH)

    def release(self) -> None:
        """Its timeouts are as they were."""
        if not self._limited:
            return
        self._limited = False
        if self._flags:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _FOR_EVER)
        self._connection.settimeout(self._idle)

    def _received(self, view: memoryview, deadline: float | None, *, some: bool) -> int:
        """Bytes that came, `some` being there already; without any it waits as long as a client may be idle, and not
        beyond the deadline by more than `FLUSH`."""
        got, begun = 0, time.monotonic()
        until = min(
            math.inf if self._idle is None else begun + self._idle,
            math.inf if deadline is None else deadline,
        )
        while got < len(view):
            try:
                count: int = self._connection.recv_into(view[got:], len(view) - got, self._flags)
            except (BlockingIOError, TimeoutError):
                if got or some:
                    break
                if time.monotonic() >= until:
                    raise TimeoutError from None
                continue
            got += count
            self._reader.length -= count
            if not count or self._flags or time.monotonic() - begun > FLUSH:
                break
        return got

    def _held(self, view: memoryview) -> int:
        """What gunicorn read together with the head."""
        held = self._reader.unreader.take_buffered()
        count = min(len(held), len(view))
        view[:count] = held[:count]
        self._reader.unreader.unread(held[count:])
        self._reader.length -= count
        return count

    def _give_back(self) -> None:
        """The next request, if TLS has decrypted it along with the last of this body: no poller sees it there."""
        if more := getattr(self._connection, "pending", int)():
            unreader = self._reader.unreader
            unreader.unread(unreader.take_buffered() + self._connection.recv(more))


def source_of(environ: Mapping[str, Any]) -> Source:
    """The fast way in where there is one."""
    return _receiving(environ) or Reading(environ["wsgi.input"], _timed(environ))


def _timed(environ: Mapping[str, Any]) -> TimedConnection | None:
    """None unless gunicorn's insides are the known ones; all names are public ones of gunicorn 27."""
    try:
        reader, connection = environ["wsgi.input"].reader, environ["gunicorn.socket"]
        unreader = reader.unreader if hasattr(reader, "unreader") else reader.req.unreader
        known = unreader.sock is connection and callable(connection.recv)
    except (AttributeError, KeyError):
        return None
    return TimedConnection(unreader, connection) if known else None


def _receiving(environ: Mapping[str, Any]) -> Receiving | None:
    """None unless gunicorn's insides are the known ones and nothing of the body was read yet.

    None of the names is documented; all of them are public ones of gunicorn 27.
    """
    try:
        body, connection = environ["wsgi.input"], environ["gunicorn.socket"]
        reader, unreader = body.reader, body.reader.unreader
        known = (
            reader.length == int(environ["CONTENT_LENGTH"])
            and body.buf.tell() == 0
            and unreader.sock is connection
            and all(map(callable, (unreader.take_buffered, unreader.unread, connection.recv_into)))
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return Receiving(reader, connection, environ.get("adapter.received")) if known else None
