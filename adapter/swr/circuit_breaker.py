"""What is known of hosts that could not be reached, or answered nothing but 5xx, so that reads need not find it out
anew each time.

Only reads ask (retry policies with `connect`); uploads keep trying. That no connection can be made concerns everybody
who asks that host, so it takes more than one attempt that failed. SWR answers 503 to a tenant that asks too much
(`docs/facts/swr.md §4.13`), so what 5xx tell is kept by the whole credential: a secret that nobody has proven says
nothing about others.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeVar

from adapter.errors import AdapterError

T = TypeVar("T")

UNREACHABLE_SECONDS: Final = 7.0
"""For which a host that could not be reached is not tried; then one request is let through to see."""
PROBE_SECONDS: Final = 10.0
"""After which another one is let through, if the first has told nothing."""
UNAVAILABLE_SECONDS: Final = 30.0
"""For which a host that answered nothing but 5xx is asked once, and not repeatedly."""
MAX_ENTRIES: Final = 1_000


@dataclass
class _Unreachable:
    """`failure` is what the last one was told; nobody else is let through before `until`."""

    failure: AdapterError
    until: float


class CircuitBreaker:
    """For any number of hosts; shared by all threads. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._unreachable: OrderedDict[Hashable, _Unreachable] = OrderedDict()
        self._reached: OrderedDict[Hashable, float] = OrderedDict()
        self._unavailable: OrderedDict[Hashable, float] = OrderedDict()

    def refusal(self, host: str) -> AdapterError | None:
        """What to tell a read at once; None when it may go. After a while one may, and the others wait for it."""
        with self._lock:
            found = self._unreachable.get(host)
            now = self._clock()
            if found is None:
                return None
            if now >= found.until:
                found.until = now + PROBE_SECONDS
                return None
            return type(found.failure)(found.failure.sentence, retry_after=found.until - now)

    def unreached(self, host: str, failure: AdapterError, since: float) -> None:
        """A request was given up that could make no connection to the host since a moment of the clock. Means nothing
        when others could."""
        with self._lock:
            if self._reached.get(host, since) > since:
                return
            _put(self._unreachable, host, _Unreachable(failure, self._clock() + UNREACHABLE_SECONDS))

    def reached(self, host: str) -> None:
        """A request went out to it."""
        with self._lock:
            self._unreachable.pop(host, None)
            _put(self._reached, host, self._clock())

    def is_unavailable(self, host: str, credential: str) -> bool:
        """Whether it answered this credential nothing but 5xx lately."""
        with self._lock:
            return self._unavailable.get((host, credential), 0.0) > self._clock()

    def failed(self, host: str, credential: str) -> None:
        """A read was given up after answers of 5xx alone."""
        with self._lock:
            _put(self._unavailable, (host, credential), self._clock() + UNAVAILABLE_SECONDS)

    def answered(self, host: str, credential: str) -> None:
        """It answered with something else."""
        with self._lock:
            self._unavailable.pop((host, credential), None)


def _put(entries: OrderedDict[Hashable, T], key: Hashable, value: T) -> None:
    entries[key] = value
    entries.move_to_end(key)
    while len(entries) > MAX_ENTRIES:
        entries.popitem(last=False)
