"""Connections to SWR: urllib3's, with a send timeout of their own and an ear for answers that come early.

Two things that urllib3 does not do by itself: while a body is sent its socket timeout is the connect timeout;
and an answer that comes before the end of a body is lost over TLS.
"""

from __future__ import annotations

import http.client
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.wait import wait_for_read

from adapter.http import outgoing
from adapter.http.request_context import DISCONNECT_POLL_SECONDS, raise_if_disconnected
from adapter.http.resolver import Resolver
from adapter.http.responses import StrictResponse

BLOCK = 1 << 20
"""Bytes that are moved at a time."""
_RECORD = 16 << 10
_RECORDS = 16
"""TLS records, of 16 KiB each, that are written before SWR is listened to again."""
_MOST_BURSTS = 4
"""Threads that receive TLS records at once, where there are as many cores: more only wait for the interpreter."""


class ListeningSocket(ssl.SSLSocket):
    """A TLS socket that can be asked whether the server said something; session tickets do not count.

    `bursts` is for who receives many records in a row: each gives the interpreter's lock away and takes it back, and
    threads that fight over it do little else. Nobody may wait for the network within. Sending gains nothing by it.
    """

    bursts: ClassVar[threading.Semaphore]
    _first = b""

    def heard(self) -> bool:
        """Whether application data, or an end, has come."""
        if not self._first:
            wait = self.gettimeout()
            self.settimeout(0)
            try:
                self._first = self.recv(1)
            except ssl.SSLWantReadError:
                return False
            except OSError:
                return True
            finally:
                self.settimeout(wait)
        return True

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Gives back the byte that `heard` took."""
        if not self._first:
            return super().recv_into(buffer, nbytes, flags)
        memoryview(buffer)[:1] = self._first
        self._first = b""
        return 1

    def record_sender(self) -> Callable[[memoryview], int]:
        """What sends a record: `send` without the checks that it makes for each."""
        found: Callable[[memoryview], int] = getattr(self._sslobj, "write", self.send)  # type: ignore[attr-defined]
        return found

    def receive(self, view: memoryview) -> int:
        """Fills the view with what has come, without waiting; 0 at the end.

        Raises `ssl.SSLWantReadError` when nothing has come, `OSError`.
        """
        got = 0
        read: Callable[[int, memoryview], Any] = self.read
        with self.bursts:
            try:
                while got < len(view) and (count := read(len(view) - got, view[got:])):
                    got += count
            except ssl.SSLWantReadError:
                if not got:
                    raise
        return got


def heard(sock: socket.socket) -> bool:
    """Whether the other side has said something that was not read yet. What TLS has decrypted already no poll sees."""
    return sock.heard() if isinstance(sock, ListeningSocket) else wait_for_read(sock, 0)


class EarlySuccess(http.client.HTTPException):
    """SWR said yes before it had all of a body: nobody can trust that."""


class _Early:
    """Mixed into urllib3's two connection classes."""

    send_timeout: ClassVar[float] = 60.0
    longest_idle: ClassVar[float] = 5.0
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
    _cut = False
    _in_body = False
    _used = 0.0

    @property
    def is_connected(self) -> bool:
        """Asked before a pooled connection is taken: one that was idle for long may be dead without a sign, and what a
        blob's body is begun on cannot be begun again. The POST before an upload leaves a fresh one behind."""
        alive: bool = super().is_connected  # type: ignore[misc]
        return alive and time.monotonic() - self._used < self.longest_idle

    def _new_conn(self) -> socket.socket:
        """urllib3's hook for the bare connection, before TLS: within the timeout, however many addresses there are."""
        try:
            sock = self.resolver.connect(self._dns_host, self.port, self.timeout, self.socket_options or ())
        except UnicodeError:
            raise LocationParseError(self.host) from None
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error  # type: ignore[arg-type]
        try:
            self._check_peer(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _check_peer(self, sock: socket.socket) -> None:
        """A proxy makes the connection itself, to what only the proxy can tell."""
        if self.proxy is None:
            outgoing.current().check_peer(sock)

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._used = time.monotonic()

    def endheaders(self, *arguments: Any, **options: Any) -> None:
        self._in_body = False
        if self.sock is not None:
            # It may have been opened for a request that was allowed more.
            self._check_peer(self.sock)
        super().endheaders(*arguments, **options)  # type: ignore[misc]
        outgoing.current().went_out()
        self._in_body = True
        if self.sock is not None:
            # Until the answer is read, which has a timeout of its own.
            self.sock.settimeout(0)
            self._poll = select.poll()
            self._poll.register(self.sock, select.POLLIN | select.POLLOUT)

    def send(self, data: Any) -> None:
        """Stops with `BrokenPipeError` when SWR has answered already; urllib3 then reads the answer."""
        if not self._in_body:
            if self.sock is not None:
                self.sock.settimeout(self.send_timeout)
            super().send(data)  # type: ignore[misc]
            return
        # Only as much goes out as there is room for: a write that meets a closed connection would take the answer that
        # lies unread behind it along, over TLS.
        left = memoryview(data)
        while left:
            self._wait_for_room()
            try:
                if not isinstance(self.sock, ListeningSocket):
                    left = left[self.sock.send(left) :]
                    continue
                send = self.sock.record_sender()
                for _ in range(min(_RECORDS, 1 + (len(left) - 1) // _RECORD)):
                    left = left[send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                continue
            except (ssl.SSLError, ConnectionError) as error:
                self._stop(error)

    def _wait_for_room(self) -> None:
        """Until the socket takes more, or says something. Raises `TimeoutError` when neither happens, or what
        `raise_if_disconnected` does."""
        until = time.monotonic() + self.send_timeout
        while not (events := self._poll.poll(min(DISCONNECT_POLL_SECONDS, self.send_timeout) * 1000)):
            raise_if_disconnected()
            if time.monotonic() >= until:
                raise TimeoutError("SWR takes no more of the body")
        if events[0][1] & ~select.POLLOUT and heard(self.sock):
            self._stop(None)

    def _stop(self, cause: Exception | None) -> None:
        self._cut = True
        raise BrokenPipeError("answered before the end of the body") from cause

    def _wait_for_answer(self) -> None:
        """The same for the first byte of an answer, which is left to be read; the rest of its head must follow soon."""
        until = time.monotonic() + self.timeout
        while not heard(self.sock):
            if not wait_for_read(self.sock, min(DISCONNECT_POLL_SECONDS, self.timeout)):
                raise_if_disconnected()
            if time.monotonic() >= until:
                raise TimeoutError("SWR does not answer")
        self.timeout = min(self.timeout, self.send_timeout)

    def getresponse(self) -> Any:
        self._in_body = False
        try:
            self._wait_for_answer()
            response = super().getresponse()  # type: ignore[misc]
        finally:
            cut, self._cut = self._cut, False
        if cut and 200 <= response.status < 300:
            response.close()
            raise EarlySuccess("success before the end of the body")
        if cut and self.sock is not None:
            # Never used again. The connection's own close() would take the unread answer with it.
            self.sock.close()
            self.sock = None
        self._used = time.monotonic()
        return response


class Plain(_Early, HTTPConnection):
    """Without TLS."""

    response_class = StrictResponse


class Secured(_Early, HTTPSConnection):
    """With TLS."""

    response_class = StrictResponse


def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """A verifying context with the public certificates, and those of the bundle besides. Raises `ssl.SSLError`."""
    context = create_urllib3_context()
    # Newer Pythons demand extensions of a CA that many private ones lack, Harbor's own internal one among them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_verify_locations(certifi.where())
    if ca_bundle is not None:
        context.load_verify_locations(str(ca_bundle))
    cores = len(os.sched_getaffinity(0))
    bursts = threading.BoundedSemaphore(min(cores, _MOST_BURSTS))
    context.sslsocket_class = type("BurstingSocket", (ListeningSocket,), {"bursts": bursts})
    return context
