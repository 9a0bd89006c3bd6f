"""Connections to a host within so many seconds in all: its name resolved, and all of its addresses tried.

Python waits for a name server as long as the system does, up to half a minute, and gives each address of a host the
whole of its timeout.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

_MAX_ADDRESSES: Final = 8

Found = Sequence[tuple[Any, Any, int, str, Any]]
"""As `socket.getaddrinfo` has them."""


class Resolver:
    """Resolves names in threads, so that nobody has to wait for one that takes long; one thread a name at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[Found]] = {}

    def addresses(self, host: str, port: int, seconds: float) -> Found:
        """Raises `socket.gaierror`, `UnicodeError` for what is no host name, `TimeoutError`."""
        key = (host, port)
        with self._lock:
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = Future()
                threading.Thread(target=self._resolve, args=(key, running), name="resolver", daemon=True).start()
        return running.result(seconds)

    def _resolve(self, key: tuple[str, int], future: Future[Found]) -> None:
        try:
            found = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._end(key)
            future.set_exception(error)
        else:
            self._end(key)
            future.set_result(found)

    def _end(self, key: tuple[str, int]) -> None:
        """Before anybody hears of it: who asks after that asks anew."""
        with self._lock:
            del self._running[key]

    def connect(self, host: str, port: int, seconds: float, options: Sequence[tuple[Any, ...]]) -> socket.socket:
        """A connected socket; the time that is left is its timeout. Raises as `addresses` does, and `OSError`."""
        until = time.monotonic() + seconds
        found = self.addresses(host.strip("[]"), port, seconds)[:_MAX_ADDRESSES]
        failure: OSError = OSError("the name has no address")
        for number, (family, kind, protocol, _, address) in enumerate(found):
            # Each leaves the others their share.
            share = (until - time.monotonic()) / (len(found) - number)
            if share <= 0:
                raise TimeoutError("timed out")
            sock = socket.socket(family, kind, protocol)
            try:
                for option in options:
                    sock.setsockopt(*option)
                sock.settimeout(share)
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
                continue
            sock.settimeout(max(share, until - time.monotonic()))
            return sock
        raise failure
