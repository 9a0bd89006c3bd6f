"""Hosts that could not be reached, or returned only 5xx, a moment ago, so that reads fail fast.

Only reads use it (retry policies with `connect_seconds`); uploads keep trying. An unreachable host concerns all
requests to it, so one failed attempt is not enough. SWR answers 503 to a tenant with too many requests
(`docs/facts/swr.md §4.13`), so 5xx count only for the whole credential: a wrong secret must not affect others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache, TTLCache

from adapter.errors import AdapterError

UNREACHABLE_SECONDS: Final = 7.0
"""Time for which an unreachable host is not tried; then one request may try it."""
PROBE_SECONDS: Final = 10.0
"""Time after which another request may try the host, if the first request has no result."""
UNAVAILABLE_SECONDS: Final = 30.0
"""Time for which a host that returned only 5xx is tried only once per request."""
MAX_ENTRIES: Final = 1_000


@dataclass
class _Unreachable:
    """`failure` is the error of the last request; no other request may try the host before `until`."""

    failure: AdapterError
    until: float


class CircuitBreaker:
    """For any number of hosts; shared by all threads. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._unreachable: LRUCache[str, _Unreachable] = LRUCache(MAX_ENTRIES)
        self._reached: LRUCache[str, float] = LRUCache(MAX_ENTRIES)
        self._unavailable: TTLCache[tuple[str, str], bool] = TTLCache(MAX_ENTRIES, UNAVAILABLE_SECONDS, timer=clock)

    def rejection(self, host: str) -> AdapterError | None:
        """The error for a read that may not try the host now, None for one that may. After a while one read may try,
        and the others wait for its result."""
        with self._lock:
            entry = self._unreachable.get(host)
            now = self._clock()
            if entry is None:
                return None
            if now >= entry.until:
                entry.until = now + PROBE_SECONDS
                return None
            return type(entry.failure)(entry.failure.sentence, retry_after=entry.until - now)

    def note_unreachable(self, host: str, failure: AdapterError, since: float) -> None:
        """Notes a request that failed to connect to the host from a moment of the clock on. Ignored if another request
        has reached the host since then."""
        with self._lock:
            if self._reached.get(host, since) > since:
                return
            self._unreachable[host] = _Unreachable(failure, self._clock() + UNREACHABLE_SECONDS)

    def note_reached(self, host: str) -> None:
        """Notes that a request was sent to the host."""
        with self._lock:
            self._unreachable.pop(host, None)
            self._reached[host] = self._clock()

    def is_unavailable(self, host: str, credential: str) -> bool:
        """Whether the host has returned only 5xx for this credential lately."""
        with self._lock:
            return (host, credential) in self._unavailable

    def note_unavailable(self, host: str, credential: str) -> None:
        """Notes that a read failed after responses of only 5xx."""
        with self._lock:
            self._unavailable[host, credential] = True

    def note_available(self, host: str, credential: str) -> None:
        """Notes that the host returned another status than 5xx."""
        with self._lock:
            self._unavailable.pop((host, credential), None)
