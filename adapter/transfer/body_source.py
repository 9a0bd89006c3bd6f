"""Reads the body of a request: directly from gunicorn's socket if possible, else from `wsgi.input`.

Each read has a deadline, whatever the timeout of the server is: a client that sends a byte now and then, or nothing,
occupies a thread no longer than the caller allows.

gunicorn's own reader takes more time than everything else of an upload. So if gunicorn's internals are the expected
ones, `SocketSource` takes what gunicorn has read ahead, receives the rest from the socket into the caller's buffer, and
decrements gunicorn's count of remaining bytes: gunicorn then finds the start of the next request. Chunked bodies, and
bodies under another gunicorn, are read from `wsgi.input`.
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

BLOCK_BYTES: Final = 1 << 20
"""Size of a block, if so many bytes arrive within `FLUSH_SECONDS`."""
FLUSH_SECONDS: Final = 1.0
"""A block is passed on with what it has after this time: a replication rule may be throttled to some KB/s."""

_FLUSH_TIMEVAL: Final = struct.pack("@ll", int(FLUSH_SECONDS), 0)
_NO_TIMEVAL: Final = struct.pack("@ll", 0, 0)
"""The kernel's `struct timeval`; zero means no timeout."""

_FIRST_READ_BYTES: Final = 16 << 10
_MAX_READ_BYTES: Final = 256 << 10
_MIN_READ_BYTES: Final = 1 << 10


class Stream(Protocol):
    """What a WSGI server provides as `wsgi.input`."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; empty at the end."""
        ...


class Source(Protocol):
    """The bytes of one body, in order."""

    def fill(self, view: memoryview, deadline: float | None = None) -> int:
        """Writes up to `len(view)` bytes there and returns how many; 0 at the end of the body.

        Returns what comes within `FLUSH_SECONDS`, but at least one byte. Raises `TimeoutError` at the monotonic time
        `deadline`, or when the connection was idle for too long, and the server's own errors when the connection is
        lost.
        """
        ...

    def release(self) -> None:
        """Ends reading and returns the connection to the server. Safe to call at any time."""
        ...


class TimedConnection:
    """The connection of a gunicorn request, which replaces the one that gunicorn's reader uses.

    No `recv` lasts beyond the deadline. One read of a chunked body may call `recv` many times, each of which would
    otherwise have the whole idle timeout.
    """

    def __init__(self, unreader: Any, connection: Any) -> None:
        self._unreader = unreader
        self._connection = connection
        self._deadline = 0.0
        self._idle: float | None = connection.gettimeout()

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Applies the deadline to the reads of the block, then restores the connection."""
        self._deadline = deadline
        self._unreader.sock = self
        try:
            yield
        finally:
            self._unreader.sock = self._connection
            # The worker may have closed the connection in the meantime.
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
        """Sends `100 Continue`, which the server does before its first read."""
        self._connection.sendall(data)


class StreamSource:
    """Reads from a stream that blocks until it has all bytes of a read: in pieces that take about half a second.

    Without `connection`, a read has no deadline of its own.
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
        self._piece = _FIRST_READ_BYTES

    def fill(self, view: memoryview, deadline: float | None = None) -> int:
        size = min(len(view), self._piece)
        started = self._clock()
        with self._limit(deadline):
            block = self._stream.read(size)
        elapsed = self._clock() - started
        if elapsed > FLUSH_SECONDS:
            self._piece = max(_MIN_READ_BYTES, int(self._piece / elapsed / 2))
        elif elapsed < FLUSH_SECONDS / 4 and size == self._piece:
            self._piece = min(_MAX_READ_BYTES, self._piece * 2)
        view[: len(block)] = block
        return len(block)

    def release(self) -> None:
        """Does nothing: the connection was never taken from the server."""

    def _limit(self, deadline: float | None) -> contextlib.AbstractContextManager[None]:
        if self._connection is None or deadline is None:
            return contextlib.nullcontext()
        return self._connection.until(deadline)


class SocketSource:
    """Reads from the socket of a gunicorn request that has a Content-Length."""

    def __init__(self, reader: Any, connection: Any, count: Callable[[int], object] | None = None) -> None:
        """`count` is called with the number of bytes of each `fill`, which bypass the server's own stream."""
        self._reader = reader
        self._connection = connection
        self._count = count
        # The kernel collects a whole block, or what comes within the flush time. TLS returns one record at a time.
        self._flags = 0 if isinstance(connection, ssl.SSLSocket) else socket.MSG_WAITALL
        self._idle: float | None = connection.gettimeout()
        self._limited = False

    def fill(self, view: memoryview, deadline: float | None = None) -> int:
        view = view[: self._reader.length]
        filled = self._take_buffered(view)
        if filled < len(view):
            self._limit()
            filled += self._receive(view[filled:], deadline, has_bytes=filled > 0)
        if self._count is not None:
            self._count(filled)
        if self._reader.length == 0:
            self.release()
            if filled:
                self._return_pending()
        return filled

    def _limit(self) -> None:
        """Limits each read to `FLUSH_SECONDS`. Once, not for each block: these calls let other threads run first."""
        if self._limited:
            return
        self._limited = True
        if self._flags:
            self._connection.settimeout(None)
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _FLUSH_TIMEVAL)
        else:
            self._connection.settimeout(FLUSH_SECONDS)

    def release(self) -> None:
        """Restores the timeouts of the connection."""
        if not self._limited:
            return
        self._limited = False
        if self._flags:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _NO_TIMEVAL)
        self._connection.settimeout(self._idle)

    def _receive(self, view: memoryview, deadline: float | None, *, has_bytes: bool) -> int:
        """The number of bytes received. `has_bytes`: the block has bytes already, so no more are required.

        Waits for the first byte as long as a client may be idle, and at most `FLUSH_SECONDS` beyond the deadline.
        """
        received, started = 0, time.monotonic()
        until = min(
            math.inf if self._idle is None else started + self._idle,
            math.inf if deadline is None else deadline,
        )
        while received < len(view):
            try:
                count: int = self._connection.recv_into(view[received:], len(view) - received, self._flags)
            except (BlockingIOError, TimeoutError):
                if received or has_bytes:
                    break
                if time.monotonic() >= until:
                    raise TimeoutError from None
                continue
            received += count
            self._reader.length -= count
            if not count or self._flags or time.monotonic() - started > FLUSH_SECONDS:
                break
        return received

    def _take_buffered(self, view: memoryview) -> int:
        """Copies what gunicorn has read together with the head of the request; the number of bytes."""
        buffered = self._reader.unreader.take_buffered()
        count = min(len(buffered), len(view))
        view[:count] = buffered[:count]
        self._reader.unreader.unread(buffered[count:])
        self._reader.length -= count
        return count

    def _return_pending(self) -> None:
        """Returns to gunicorn what TLS has decrypted of the next request, because a poller cannot see it."""
        if more := getattr(self._connection, "pending", int)():
            unreader = self._reader.unreader
            unreader.unread(unreader.take_buffered() + self._connection.recv(more))


def source_of(environ: Mapping[str, Any]) -> Source:
    """The body of a WSGI request: a `SocketSource` if possible."""
    return _socket_source(environ) or StreamSource(environ["wsgi.input"], _timed_connection(environ))


def _timed_connection(environ: Mapping[str, Any]) -> TimedConnection | None:
    """None unless gunicorn's internals are the expected ones; all names are public ones of gunicorn 27."""
    try:
        reader, connection = environ["wsgi.input"].reader, environ["gunicorn.socket"]
        unreader = reader.unreader if hasattr(reader, "unreader") else reader.req.unreader
        expected = unreader.sock is connection and callable(connection.recv)
    except (AttributeError, KeyError):
        return None
    return TimedConnection(unreader, connection) if expected else None


def _socket_source(environ: Mapping[str, Any]) -> SocketSource | None:
    """None unless gunicorn's internals are the expected ones and nothing of the body was read yet.

    None of the names is documented; all of them are public ones of gunicorn 27.
    """
    try:
        body, connection = environ["wsgi.input"], environ["gunicorn.socket"]
        reader, unreader = body.reader, body.reader.unreader
        expected = (
            reader.length == int(environ["CONTENT_LENGTH"])
            and body.buf.tell() == 0
            and unreader.sock is connection
            and all(map(callable, (unreader.take_buffered, unreader.unread, connection.recv_into)))
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return SocketSource(reader, connection, environ.get("adapter.received")) if expected else None
