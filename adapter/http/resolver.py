"""Resolves a host name and tries all of its addresses within one timeout.

Python waits for a name server as long as the system does, up to half a minute, and gives each address of a host the
whole timeout.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

_MAX_ADDRESSES: Final = 8

AddressInfo = Sequence[tuple[Any, Any, int, str, Any]]
"""An entry of what `socket.getaddrinfo` returns."""


class Resolver:
    """Resolves names in threads, so that a slow name server blocks no request beyond its timeout; one thread per name
    at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[AddressInfo]] = {}

    def addresses(self, host: str, port: int, seconds: float) -> AddressInfo:
        """Raises `socket.gaierror`, `UnicodeError` for an invalid host name, `TimeoutError`."""
        key = (host, port)
        with self._lock:
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = Future()
                threading.Thread(target=self._resolve, args=(key, running), name="resolver", daemon=True).start()
        return running.result(seconds)

    def _resolve(self, key: tuple[str, int], future: Future[AddressInfo]) -> None:
        try:
            found = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._end(key)
            future.set_exception(error)
        else:
            self._end(key)
            future.set_result(found)

    def _end(self, key: tuple[str, int]) -> None:
        """Called before the result is set: later calls must resolve again."""
        with self._lock:
            del self._running[key]

    def connect(self, host: str, port: int, seconds: float, options: Sequence[tuple[Any, ...]]) -> socket.socket:
        """A connected socket. Its timeout is the remaining time. Raises as `addresses` does, and `OSError`."""
        until = time.monotonic() + seconds
        found = self.addresses(host.strip("[]"), port, seconds)[:_MAX_ADDRESSES]
        failure: OSError = OSError("the name has no address")
        for number, (family, kind, protocol, _, address) in enumerate(found):
            # Each address gets an equal share of the time that is left.
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
