"""Requests per second and tenant, and locked access keys."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque


class Rate:
    """Requests of each tenant within the last second; rejected requests do not count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[str, deque[float]] = {}

    def take(self, tenant: str, limit: int) -> bool:
        """Counts a request and returns True, or returns False above the limit; `limit` 0: no limit."""
        now = time.monotonic()
        with self._lock:
            times = self._times.setdefault(tenant, deque())
            while times and times[0] <= now - 1:
                times.popleft()
            if limit and len(times) >= limit:
                return False
            times.append(now)
            return True

    def reset(self) -> None:
        with self._lock:
            self._times.clear()


class Lockouts:
    """Access keys that are locked after consecutive bad signatures (docs/facts/swr.md §3.1)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._consecutive: Counter[str] = Counter()
        self._until: dict[str, float] = {}
        self._bad = 0

    def locked(self, access_key: str) -> bool:
        with self._lock:
            return self._until.get(access_key, 0) > time.monotonic()

    def record_valid(self, access_key: str) -> None:
        with self._lock:
            self._consecutive.pop(access_key, None)

    def record_invalid(self, access_key: str | None, after: int, seconds: int) -> None:
        """Counts a bad signature. `access_key` is None for an unknown one; `after` 0 never locks."""
        with self._lock:
            self._bad += 1
            if access_key is None:
                return
            self._consecutive[access_key] += 1
            if after and self._consecutive[access_key] >= after:
                self._until[access_key] = time.monotonic() + seconds
                self._consecutive.pop(access_key)

    def report(self) -> dict[str, object]:
        """`count` of bad signatures since the last reset, and the access keys that are `locked`."""
        with self._lock:
            return {
                "count": self._bad,
                "locked": sorted(key for key, until in self._until.items() if until > time.monotonic()),
            }

    def reset(self) -> None:
        with self._lock:
            self._consecutive.clear()
            self._until.clear()
            self._bad = 0
