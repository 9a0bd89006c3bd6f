from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapter.contract.list_cache import ListCache
from adapter.credentials import Credentials, parse_credentials
from adapter.errors import RepositoryUnknown
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY

MINE = parse_credentials(ACCESS_ID, SECRET_KEY, [PROJECT])


class Reader:
    """Reads lists that differ each time: the n-th fetched list is `[n]`."""

    def __init__(self, cache: ListCache[int]) -> None:
        self.cache = cache
        self.fetched = 0

    def fetch(self) -> list[int]:
        self.fetched += 1
        return [self.fetched]

    def first(self, name: str, size: int | None = 0, credentials: Credentials = MINE) -> int:
        """Requests the first page, of `size` entries; with 0 there are more pages."""
        return self.cache.read(credentials, name, self.fetch, first=True, size=size)[0]

    def later(self, name: str, size: int | None = 0, credentials: Credentials = MINE) -> int:
        return self.cache.read(credentials, name, self.fetch, first=False, size=size)[0]

    def put(self, name: str, entries: list[int]) -> None:
        self.cache.read(MINE, name, lambda: entries, first=True, size=0)


@pytest.fixture
def reader() -> Reader:
    return Reader(ListCache())


def test_first_page_is_fetched_and_later_ones_are_cached(reader: Reader) -> None:
    assert [reader.first("a"), reader.later("a"), reader.first("a"), reader.later("a")] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "other",
    [
        parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT]),
        parse_credentials(ACCESS_ID, LOGIN_KEY, [PROJECT]),
        parse_credentials(ACCESS_ID, OTHER_SECRET_KEY, [PROJECT]),
        parse_credentials(f"{PROJECT}_x@{ACCESS_ID.partition('@')[2]}", SECRET_KEY, [PROJECT]),
    ],
)
def test_other_credentials_and_names_have_their_own_lists(reader: Reader, other: Credentials) -> None:
    assert reader.first("a") == 1
    assert reader.later("a", credentials=other) == 2
    assert reader.later("b") == 3
    assert reader.later("a") == 1


@pytest.mark.parametrize("size", [1, 10, None])
def test_list_of_one_page_is_not_cached(reader: Reader, size: int | None) -> None:
    assert [reader.first("a", size), reader.later("a", size)] == [1, 2]


def test_newer_list_of_one_page_replaces_the_cached_one(reader: Reader) -> None:
    reader.first("a")
    reader.first("a", size=None)
    assert reader.later("a") == 2


def test_error_is_not_cached(reader: Reader) -> None:
    def fail() -> list[int]:
        raise ValueError

    with pytest.raises(ValueError):
        reader.cache.read(MINE, "a", fail, first=True, size=0)
    assert reader.later("a") == 1


def test_list_expires() -> None:
    now = [0.0]
    reader = Reader(ListCache(ttl_seconds=10, clock=lambda: now[0]))
    reader.first("a")
    now[0] = 5.0
    reader.first("b")
    now[0] = 9.9
    assert reader.later("a") == 1
    now[0] = 10.0
    assert [reader.later("a"), reader.later("b")] == [3, 2]


def test_oldest_list_is_dropped_and_the_latest_kept_whatever_its_weight() -> None:
    reader = Reader(ListCache(max_weight=5))
    assert [reader.first(name) for name in "abc"] == [1, 2, 3]
    assert [reader.later("b"), reader.later("a")] == [2, 4]
    reader.put("long", list(range(99)))
    assert len(reader.cache.read(MINE, "long", reader.fetch, first=False, size=0)) == 99
    assert reader.later("a") == 5


def test_weight_of_entries() -> None:
    reader = Reader(ListCache(lambda entry: entry, max_weight=20))
    reader.put("light", [2, 2])
    reader.put("heavy", [14])
    assert reader.later("light") == 2
    reader.put("one more", [0])
    assert reader.later("heavy") == 14
    assert reader.fetched == 0
    assert reader.later("light") == 1


def test_replaced_and_expired_lists_weigh_nothing() -> None:
    now = [0.0]
    reader = Reader(ListCache(max_weight=6, ttl_seconds=10, clock=lambda: now[0]))
    for name in [*"aaaaaaaaa", "b"]:
        reader.first(name)
    now[0] = 10.0
    expected = [reader.first(name) for name in "cde"]
    assert [reader.later(name) for name in "cde"] == expected


class Flight:
    """A fetch that has started and not ended."""

    def __init__(self, cache: ListCache[int], fetch: Callable[[], list[int]]) -> None:
        self.started, self.end = threading.Event(), threading.Event()
        self._cache = cache
        self._fetch = fetch

    def __call__(self) -> list[int]:
        self.started.set()
        assert self.end.wait(10)
        return self._fetch()

    def wait_for(self, count: int) -> None:
        """Waits until `count` threads wait for a fetch."""
        until = time.monotonic() + 10
        while sum(len(each._condition._waiters) for each in list(self._cache._flights._running.values())) < count:  # type: ignore[attr-defined, misc]
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.mark.parametrize("fails", [False, True])
def test_concurrent_requests_share_fetches(reader: Reader, fails: bool) -> None:
    """Later pages share the running fetch. First pages share the next one: the running one may miss their push."""

    def running() -> list[int]:
        if fails:
            raise RepositoryUnknown("not yet")
        return reader.fetch()

    def following() -> list[int]:
        # The other three requests for a first page have come back.
        flight.wait_for(3)
        return reader.fetch()

    flight = Flight(reader.cache, running)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(reader.cache.read, MINE, "a", flight, first=True, size=0)
        assert flight.started.wait(10)
        others = [
            pool.submit(reader.cache.read, MINE, "a", following, first=number % 2 == 0, size=0) for number in range(8)
        ]
        flight.wait_for(8)
        flight.end.set()
        outcomes = [each.exception() or each.result() for each in (first, *others)]
    assert all(isinstance(each, RepositoryUnknown) if fails else each == [1] for each in outcomes[0::2])
    assert outcomes[1::2] == [[1 if fails else 2]] * 4
    assert reader.fetched == (1 if fails else 2)
