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


class Source:
    """Lists that differ each time."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> list[int]:
        self.asked += 1
        return [self.asked]


def test_a_first_page_is_asked_for_and_the_others_follow_it() -> None:
    seen, source = ListCache[int](), Source()
    assert seen.read(MINE, "a", source, first=True, size=0) == [1]
    assert seen.read(MINE, "a", source, first=False, size=0) == [1]
    assert seen.read(MINE, "a", source, first=True, size=0) == [2]
    assert seen.read(MINE, "a", source, first=False, size=0) == [2]
    assert source.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT]),
        parse_credentials(ACCESS_ID, LOGIN_KEY, [PROJECT]),
        parse_credentials(ACCESS_ID, OTHER_SECRET_KEY, [PROJECT]),
        parse_credentials(f"{PROJECT}_x@{ACCESS_ID.partition('@')[2]}", SECRET_KEY, [PROJECT]),
    ],
)
def test_other_credentials_have_lists_of_their_own(other: Credentials) -> None:
    seen, source = ListCache[int](), Source()
    assert seen.read(MINE, "a", source, first=True, size=0) == [1]
    assert seen.read(other, "a", source, first=False, size=0) == [2]
    assert seen.read(MINE, "b", source, first=False, size=0) == [3]
    assert seen.read(MINE, "a", source, first=False, size=0) == [1]


class Flight:
    """A call that has begun and not ended; who asks meanwhile waits for it, as `arrived` tells of them."""

    def __init__(self, seen: ListCache[int], fetch: Callable[[], list[int]]) -> None:
        self.seen = seen
        self.begun, self.over = threading.Event(), threading.Event()
        self._fetch = fetch

    def __call__(self) -> list[int]:
        self.begun.set()
        assert self.over.wait(10)
        return self._fetch()

    def arrived(self, count: int) -> None:
        until = time.monotonic() + 10
        while sum(len(each._condition._waiters) for each in list(self.seen._flights._running.values())) < count:  # type: ignore[attr-defined, misc]
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_fetched_once_for_all_who_ask_meanwhile(fails: bool) -> None:
    """And once more for all who want to know how it is now: the call under way may have looked before their push."""
    seen, source = ListCache[int](), Source()

    def old() -> list[int]:
        if fails:
            raise RepositoryUnknown("not yet")
        return source()

    def now_known() -> list[int]:
        # Those who ask for a first page have come a second time.
        flight.arrived(3)
        return source()

    flight = Flight(seen, old)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(seen.read, MINE, "a", flight, first=True, size=0)
        assert flight.begun.wait(10)
        others = [pool.submit(seen.read, MINE, "a", now_known, first=number % 2 == 0, size=0) for number in range(8)]
        flight.arrived(8)
        flight.over.set()
        outcomes = [each.exception() or each.result() for each in (first, *others)]
    then, now = outcomes[0::2], outcomes[1::2]
    assert all(isinstance(each, RepositoryUnknown) if fails else each == [1] for each in then)
    assert now == [[1 if fails else 2]] * 4
    assert source.asked == (1 if fails else 2)


def test_what_fits_on_its_page_is_not_kept() -> None:
    seen, source = ListCache[int](), Source()
    for size in (1, 10, None):
        asked = source.asked
        seen.read(MINE, "a", source, first=True, size=size)
        seen.read(MINE, "a", source, first=False, size=size)
        assert source.asked == asked + 2


def test_no_older_list_is_kept_than_the_last_that_was_fetched() -> None:
    seen, source = ListCache[int](), Source()
    seen.read(MINE, "a", source, first=True, size=0)
    seen.read(MINE, "a", source, first=True, size=None)
    assert seen.read(MINE, "a", source, first=False, size=0) == [2]


def test_a_failure_is_not_kept() -> None:
    seen, source = ListCache[int](), Source()

    def fails() -> list[int]:
        raise ValueError

    with pytest.raises(ValueError):
        seen.read(MINE, "a", fails, first=True, size=0)
    assert seen.read(MINE, "a", source, first=False, size=0) == [1]


def test_after_a_while_it_is_asked_again() -> None:
    now = [0.0]
    seen, source = ListCache[int](seconds=10, clock=lambda: now[0]), Source()
    seen.read(MINE, "a", source, first=True, size=0)
    now[0] = 5.0
    seen.read(MINE, "b", source, first=True, size=0)
    now[0] = 9.9
    assert seen.read(MINE, "a", source, first=False, size=0) == [1]
    now[0] = 10.0
    assert seen.read(MINE, "a", source, first=False, size=0) == [3]
    assert seen.read(MINE, "b", source, first=False, size=0) == [2]


def test_so_many_entries_are_kept_and_the_last_list_in_any_case() -> None:
    seen, source = ListCache[int](most=5), Source()
    seen.read(MINE, "a", source, first=True, size=0)
    seen.read(MINE, "b", source, first=True, size=0)
    seen.read(MINE, "c", source, first=True, size=0)
    assert seen.read(MINE, "b", source, first=False, size=0) == [2]
    assert seen.read(MINE, "a", source, first=False, size=0) == [4]
    seen.read(MINE, "long", lambda: list(range(99)), first=True, size=0)
    assert len(seen.read(MINE, "long", source, first=False, size=0)) == 99
    assert seen.read(MINE, "a", source, first=False, size=0) == [5]


def test_an_entry_weighs_what_it_stands_for() -> None:
    seen, source = ListCache[int](lambda entry: entry, most=20), Source()
    seen.read(MINE, "light", lambda: [2, 2], first=True, size=0)
    seen.read(MINE, "heavy", lambda: [14], first=True, size=0)
    assert seen.read(MINE, "light", source, first=False, size=0) == [2, 2]
    seen.read(MINE, "one more", lambda: [0], first=True, size=0)
    assert seen.read(MINE, "heavy", source, first=False, size=0) == [14]
    assert source.asked == 0
    assert seen.read(MINE, "light", source, first=False, size=0) == [1]


def test_what_has_gone_weighs_nothing() -> None:
    now = [0.0]
    seen, source = ListCache[int](most=6, seconds=10, clock=lambda: now[0]), Source()
    for _ in range(9):
        seen.read(MINE, "again", source, first=True, size=0)
    seen.read(MINE, "a", source, first=True, size=0)
    now[0] = 10.0
    for name in ("b", "c", "d"):
        seen.read(MINE, name, source, first=True, size=0)
    asked = source.asked
    for name in ("b", "c", "d"):
        seen.read(MINE, name, source, first=False, size=0)
    assert source.asked == asked
