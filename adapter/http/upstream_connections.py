"""Connections to SWR: urllib3's, with a send timeout of their own, that notice an early response.

urllib3 alone has two gaps: while it sends a body, the socket timeout is the connect timeout; and over TLS it loses a
response that arrives before the end of the body.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.wait import wait_for_read

from adapter.http.addresses import is_local
from adapter.http.client_disconnect import DISCONNECT_POLL_SECONDS, raise_if_disconnected
from adapter.http.resolver import Resolver
from adapter.http.strict_response import StrictResponse
from adapter.http.tls import TLSSocket, has_data

BLOCK_BYTES: Final = 1 << 20
"""Bytes that are sent or received at a time."""
_TLS_RECORD_BYTES: Final = 16 << 10
_RECORDS_PER_POLL: Final = 16
"""TLS records that are written before the next look for a response."""


class LocalAddress(http.client.HTTPException):
    """The peer has a loopback or link-local address; nothing was sent to it."""


@dataclass
class OutgoingRequest:
    """A request to SWR, for the connection that sends it.

    `local_allowed`: whether it may go to a loopback or link-local address. `sent`: whether its head was sent, on
    whatever connection; `on_sent` is called then.
    """

    local_allowed: bool = True
    on_sent: Callable[[], None] | None = None
    sent: bool = False

    def head_sent(self) -> None:
        """Notes that the head was sent."""
        self.sent = True
        if self.on_sent is not None:
            self.on_sent()

    def check_peer(self, connection: socket.socket) -> None:
        """Called before anything is sent. Raises `LocalAddress`.

        Checks the connected address: the name may resolve to another one by now.
        """
        if not self.local_allowed and is_local(str(connection.getpeername()[0])):
            raise LocalAddress


_current: Final[ContextVar[OutgoingRequest | None]] = ContextVar("outgoing_request", default=None)


@contextlib.contextmanager
def sending(request: OutgoingRequest) -> Iterator[None]:
    """A block in which the connections of this thread send this request."""
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)


def outgoing_request() -> OutgoingRequest:
    """The request of this thread; a new one outside of `sending`."""
    return _current.get() or OutgoingRequest()


class PrematureSuccess(http.client.HTTPException):
    """SWR reported success before it had the whole body."""


class _EarlyResponseMixin:
    """Mixed into urllib3's two connection classes."""

    send_timeout: ClassVar[float] = 60.0
    max_idle_seconds: ClassVar[float] = 5.0
    sock: Any
    timeout: Any
    proxy: Any
    host: str
    port: int
    socket_options: Any
    resolver: Resolver
    """Set by the pool."""
    _dns_host: str
    _poll: select.poll
    _cut_short = False
    _in_body = False
    _last_used = 0.0

    @property
    def is_connected(self) -> bool:
        """urllib3's check before it uses a pooled connection.

        A connection that was idle for long may be dead without a sign, and a blob's body cannot be sent again. The POST
        before an upload leaves a fresh connection.
        """
        alive: bool = super().is_connected  # type: ignore[misc]
        return alive and time.monotonic() - self._last_used < self.max_idle_seconds

    def _new_conn(self) -> socket.socket:
        """urllib3's hook for the connection before TLS: within the timeout, however many addresses the host has."""
        try:
            sock = self.resolver.connect(self._dns_host, self.port, self.timeout, self.socket_options or ())
        except UnicodeError:
            raise LocationParseError(self.host) from None
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "connection timed out") from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error  # type: ignore[arg-type]
        try:
            self._check_peer(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _check_peer(self, sock: socket.socket) -> None:
        """Not for a proxy, which resolves the name itself."""
        if self.proxy is None:
            outgoing_request().check_peer(sock)

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._last_used = time.monotonic()

    def endheaders(self, *arguments: Any, **options: Any) -> None:
        self._in_body = False
        if self.sock is not None:
            # The connection may have been opened for a request that may go to local addresses.
            self._check_peer(self.sock)
        super().endheaders(*arguments, **options)  # type: ignore[misc]
        outgoing_request().head_sent()
        self._in_body = True
        if self.sock is not None:
            # Reading the response sets its own timeout.
            self.sock.settimeout(0)
            self._poll = select.poll()
            self._poll.register(self.sock, select.POLLIN | select.POLLOUT)

    def send(self, data: Any) -> None:
        """Stops with `BrokenPipeError` when SWR has responded already; urllib3 then reads the response."""
        if not self._in_body:
            if self.sock is not None:
                self.sock.settimeout(self.send_timeout)
            super().send(data)  # type: ignore[misc]
            return
        # Never more than the socket accepts: over TLS, a write to a closed connection would discard the unread
        # response.
        left = memoryview(data)
        while left:
            self._wait_for_room()
            try:
                if not isinstance(self.sock, TLSSocket):
                    left = left[self.sock.send(left) :]
                    continue
                send = self.sock.record_sender()
                for _ in range(min(_RECORDS_PER_POLL, 1 + (len(left) - 1) // _TLS_RECORD_BYTES)):
                    left = left[send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                continue
            except (ssl.SSLError, ConnectionError) as error:
                self._stop(error)

    def _wait_for_room(self) -> None:
        """Waits until the socket accepts more, or a response begins. Raises `TimeoutError` when neither happens, and as
        `raise_if_disconnected` does."""
        until = time.monotonic() + self.send_timeout
        while not (events := self._poll.poll(min(DISCONNECT_POLL_SECONDS, self.send_timeout) * 1000)):
            raise_if_disconnected()
            if time.monotonic() >= until:
                raise TimeoutError("SWR stopped reading the body")
        if events[0][1] & ~select.POLLOUT and has_data(self.sock):
            self._stop(None)

    def _stop(self, cause: Exception | None) -> None:
        self._cut_short = True
        raise BrokenPipeError("response before the end of the body") from cause

    def _wait_for_response(self) -> None:
        """Waits for the first byte of a response and leaves it unread; the rest of the head must follow soon. Raises as
        `_wait_for_room` does."""
        until = time.monotonic() + self.timeout
        while not has_data(self.sock):
            if not wait_for_read(self.sock, min(DISCONNECT_POLL_SECONDS, self.timeout)):
                raise_if_disconnected()
            if time.monotonic() >= until:
                raise TimeoutError("SWR did not respond")
        self.timeout = min(self.timeout, self.send_timeout)

    def getresponse(self) -> Any:
        self._in_body = False
        try:
            self._wait_for_response()
            response = super().getresponse()  # type: ignore[misc]
        finally:
            cut_short, self._cut_short = self._cut_short, False
        if cut_short and 200 <= response.status < 300:
            response.close()
            raise PrematureSuccess("success before the end of the body")
        if cut_short and self.sock is not None:
            # Not used again. The connection's own close() would discard the unread response.
            self.sock.close()
            self.sock = None
        self._last_used = time.monotonic()
        return response


class PlainConnection(_EarlyResponseMixin, HTTPConnection):
    """Without TLS."""

    response_class = StrictResponse


class TLSConnection(_EarlyResponseMixin, HTTPSConnection):
    """With TLS."""

    response_class = StrictResponse
