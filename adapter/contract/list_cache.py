"""Lists that are read page by page: SWR is asked for the first page, the others come from what it answered then.

So a list of n entries costs what SWR's own pages cost, however small the caller's are, and a push between two pages
moves nothing. A first page is always asked of SWR: no answer is older than the listing that it continues.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from adapter.credentials import Credentials
from adapter.errors import AdapterError
from adapter.state.singleflight import SingleFlight

T = TypeVar("T")

KEPT: Final = 120.0
"""Seconds."""
FETCH_SECONDS: Final = 600.0
"""Seconds that anybody waits for a list that another one asked for, as long as one may take."""
MOST: Final = 100_000
"""Weight of all lists that are kept; the last one is kept whatever its weight."""


@dataclass(frozen=True)
class _CachedList(Generic[T]):
    account: str
    entries: Sequence[T]
    weight: int
    until: float


class ListCache(Generic[T]):
    """Lists by the whole credential and a name; shared by all threads.

    `weigh` tells how much of what SWR lists an entry stands for: an artifact for all its tags. A list weighs one more.
    Where the lists weigh too much, the oldest of the account with the heaviest ones goes, so that an account with many
    lists displaces its own before those of others.
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
        self._preserved: OrderedDict[Hashable, _CachedList[T]] = OrderedDict()
        self._keys: dict[str, OrderedDict[Hashable, None]] = {}
        self._weights: Counter[str] = Counter()
        self._flights: SingleFlight[Sequence[T]] = SingleFlight()

    def read(
        self, credentials: Credentials, name: str, fetch: Callable[[], Sequence[T]], *, first: bool, size: int | None
    ) -> Sequence[T]:
        """The list `name`, fetched when the first page is wanted, or when it is not kept; once for all who wait for it.

        It is kept when it has more entries than the page of `size`, None for one that holds all. Raises what `fetch`
        raises.
        """
        key = (credentials.fingerprint, name)
        if not first and (kept := self._find(key)) is not None:
            return kept
        begun = False
        until = time.monotonic() + FETCH_SECONDS

        def begin() -> Sequence[T]:
            nonlocal begun
            begun = True
            entries = fetch()
            # Before anyone can begin the next call, whose newer list this one must not replace.
            self._keep(key, credentials.regional_key, entries, needed=size is not None and len(entries) > size)
            return entries

        try:
            entries, _ = self._flights.do(key, begin, timeout=FETCH_SECONDS)
        except AdapterError:
            if begun or not first:
                raise
        else:
            if begun or not first:
                return entries
        # That call began before this one, and may have missed what the caller has just pushed. Any other began after.
        return self._flights.do(key, begin, timeout=until - time.monotonic())[0]

    def _find(self, key: Hashable) -> Sequence[T] | None:
        with self._lock:
            self._expire()
            found = self._preserved.get(key)
            return None if found is None else found.entries

    def _keep(self, key: Hashable, account: str, entries: Sequence[T], *, needed: bool) -> None:
        """Also one that is not needed takes the place of an older one."""
        weight = 1 + sum(map(self._weigh, entries))
        with self._lock:
            self._expire()
            if key in self._preserved:
                self._drop(key)
            elif not needed:
                return
            self._preserved[key] = _CachedList(account, entries, weight, self._clock() + self._seconds)
            self._keys.setdefault(account, OrderedDict())[key] = None
            self._weights[account] += weight
            self._make_room(key)

    def _make_room(self, latest: Hashable) -> None:
        while self._weights.total() > self._most and len(self._preserved) > 1:
            accounts = (account for account, keys in self._keys.items() if len(keys) > 1 or latest not in keys)
            heaviest = max(accounts, key=self._weights.__getitem__)
            self._drop(next(iter(self._keys[heaviest])))

    def _expire(self) -> None:
        """The oldest are first."""
        now = self._clock()
        while self._preserved and next(iter(self._preserved.values())).until <= now:
            self._drop(next(iter(self._preserved)))

    def _drop(self, key: Hashable) -> None:
        gone = self._preserved.pop(key)
        self._weights[gone.account] -= gone.weight
        keys = self._keys[gone.account]
        del keys[key]
        if not keys:
            del self._keys[gone.account], self._weights[gone.account]
