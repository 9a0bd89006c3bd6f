"""Lists that are read page by page: SWR is asked for the first page, the others come from what it answered then.

So a list of n entries costs what SWR's own pages cost, however small the caller's are, and a push between two pages
moves nothing. A first page is always asked of SWR: no answer is older than the listing that it continues.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from adapter.identity import Identity
from adapter.swr.single import SingleFlight

T = TypeVar("T")

KEPT: Final = 120.0
"""Seconds."""
MOST_ENTRIES: Final = 100_000
"""Of all lists that are kept; the last one is kept whatever its length."""


@dataclass(frozen=True)
class _Snapshot(Generic[T]):
    entries: Sequence[T]
    until: float


class Snapshots(Generic[T]):
    """Lists by the whole credential and a name; shared by all threads."""

    def __init__(
        self, seconds: float = KEPT, most: int = MOST_ENTRIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Snapshot[T]] = OrderedDict()
        self._flights: SingleFlight[Sequence[T]] = SingleFlight()

    def read(self, identity: Identity, name: str, fetch: Callable[[], Sequence[T]], *, first: bool) -> Sequence[T]:
        """The list `name`, fetched when the first page is wanted, or when it is not kept; once for all who ask
        meanwhile. Raises what `fetch` raises."""
        key = (identity.fingerprint, name)
        if not first and (kept := self._find(key)) is not None:
            return kept
        entries, ours = self._flights.do(key, fetch)
        if ours:
            self._keep(key, entries)
        return entries

    def _find(self, key: Hashable) -> Sequence[T] | None:
        with self._lock:
            self._expire()
            found = self._kept.get(key)
            return None if found is None else found.entries

    def _keep(self, key: Hashable, entries: Sequence[T]) -> None:
        with self._lock:
            self._expire()
            self._kept.pop(key, None)
            self._kept[key] = _Snapshot(entries, self._clock() + self._seconds)
            total = sum(len(each.entries) + 1 for each in self._kept.values())
            while total > self._most and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                total -= len(gone.entries) + 1

    def _expire(self) -> None:
        """The oldest are first."""
        now = self._clock()
        while self._kept and next(iter(self._kept.values())).until <= now:
            self._kept.popitem(last=False)
