"""Listeners, each with its own limit of connections and its own threads: silent clients of one port cost the other
ports nothing.

All ports share the file descriptors of the process, so the limits are computed from their number, and the operations
port sets descriptors aside that no other port can use.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from dataclasses import dataclass
from typing import Any, Final

from adapter.errors import AdapterError
from adapter.server_certificate import Certificate

MAX_LINE_BYTES: Final = 8190
"""Limit of a request line, unless the listener has its own."""
MAX_HEADS_BYTES: Final = 16 << 20
"""Limit of unfinished heads, for all connections of one listener together."""
PAUSE_SECONDS: Final = 0.5
"""Seconds without new connections after the kernel could not accept one."""
LOG_INTERVAL_SECONDS: Final = 60.0
"""Seconds between two log lines about the same event of a listener."""
OPERATIONS_CONNECTIONS: Final = 16

_OTHER_FILES: Final = 64
"""Descriptors for the log, the poller, the shared state, name resolution and idle connections."""
_MIN_CONNECTIONS: Final = 8
_MAX_CONTRACT_CONNECTIONS: Final = 4096
_MAX_PROVIDER_CONNECTIONS: Final = 1024


def _plain_error(error: AdapterError, _path: str, _request_id: str) -> bytes:
    return f"{error.sentence}\n".encode()


@dataclass(frozen=True)
class ListenerConfig:
    """Configuration of one listener.

    `threads` serve its requests; with a `certificate` it serves TLS; with `open_until_exit` it stays open while the
    process stops; `connections` is its limit, and with `reserved` descriptors are set aside for all of them; `max_line`
    is the limit of a request line in bytes; `error_body(error, path, request_id)` makes the body of a response when the
    server itself rejects a request.
    """

    threads: int
    certificate: Certificate | None = None
    open_until_exit: bool = False
    name: str = "server"
    connections: int = 1024
    reserved: bool = False
    max_line: int = MAX_LINE_BYTES
    error_body: Callable[[AdapterError, str, str], bytes] = _plain_error


@dataclass(frozen=True)
class Limits:
    """Maximum number of connections of each listener."""

    contract: int
    provider: int
    operations: int = OPERATIONS_CONNECTIONS

    @classmethod
    def of(cls, files: int, contract_threads: int, provider_threads: int) -> Limits:
        """Limits for `files` descriptors. Each thread may need a second one, for a connection to SWR or Harbor core."""
        free = files - _OTHER_FILES - OPERATIONS_CONNECTIONS
        provider = min(_MAX_PROVIDER_CONNECTIONS, _connections(free // 4, provider_threads))
        contract = min(_MAX_CONTRACT_CONNECTIONS, _connections(free - free // 4, contract_threads))
        return cls(contract, provider)


def _connections(files: int, threads: int) -> int:
    """Connections for which the descriptors suffice when `threads` of the connections need a second one."""
    return max(_MIN_CONNECTIONS, files - threads if files >= 2 * threads else files // 2)


class DescriptorReserve:
    """Descriptors that are set aside: each connection gets one of them, and returns it at its end."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._held: list[int] = []
        self._refill()

    def take(self) -> bool:
        """Frees a descriptor for a connection; False if none is left."""
        if not self._held:
            return False
        os.close(self._held.pop())
        self._number -= 1
        return True

    def put_back(self) -> None:
        """Sets the descriptor of a closed connection aside again."""
        self._number += 1
        self._refill()

    def _refill(self) -> None:
        with contextlib.suppress(OSError):
            while len(self._held) < self._number:
                self._held.append(os.eventfd(0, os.EFD_CLOEXEC))


class Listener:
    """A listening socket and its connections. For the main loop only, except `count_heads`.

    `address` is the address of the socket; `cfg` is its gunicorn configuration; `count` is the number of connections;
    `heads_bytes` counts the bytes of unfinished heads; `paused_until` is a time of `time.monotonic()` while the
    listener accepts no connections.
    """

    def __init__(self, socket: Any, config: ListenerConfig, cfg: Any) -> None:
        self.socket = socket
        self.address = socket.getsockname()
        self.config = config
        self.cfg = cfg
        self.count = 0
        self.heads_bytes = 0
        self.paused_until: float | None = None
        self._lock = threading.Lock()
        self._reserve = DescriptorReserve(config.connections if config.reserved else 0)
        self._logged_at: dict[str, float] = {}
        self._events: dict[str, int] = {}

    @property
    def full(self) -> bool:
        return self.count >= self.config.connections

    def accept(self) -> tuple[Any, Any]:
        """The next connection and the address of its client. Raises `OSError`."""
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
        """Notes that one of its connections has ended."""
        self.count -= 1
        if self.config.reserved:
            self._reserve.put_back()

    def count_heads(self, size: int) -> None:
        """Adds `size` bytes, which may be negative, to the unfinished heads."""
        with self._lock:
            self.heads_bytes += size

    def events_to_log(self, event: str) -> int:
        """Counts an event. Returns how often it has occurred since its last log line, or 0 when no line is due yet."""
        now = time.monotonic()
        self._events[event] = self._events.get(event, 0) + 1
        if now - self._logged_at.get(event, float("-inf")) < LOG_INTERVAL_SECONDS:
            return 0
        self._logged_at[event] = now
        return self._events.pop(event)


class ListenerPools(futures.Executor):
    """One thread pool per listener."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._pools = {
            each.address: futures.ThreadPoolExecutor(each.config.threads, thread_name_prefix=each.config.name)
            for each in listeners
        }

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        """Runs `fn(connection)` in the pool of the listener that accepted the connection."""
        return self._pools[args[0].server].submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for pool in self._pools.values():
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)
