"""The state of one process."""

from __future__ import annotations

import threading
import time

from cachetools import TLRUCache


class MemoryState:
    """A `State` in memory with at most `max_entries` values.

    When it is full, expired values are dropped first, then those that were unused for longest, so that many short-lived
    values displace none that is still valid.
    """

    def __init__(self, max_entries: int = 100_000) -> None:
        self._lock = threading.Lock()
        self._values: TLRUCache[str, tuple[float, bytes]] = TLRUCache(
            max_entries, ttu=lambda _, entry, now: now + entry[0], timer=lambda: time.monotonic()
        )

    def get(self, key: str) -> bytes | None:
        with self._lock:
            entry = self._values.get(key)
            return None if entry is None else entry[1]

    def put(self, key: str, value: bytes, seconds: float) -> None:
        with self._lock:
            # An entry that would expire at once is not stored, and would leave an older one in place.
            self._values.pop(key, None)
            self._values[key] = (seconds, value)

    def drop(self, key: str) -> None:
        with self._lock:
            self._values.pop(key, None)
