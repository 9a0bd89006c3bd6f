"""Connections are counted per listener: silent clients of one port cost no other port a connection.

File descriptors are what all ports share, so the limits are made out of the number that the process may have, and the
operations port keeps a reserve which nobody else can use.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from adapter.certificate import Certificate
from adapter.errors import AdapterError

MAX_LINE_BYTES: Final = 8190
"""Of a request line, unless the listener says otherwise."""
MAX_HEADS_BYTES: Final = 16 << 20
"""Of heads that are not whole yet, of all connections of one listener."""
PAUSE_SECONDS: Final = 0.5
"""Without new connections, when the kernel gives none."""
TELL_SECONDS: Final = 60.0
"""Between two log lines about one listener."""

_OTHER_FILES: Final = 64
"""Descriptors for the log, the poller, the shared state, name resolution and idle connections."""
_MIN_CONNECTIONS: Final = 8
_MAX_CONTRACT: Final = 4096
_MAX_PROVIDER: Final = 1024
OPERATIONS_CONNECTIONS: Final = 16


def _plain(error: AdapterError, _path: str, _request_id: str) -> bytes:
    return f"{error.sentence}\n".encode()


@dataclass(frozen=True)
class ListenerConfig:
    """What is particular to one listener.

    `threads` serve its requests; `certificate` is None where it speaks plain HTTP; `to_the_end`: it stays open while
    the process ends; `connections` is its limit, `reserved`: descriptors for them are set aside; `max_line` is in
    bytes; `refuse` makes the body for what the server itself refuses, of the error, the path and the request ID.
    """

    threads: int
    certificate: Certificate | None = None
    to_the_end: bool = False
    name: str = "server"
    connections: int = 1024
    reserved: bool = False
    max_line: int = MAX_LINE_BYTES
    refuse: Callable[[AdapterError, str, str], bytes] = _plain


@dataclass(frozen=True)
class Limits:
    """Connections of each listener."""

    contract: int
    provider: int
    operations: int = OPERATIONS_CONNECTIONS

    @classmethod
    def of(cls, files: int, contract_threads: int, provider_threads: int) -> Limits:
        """Out of `files` descriptors. Each thread may have a connection to SWR, or to core, beside its client's."""
        free = files - _OTHER_FILES - OPERATIONS_CONNECTIONS
        provider = min(_MAX_PROVIDER, _beside(free // 4, provider_threads))
        contract = min(_MAX_CONTRACT, _beside(free - free // 4, contract_threads))
        return cls(contract, provider)


def _beside(files: int, threads: int) -> int:
    """Connections for which there are descriptors when `threads` of them need a second one."""
    return max(_MIN_CONNECTIONS, files - threads if files >= 2 * threads else files // 2)


class Reserve:
    """Descriptors that are set aside: each connection has one given free, and set aside again after it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._held: list[int] = []
        self._refill()

    def take(self) -> bool:
        """Gives one free; whether there was one."""
        if not self._held:
            return False
        os.close(self._held.pop())
        self._number -= 1
        return True

    def put_back(self) -> None:
        """A connection has ended."""
        self._number += 1
        self._refill()

    def _refill(self) -> None:
        with contextlib.suppress(OSError):
            while len(self._held) < self._number:
                self._held.append(os.eventfd(0, os.EFD_CLOEXEC))


class Listener:
    """A listening socket and what is open on it. Main loop only, but for `count_heads`.

    `address` is its own; `heads_bytes` counts what came of heads that are not whole; `paused_until` is a time of
    `time.monotonic()` while no connection is accepted.
    """

    def __init__(self, socket: Any, door: ListenerConfig, cfg: Any) -> None:
        self.socket = socket
        self.address = socket.getsockname()
        self.door = door
        self.cfg = cfg
        self.count = 0
        self.heads_bytes = 0
        self.paused_until: float | None = None
        self._lock = threading.Lock()
        self._reserve = Reserve(door.connections if door.reserved else 0)
        self._told: dict[str, float] = {}
        self._events: dict[str, int] = {}

    @property
    def full(self) -> bool:
        return self.count >= self.door.connections

    def accept(self) -> tuple[Any, Any]:
        """The next connection, with a descriptor of the reserve if there is one. Raises `OSError`."""
        taken = self._reserve.take()
        try:
            accepted: tuple[Any, Any] = self.socket.accept()
        except OSError:
            if taken:
                self._reserve.put_back()
            raise
        self.count += 1
        return accepted

    def closed(self) -> None:
        """One of its connections has ended."""
        self.count -= 1
        if self.door.reserved:
            self._reserve.put_back()

    def count_heads(self, size: int) -> None:
        """So many more bytes, or fewer, of heads that are not whole."""
        with self._lock:
            self.heads_bytes += size

    def due(self, event: str) -> int:
        """Counts an event; how often it came since it was logged last, or 0 while the minute is not over."""
        now = time.monotonic()
        self._events[event] = self._events.get(event, 0) + 1
        if now - self._told.get(event, float("-inf")) < TELL_SECONDS:
            return 0
        self._told[event] = now
        return self._events.pop(event)
