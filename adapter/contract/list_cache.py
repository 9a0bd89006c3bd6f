"""Lists that are read page by page: the first page fetches the list from SWR, further pages come from the cache.

So a list costs the pages that SWR returns, however small the pages of the caller are, and a push between two pages
changes nothing. A first page is always fetched: no response is older than the list that it continues.
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

TTL_SECONDS: Final = 120.0
FETCH_TIMEOUT_SECONDS: Final = 600.0
"""How long a request waits for a list that another request fetches."""
MAX_WEIGHT: Final = 100_000
"""Weight of all cached lists. The latest list is cached even if it alone weighs more."""


@dataclass(frozen=True)
class _CachedList(Generic[T]):
    access_key: str
    entries: Sequence[T]
    weight: int
    expires: float


class ListCache(Generic[T]):
    """Lists by credentials and name. Safe for threads.

    `weigh` returns how many entries of SWR's list one entry holds: for an artifact, its tags. A list weighs one more
    than its entries. When all lists weigh more than `max_weight`, the access key with the heaviest lists loses its
    oldest one, so an access key with many lists displaces its own lists before those of others.
    """

    def __init__(
        self,
        weigh: Callable[[T], int] = lambda _: 1,
        *,
        ttl_seconds: float = TTL_SECONDS,
        max_weight: int = MAX_WEIGHT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._weigh = weigh
        self._ttl_seconds = ttl_seconds
        self._max_weight = max_weight
        self._clock = clock
        self._lock = threading.Lock()
        self._lists: OrderedDict[Hashable, _CachedList[T]] = OrderedDict()
        self._keys: dict[str, OrderedDict[Hashable, None]] = {}
        """The keys of the lists of each access key, oldest first."""
        self._weights: Counter[str] = Counter()
        self._flights: SingleFlight[Sequence[T]] = SingleFlight()

    def read(
        self, credentials: Credentials, name: str, fetch: Callable[[], Sequence[T]], *, first: bool, size: int | None
    ) -> Sequence[T]:
        """The list `name`, fetched for a first page or if it is not cached; concurrent requests share one fetch.

        The list is cached if it has more than `size` entries; None means one page with all entries. Raises what
        `fetch` raises.
        """
        key = (credentials.fingerprint, name)
        if not first and (cached := self._find(key)) is not None:
            return cached
        fetched_here = False
        deadline = time.monotonic() + FETCH_TIMEOUT_SECONDS

        def fetch_and_cache() -> Sequence[T]:
            nonlocal fetched_here
            fetched_here = True
            entries = fetch()
            # Cached before another fetch can start: an older list must not replace a newer one.
            self._store(key, credentials.regional_key, entries, needed=size is not None and len(entries) > size)
            return entries

        try:
            entries, _ = self._flights.do(key, fetch_and_cache, timeout=FETCH_TIMEOUT_SECONDS)
        except AdapterError:
            if fetched_here or not first:
                raise
        else:
            if fetched_here or not first:
                return entries
        # That fetch started before this request and may miss what the caller has just pushed. The next one cannot.
        return self._flights.do(key, fetch_and_cache, timeout=deadline - time.monotonic())[0]

    def _find(self, key: Hashable) -> Sequence[T] | None:
        with self._lock:
            self._drop_expired()
            cached = self._lists.get(key)
            return None if cached is None else cached.entries

    def _store(self, key: Hashable, access_key: str, entries: Sequence[T], *, needed: bool) -> None:
        """A list that is not needed is stored only to replace an older one."""
        weight = 1 + sum(map(self._weigh, entries))
        with self._lock:
            self._drop_expired()
            if key in self._lists:
                self._drop(key)
            elif not needed:
                return
            self._lists[key] = _CachedList(access_key, entries, weight, self._clock() + self._ttl_seconds)
            self._keys.setdefault(access_key, OrderedDict())[key] = None
            self._weights[access_key] += weight
            self._drop_heaviest(key)

    def _drop_heaviest(self, latest: Hashable) -> None:
        while self._weights.total() > self._max_weight and len(self._lists) > 1:
            candidates = (access_key for access_key, keys in self._keys.items() if len(keys) > 1 or latest not in keys)
            heaviest = max(candidates, key=self._weights.__getitem__)
            self._drop(next(iter(self._keys[heaviest])))

    def _drop_expired(self) -> None:
        """All lists have the same lifetime, so the oldest expires first."""
        now = self._clock()
        while self._lists and next(iter(self._lists.values())).expires <= now:
            self._drop(next(iter(self._lists)))

    def _drop(self, key: Hashable) -> None:
        dropped = self._lists.pop(key)
        self._weights[dropped.access_key] -= dropped.weight
        keys = self._keys[dropped.access_key]
        del keys[key]
        if not keys:
            del self._keys[dropped.access_key], self._weights[dropped.access_key]
