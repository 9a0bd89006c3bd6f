"""The state of one process."""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict


class MemoryState:
    """A `State` in memory: at most so many values. Those that are over go first, then those unused for longest, so that
    many values of short life push out none that lives."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._ends: list[tuple[float, str]] = []

    def get(self, key: str) -> bytes | None:
        with self._lock:
            until, value = self._values.get(key, (0.0, b""))
            if until <= time.monotonic():
                self._values.pop(key, None)
                return None
            self._values.move_to_end(key)
            return value

    def put(self, key: str, value: bytes, seconds: float) -> None:
        with self._lock:
            now = time.monotonic()
            self._values[key] = (now + seconds, value)
            self._values.move_to_end(key)
            heapq.heappush(self._ends, (now + seconds, key))
            self._expire(now)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
            if len(self._ends) > 2 * len(self._values) + 64:
                self._ends = [(until, each) for each, (until, _) in self._values.items()]
                heapq.heapify(self._ends)

    def drop(self, key: str) -> None:
        with self._lock:
            self._values.pop(key, None)

    def _expire(self, now: float) -> None:
        """An end whose value was put again, or dropped, says nothing."""
        while self._ends and self._ends[0][0] <= now:
            until, key = heapq.heappop(self._ends)
            if key in self._values and self._values[key][0] == until:
                del self._values[key]
