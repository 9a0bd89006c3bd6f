"""The connection of a client: its next head, its deadlines, and the request that it carries."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gunicorn.sock import ssl_wrap_socket
from gunicorn.workers.gthread import TConn

from adapter.http.client_disconnect import peer_closed
from adapter.listeners import Listener
from adapter.request_heads import BoundedParser, Head, Unreader
from adapter.transfer.request_body import DOCUMENT, Pace

_HEAD_BLOCK_BYTES: Final = 16 << 10
"""Bytes of a head to receive at once."""
_METHOD: Final = re.compile("[A-Z]{3,20}")
_TLS_HEADER_BYTES: Final = 5
_TLS_HANDSHAKE_TYPE: Final = 22
_MAX_TLS_RECORD_BYTES: Final = 18 << 10
_SMALL_BYTES: Final = 64 << 10
"""Responses of up to this size are offered to the kernel without waiting for room."""


@dataclass
class Exchange:
    """One request and its response.

    `bodiless`: the request announced no body; `force_close` ends the connection after the response; `environ` is the
    WSGI environment, empty before an application has the request; `response` is gunicorn's.
    """

    bodiless: bool = False
    force_close: Callable[[], None] = lambda: None
    environ: Mapping[str, Any] = field(default_factory=dict)
    response: Any = None


class _PacedSocket:
    """Socket mixin: `sendall` waits for a client no longer than the pace of the response allows."""

    connection: Connection
    send: Any
    gettimeout: Any
    settimeout: Any
    _max_send_bytes = sys.maxsize
    _pace = DOCUMENT
    _waited = 0.0
    _sent = 0

    def begin_response(self, pace: Pace) -> None:
        """Sets the pace at which the client must receive what is sent from now on."""
        self._pace, self._waited, self._sent = pace, 0.0, 0

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Waits up to the timeout of the connection for each part, not for all together. Raises `TimeoutError`."""
        timeout = self.gettimeout()
        try:
            left = memoryview(data).cast("B")
            if len(left) <= _SMALL_BYTES:
                left = left[self._send_at_once(left, flags) :]
            while left:
                left = left[self._send(left, flags, timeout) :]
        finally:
            # The worker may have closed the socket meanwhile.
            with contextlib.suppress(OSError):
                self._set_timeout(timeout)

    def _send_at_once(self, data: memoryview, flags: int) -> int:
        """Bytes that the kernel accepts now. With a timeout Python would first wait for room, which the kernel reports
        only when far more than a small response fits."""
        self._set_timeout(0.0)
        try:
            count: int = self.send(data, flags)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        self._sent += count
        return count

    def _send(self, data: memoryview, flags: int, timeout: float | None) -> int:
        seconds = self._pace.grace + self._sent / self._pace.rate - self._waited
        if seconds <= 0:
            raise TimeoutError("the client receives the response too slowly")
        self._set_timeout(seconds if timeout is None else min(seconds, timeout))
        start = time.monotonic()
        count: int = self.send(data[: self._max_send_bytes], flags)
        self._waited += time.monotonic() - start
        self._sent += count
        return count

    def _set_timeout(self, seconds: float | None) -> None:
        """Calls the kernel only when the timeout changes."""
        if self.gettimeout() != seconds:
            self.settimeout(seconds)


class PacedSocket(_PacedSocket, socket.socket):
    """A socket without TLS."""


class PacedTLSSocket(_PacedSocket, ssl.SSLSocket):
    """A socket with TLS."""

    _max_send_bytes = 16 << 10  # One record: its bytes extend the time only when `send` has sent them all.


class Connection(TConn):
    """A client's connection. Times are those of `time.monotonic()`.

    `exchange` is the current or last request; `silent_since` is the start of the connection or the end of its last
    request; `lingers_until`, if any, is the end of a connection that stays open after its last response. With `resets`
    it ends with RST, so that a client cannot mistake a part of a body for the whole.
    """

    parser: Any
    sock: Any
    initialized: bool

    def __init__(self, listener: Listener, sock: socket.socket, client: Any) -> None:
        super().__init__(listener.cfg, sock, client, listener.address)
        self.listener = listener
        self.exchange = Exchange()
        sock.connection = self  # type: ignore[attr-defined]
        self.silent_since = time.monotonic()
        self.lingers_until: float | None = None
        self.resets = False
        self._head: Head | None = None
        self._is_whole = False
        self._closed = False

    @property
    def head_bytes(self) -> int:
        """Bytes of an unfinished head."""
        return 0 if self._head is None else len(self._head.data)

    @property
    def request_line(self) -> tuple[str, str]:
        """Method and path of the last request; empty texts if it has no valid ones."""
        unreader = self._unreader
        method, _, rest = (b"" if unreader is None else unreader.line).decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        return (method, path) if _METHOD.fullmatch(method) and path.startswith("/") else ("", "")

    @property
    def _unreader(self) -> Unreader | None:
        unreader: Unreader | None = getattr(self.parser, "unreader", None)
        return unreader

    def init(self) -> None:
        """Pool thread: makes a parser with the limits of the listener. The TLS handshake is complete already."""
        self._make_parser()
        super().init()

    def close(self, graceful: bool = False) -> None:
        """Safe to call twice; the listener counts once."""
        try:
            super().close(graceful)
        finally:
            if not self._closed:
                self._closed = True
                self._drop_head()
                self.listener.closed()

    def end(self, seconds: float) -> None:
        """Pool thread: ends the output. The connection lingers for `seconds`, so that the client can read its response;
        with 0 it is closed without waiting."""
        if seconds:
            self.lingers_until = time.monotonic() + seconds
        # Below TLS, whose own shutdown would wait.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_WR if seconds else socket.SHUT_RDWR)

    def has_lingered(self, now: float, silence: float) -> bool:
        """Whether the connection has lingered long enough, or its client has been silent for `silence` seconds."""
        return self.lingers_until is not None and (now > self.lingers_until or now - self.silent_since > silence)

    def receive_head(self) -> bool:
        """Main loop: receives input; True when a thread can go on without waiting for the client.

        TLS is left to threads, because it needs time: its first record stays in the kernel until it is whole.
        """
        if self.cfg.is_ssl:
            return isinstance(self.sock, ssl.SSLSocket) or first_record_is_whole(self.sock)
        try:
            return self._receive()
        except BlockingIOError:
            return False

    def receive_rest(self) -> bool:
        """Pool thread: continues the TLS handshake and receives the head; True when the head is whole. Never waits for
        the client. Raises `OSError`, `ssl.SSLError` among them."""
        if self._is_whole:
            return True
        try:
            self._shake_hands()
            self.sock.setblocking(False)
            # Input behind the last request.
            buffered = b"" if self._unreader is None else self._unreader.take_buffered()
            # No poller reports input that is decrypted already.
            while not (self._add(buffered) if buffered else self._receive()):
                buffered = b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        return True

    def _shake_hands(self) -> None:
        if self.initialized or not self.cfg.is_ssl:
            return
        if not isinstance(self.sock, ssl.SSLSocket):
            self.sock = ssl_wrap_socket(self.sock, self.cfg)
            self.sock.connection = self
        self.sock.setblocking(False)
        self.sock.do_handshake()
        self.initialized = True

    def _receive(self) -> bool:
        """Receives a block of the head; True when the head is decided, or the client has ended the connection. Raises
        `BlockingIOError` or `ssl.SSLWantReadError` when there is no input yet."""
        try:
            return self._add(self.sock.recv(_HEAD_BLOCK_BYTES))
        except (BlockingIOError, ssl.SSLWantReadError):
            raise
        except OSError:
            return self._add(b"")

    def _add(self, data: bytes) -> bool:
        """Adds data to the head; empty data means that the client has ended the connection."""
        if self._head is None:
            self._head = Head(self.listener.config.max_line)
        self.listener.count_heads(len(data))
        if data and not self._head.add(data):
            return False
        self._make_parser().unreader.unread(bytes(self._head.data))
        self._drop_head()
        self._is_whole = True
        return True

    def begin(self) -> None:
        """Pool thread: the head is about to be parsed."""
        self._is_whole = False
        self.sock.begin_response(DOCUMENT)

    @property
    def has_room(self) -> bool:
        """Whether a small response can be sent without waiting: the client has received enough of those before."""
        poll = select.poll()
        poll.register(self.sock, select.POLLOUT)
        return bool(poll.poll(0))

    def drop_expectation(self) -> bool:
        """Sends no `100 Continue` any more; True if the client still waits for it."""
        unreader = self._unreader
        if unreader is None or not unreader.expected:
            return False
        unreader.expected = False
        return True

    def _make_parser(self) -> Any:
        """The parser, made at the first call."""
        parser: Any = self.parser
        if parser is None:
            parser = BoundedParser(self.cfg, self.sock, self.client, self.listener.config.max_line)
            self.parser = parser
        return parser

    def _drop_head(self) -> None:
        self.listener.count_heads(-self.head_bytes)
        self._head = None


def first_record_is_whole(connection: socket.socket) -> bool:
    """Whether there is a whole TLS record, the end of the input, or no valid record. Otherwise tells the kernel when to
    report input again.

    The first bytes hold the length of the record, so few calls are needed however slowly the record comes.
    """
    try:
        data = connection.recv(_TLS_HEADER_BYTES, socket.MSG_PEEK)
        if not data or data[0] != _TLS_HANDSHAKE_TYPE or peer_closed(connection):
            return True
        needed = _TLS_HEADER_BYTES
        if len(data) == _TLS_HEADER_BYTES:
            needed = min(_TLS_HEADER_BYTES + int.from_bytes(data[3:], "big"), _MAX_TLS_RECORD_BYTES)
            data = connection.recv(needed, socket.MSG_PEEK)
        whole = needed > _TLS_HEADER_BYTES and len(data) >= needed
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if whole else needed)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return whole
