"""TLS: the context that verifies certificates, and a socket that shows whether a response has begun."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import certifi
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.wait import wait_for_read

_MAX_RECEIVERS: Final = 4
"""Threads that receive TLS records at once, where there are as many cores: more only wait for the interpreter."""


class TLSSocket(ssl.SSLSocket):
    """A TLS socket that shows whether the server has sent data; session tickets do not count.

    `receivers` limits the threads that receive many records in a row: each record releases the interpreter's lock and
    takes it again, so more threads than cores only compete for it. No thread waits for the network while it counts
    towards the limit. Sending does not benefit from such a limit.
    """

    receivers: ClassVar[threading.Semaphore]
    _first = b""

    def has_data(self) -> bool:
        """Whether application data, or the end, has arrived."""
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
        """First returns the byte that `has_data` has read."""
        if not self._first:
            return super().recv_into(buffer, nbytes, flags)
        memoryview(buffer)[:1] = self._first
        self._first = b""
        return 1

    def record_sender(self) -> Callable[[memoryview], int]:
        """A function that sends a record: `send` without the checks that it makes for each record."""
        sender: Callable[[memoryview], int] = getattr(self._sslobj, "write", self.send)  # type: ignore[attr-defined]
        return sender

    def receive(self, view: memoryview) -> int:
        """Reads what has arrived into the view, without waiting, and returns the number of bytes; 0 at the end.

        Raises `ssl.SSLWantReadError` when nothing has arrived, `OSError`.
        """
        got = 0
        read: Callable[[int, memoryview], Any] = self.read
        with self.receivers:
            try:
                while got < len(view) and (count := read(len(view) - got, view[got:])):
                    got += count
            except ssl.SSLWantReadError:
                if not got:
                    raise
        return got


def has_data(sock: socket.socket) -> bool:
    """Whether the peer has sent data, or the end, that was not read yet. A poll does not see data that TLS has
    decrypted already."""
    return sock.has_data() if isinstance(sock, TLSSocket) else wait_for_read(sock, 0)


def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """A context that trusts the public CAs and those of the bundle. Raises `ssl.SSLError`."""
    context = create_urllib3_context()
    # Python 3.13 and later require CA extensions that many private CAs lack, Harbor's internal one among them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_verify_locations(certifi.where())
    if ca_bundle is not None:
        context.load_verify_locations(str(ca_bundle))
    cores = len(os.sched_getaffinity(0))
    receivers = threading.BoundedSemaphore(min(cores, _MAX_RECEIVERS))
    context.sslsocket_class = type("LimitedTLSSocket", (TLSSocket,), {"receivers": receivers})
    return context
