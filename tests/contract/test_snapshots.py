from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapter.contract.snapshots import Snapshots
from adapter.identity import Identity, parse_identity
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY

MINE = parse_identity(ACCESS_ID, SECRET_KEY, [PROJECT])


class Source:
    """Lists that differ each time."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> list[int]:
        self.asked += 1
        return [self.asked]


def test_a_first_page_is_asked_for_and_the_others_follow_it() -> None:
    seen, source = Snapshots[int](), Source()
    assert seen.read(MINE, "a", source, first=True) == [1]
    assert seen.read(MINE, "a", source, first=False) == [1]
    assert seen.read(MINE, "a", source, first=True) == [2]
    assert seen.read(MINE, "a", source, first=False) == [2]
    assert source.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        parse_identity(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT]),
        parse_identity(ACCESS_ID, LOGIN_KEY, [PROJECT]),
        parse_identity(ACCESS_ID, OTHER_SECRET_KEY, [PROJECT]),
        parse_identity(f"{PROJECT}_x@{ACCESS_ID.partition('@')[2]}", SECRET_KEY, [PROJECT]),
    ],
)
def test_other_credentials_have_lists_of_their_own(other: Identity) -> None:
    seen, source = Snapshots[int](), Source()
    assert seen.read(MINE, "a", source, first=True) == [1]
    assert seen.read(other, "a", source, first=False) == [2]
    assert seen.read(MINE, "b", source, first=False) == [3]
    assert seen.read(MINE, "a", source, first=False) == [1]


def test_it_is_fetched_once_for_all_who_ask_at_the_same_time() -> None:
    seen, source = Snapshots[int](), Source()
    all_here = threading.Barrier(8)

    def slow() -> list[int]:
        # The others have passed the barrier, and wait for this call.
        threading.Event().wait(0.3)
        return source()

    def ask(number: int) -> list[int]:
        all_here.wait(10)
        return list(seen.read(MINE, "a", slow, first=number % 2 == 0))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [[1]] * 8
    assert source.asked == 1


def test_a_failure_is_not_kept() -> None:
    seen, source = Snapshots[int](), Source()

    def fails() -> list[int]:
        raise ValueError

    with pytest.raises(ValueError):
        seen.read(MINE, "a", fails, first=True)
    assert seen.read(MINE, "a", source, first=False) == [1]


def test_after_a_while_it_is_asked_again() -> None:
    now = [0.0]
    seen, source = Snapshots[int](seconds=10, clock=lambda: now[0]), Source()
    seen.read(MINE, "a", source, first=True)
    now[0] = 5.0
    seen.read(MINE, "b", source, first=True)
    now[0] = 9.9
    assert seen.read(MINE, "a", source, first=False) == [1]
    now[0] = 10.0
    assert seen.read(MINE, "a", source, first=False) == [3]
    assert seen.read(MINE, "b", source, first=False) == [2]


def test_so_many_entries_are_kept_and_the_last_list_in_any_case() -> None:
    seen, source = Snapshots[int](most=5), Source()
    seen.read(MINE, "a", source, first=True)
    seen.read(MINE, "b", source, first=True)
    seen.read(MINE, "c", source, first=True)
    assert seen.read(MINE, "b", source, first=False) == [2]
    assert seen.read(MINE, "a", source, first=False) == [4]
    seen.read(MINE, "long", lambda: list(range(99)), first=True)
    assert len(seen.read(MINE, "long", source, first=False)) == 99
    assert seen.read(MINE, "a", source, first=False) == [5]
