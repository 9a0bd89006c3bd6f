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

from adapter.errors import AdapterError
from adapter.identity import Identity
from adapter.swr.single import SingleFlight

T = TypeVar("T")

KEPT: Final = 120.0
"""Seconds."""
MOST: Final = 100_000
"""Weight of all lists that are kept; the last one is kept whatever its weight."""


@dataclass(frozen=True)
class _Snapshot(Generic[T]):
    entries: Sequence[T]
    weight: int
    until: float


class Snapshots(Generic[T]):
    """Lists by the whole credential and a name; shared by all threads.

    `weigh` tells how much of what SWR lists an entry stands for: an artifact for all its tags. A list weighs one more.
    """

    def __init__(
        self,
        weigh: Callable[[T], int] = lambda _: 1,
        *,
        seconds: float = KEPT,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._weigh = weigh
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Snapshot[T]] = OrderedDict()
        self._weight = 0
        self._flights: SingleFlight[Sequence[T]] = SingleFlight()

    def read(
        self, identity: Identity, name: str, fetch: Callable[[], Sequence[T]], *, first: bool, size: int | None
    ) -> Sequence[T]:
        """The list `name`, fetched when the first page is wanted, or when it is not kept; once for all who wait for it.

        It is kept when it has more entries than the page of `size`, None for one that holds all. Raises what `fetch`
        raises.
        """
        key = (identity.fingerprint, name)
        if not first and (kept := self._find(key)) is not None:
            return kept
        begun = False

        def begin() -> Sequence[T]:
            nonlocal begun
            begun = True
            entries = fetch()
            # Before anyone can begin the next call, whose newer list this one must not replace.
            self._keep(key, entries, needed=size is not None and len(entries) > size)
            return entries

        try:
            entries, _ = self._flights.do(key, begin)
        except AdapterError:
            if begun or not first:
                raise
        else:
            if begun or not first:
                return entries
        # That call began before this one, and may have missed what the caller has just pushed. Any other began after.
        return self._flights.do(key, begin)[0]

    def _find(self, key: Hashable) -> Sequence[T] | None:
        with self._lock:
            self._expire()
            found = self._kept.get(key)
            return None if found is None else found.entries

    def _keep(self, key: Hashable, entries: Sequence[T], *, needed: bool) -> None:
        """Also one that is not needed takes the place of an older one."""
        weight = 1 + sum(map(self._weigh, entries))
        with self._lock:
            self._expire()
            if key in self._kept:
                self._weight -= self._kept.pop(key).weight
            elif not needed:
                return
            self._kept[key] = _Snapshot(entries, weight, self._clock() + self._seconds)
            self._weight += weight
            while self._weight > self._most and len(self._kept) > 1:
                self._drop_oldest()

    def _expire(self) -> None:
        """The oldest are first."""
        now = self._clock()
        while self._kept and next(iter(self._kept.values())).until <= now:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, gone = self._kept.popitem(last=False)
        self._weight -= gone.weight
