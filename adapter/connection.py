"""One client's connection: what came of its next head, how long it may take for an answer, since when it is silent, and
which listener counts it."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import time
from typing import Any, Final

from gunicorn.sock import ssl_wrap_socket
from gunicorn.workers.gthread import TConn

from adapter.heads import BoundedParser, Head, Unreader
from adapter.http.request_context import peer_closed
from adapter.listeners import Listener
from adapter.transfer.request_body import DOCUMENT, Pace

_PIECE: Final = 16 << 10
"""Bytes of a head that are received at once."""
_METHOD: Final = re.compile("[A-Z]{3,20}")
_TLS_HEADER: Final = 5
_TLS_HANDSHAKE: Final = 22
_MAX_TLS_RECORD: Final = 18 << 10
_SMALL: Final = 64 << 10
"""Bytes that are offered to the kernel before anybody waits."""


class _PacedSocket:
    """Mixed into a socket: `sendall` waits for a slow client no longer than the pace of the answer allows."""

    send: Any
    gettimeout: Any
    settimeout: Any
    _pace = DOCUMENT
    _waited = 0.0
    _taken = 0

    def begin_answer(self, pace: Pace) -> None:
        """What is sent from now on is to be taken at this pace."""
        self._pace, self._waited, self._taken = pace, 0.0, 0

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Waits for each part as long as the connection's timeout says, and not for all of it together. Raises
        `TimeoutError`."""
        timeout = self.gettimeout()
        try:
            left = memoryview(data).cast("B")
            if len(left) <= _SMALL:
                left = left[self._send_at_once(left, flags) :]
            while left:
                left = left[self._send(left, flags, timeout) :]
        finally:
            # It is closed where the worker has ended it meanwhile.
            with contextlib.suppress(OSError):
                self._set_timeout(timeout)

    def _send_at_once(self, data: memoryview, flags: int) -> int:
        """What the kernel takes now. With a timeout Python would wait first until it reports room, which it does only
        when far more than a small answer fits."""
        self._set_timeout(0.0)
        try:
            count: int = self.send(data, flags)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        self._taken += count
        return count

    def _send(self, data: memoryview, flags: int, timeout: float | None) -> int:
        seconds = self._pace.grace + self._taken / self._pace.rate - self._waited
        if seconds <= 0:
            raise TimeoutError("the client takes an answer too slowly")
        self._set_timeout(seconds if timeout is None else min(seconds, timeout))
        begun = time.monotonic()
        count: int = self.send(data, flags)
        self._waited += time.monotonic() - begun
        self._taken += count
        return count

    def _set_timeout(self, seconds: float | None) -> None:
        """Only a change asks the kernel."""
        if self.gettimeout() != seconds:
            self.settimeout(seconds)


class PacedSocket(_PacedSocket, socket.socket):
    """Without TLS."""


class PacedTLSSocket(_PacedSocket, ssl.SSLSocket):
    """With TLS."""


class Connection(TConn):
    """`silent_since` is a time of `time.monotonic()`: of the connection itself, or of the end of its last request.

    `lingers_until`, if any, is the time until which it stays open after its last answer; `resets`: it ends with RST, so
    that a part of a body does not pass for the whole.
    """

    parser: Any
    sock: Any
    initialized: bool

    def __init__(self, listener: Listener, sock: socket.socket, client: Any) -> None:
        super().__init__(listener.cfg, sock, client, listener.address)
        self.listener = listener
        self.silent_since = time.monotonic()
        self.lingers_until: float | None = None
        self.resets = False
        self._head: Head | None = None
        self._is_whole = False
        self._closed = False

    @property
    def head_bytes(self) -> int:
        """Of a head that is not whole."""
        return 0 if self._head is None else len(self._head.data)

    @property
    def asked(self) -> tuple[str, str]:
        """Method and path of the request that came last, as far as they can be told."""
        unreader = self._unreader
        method, _, rest = (b"" if unreader is None else unreader.line).decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        return (method, path) if _METHOD.fullmatch(method) and path.startswith("/") else ("", "")

    @property
    def _unreader(self) -> Unreader | None:
        found: Unreader | None = getattr(self.parser, "unreader", None)
        return found

    def init(self) -> None:
        """Pool thread: a parser with the limits of the listener. TLS is spoken already."""
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
        """Pool thread: nothing more is sent. For so many seconds the client may read its answer; with none the
        connection is only left to be closed, which then waits for nobody."""
        if seconds:
            self.lingers_until = time.monotonic() + seconds
        # Below TLS, whose own shutdown would wait.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_WR if seconds else socket.SHUT_RDWR)

    def has_lingered(self, now: float, pause: float) -> bool:
        """Whether it stays open no longer: its time is over, or its client has been silent for `pause` seconds."""
        return self.lingers_until is not None and (now > self.lingers_until or now - self.silent_since > pause)

    def receive_head(self) -> bool:
        """Main loop: takes what has come; whether a thread can go on without waiting for a client that is slow.

        TLS is for a thread, since it is work: its first record is left where it is until it is whole.
        """
        if self.cfg.is_ssl:
            return isinstance(self.sock, ssl.SSLSocket) or first_record_is_whole(self.sock)
        try:
            return self._receive()
        except BlockingIOError:
            return False

    def receive_rest(self) -> bool:
        """Pool thread: whether the head is whole, after the next step of a TLS handshake, and with what came behind the
        last request. Never waits for the client. Raises `OSError`, `ssl.SSLError` among them."""
        if self._is_whole:
            return True
        try:
            self._shake_hands()
            self.sock.setblocking(False)
            held = b"" if self._unreader is None else self._unreader.take_buffered()
            # What is decrypted already no poller sees.
            while not (self._add(held) if held else self._receive()):
                held = b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        return True

    def _shake_hands(self) -> None:
        if self.initialized or not self.cfg.is_ssl:
            return
        if not isinstance(self.sock, ssl.SSLSocket):
            self.sock = ssl_wrap_socket(self.sock, self.cfg)
        self.sock.setblocking(False)
        self.sock.do_handshake()
        self.initialized = True

    def _receive(self) -> bool:
        """Takes a piece of a head; whether it is decided, or the client has ended. Raises when there is none yet."""
        try:
            return self._add(self.sock.recv(_PIECE))
        except (BlockingIOError, ssl.SSLWantReadError):
            raise
        except OSError:
            return self._add(b"")

    def _add(self, data: bytes) -> bool:
        """Without data, the client has ended."""
        if self._head is None:
            self._head = Head(self.listener.door.max_line)
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
        self.sock.begin_answer(DOCUMENT)

    @property
    def has_room(self) -> bool:
        """Whether a small answer can be sent without waiting: the client takes those that were sent before."""
        poll = select.poll()
        poll.register(self.sock, select.POLLOUT)
        return bool(poll.poll(0))

    def forget_expectation(self) -> bool:
        """Whether the client still waits for `100 Continue`, which does not come any more."""
        unreader = self._unreader
        if unreader is None or not unreader.expected:
            return False
        unreader.expected = False
        return True

    def _make_parser(self) -> Any:
        """Unless there is one."""
        parser: Any = self.parser
        if parser is None:
            parser = BoundedParser(self.cfg, self.sock, self.client, self.listener.door.max_line)
            self.parser = parser
        return parser

    def _drop_head(self) -> None:
        self.listener.count_heads(-self.head_bytes)
        self._head = None


def first_record_is_whole(connection: socket.socket) -> bool:
    """Whether there is a whole TLS record, or an end, or none that could be one; else the kernel tells when there is.

    Its length is known from its first bytes, so it is looked at a few times however slowly it comes.
    """
    try:
        seen = connection.recv(_TLS_HEADER, socket.MSG_PEEK)
        if not seen or seen[0] != _TLS_HANDSHAKE or peer_closed(connection):
            return True
        wanted = _TLS_HEADER
        if len(seen) == _TLS_HEADER:
            wanted = min(_TLS_HEADER + int.from_bytes(seen[3:], "big"), _MAX_TLS_RECORD)
            seen = connection.recv(wanted, socket.MSG_PEEK)
        whole = wanted > _TLS_HEADER and len(seen) >= wanted
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if whole else wanted)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return whole
