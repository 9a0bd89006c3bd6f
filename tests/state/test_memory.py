from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from adapter.state import MemoryState, memory


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(memory, "time", clock)
    return clock


def test_a_value_lives_for_its_time(clock: Clock) -> None:
    state = MemoryState()
    state.put("a", b"1", 10)
    clock.now += 9.9
    assert state.get("a") == b"1"
    clock.now += 0.2
    assert state.get("a") is None


def test_a_value_that_is_put_again_lives_longer(clock: Clock) -> None:
    state = MemoryState()
    state.put("a", b"1", 10)
    clock.now += 9
    state.put("a", b"2", 10)
    clock.now += 9
    assert state.get("a") == b"2"


def test_a_value_can_be_dropped_and_an_unknown_one_too() -> None:
    state = MemoryState()
    state.put("a", b"1", 10)
    state.drop("a")
    state.drop("never there")
    assert state.get("a") is None


def test_an_empty_value_is_one() -> None:
    state = MemoryState()
    state.put("a", b"", 10)
    assert state.get("a") == b""


def test_the_bound_takes_those_unused_for_longest() -> None:
    state = MemoryState(max_entries=3)
    for key in "abc":
        state.put(key, key.encode(), 10)
    assert state.get("a") == b"a"
    state.put("d", b"d", 10)
    assert [key for key in "abcd" if state.get(key) is not None] == ["a", "c", "d"]


def test_values_that_are_over_do_not_pile_up(clock: Clock) -> None:
    state = MemoryState(max_entries=1000)
    for number in range(5000):
        state.put(str(number), b"x", 1)
        clock.now += 1
    assert len(state._values) <= 1000
    assert state.get("4998") is None


def test_many_values_of_short_life_push_out_none_that_lives(clock: Clock) -> None:
    """Strangers cause some: what others keep for a day stays."""
    state = MemoryState(max_entries=100)
    state.put("long", b"1", 86_400)
    for number in range(5000):
        state.put(f"short{number}", b"x", 30)
        clock.now += 1
    assert state.get("long") == b"1"
    assert len(state._values) <= 32


def test_many_threads() -> None:
    state = MemoryState(max_entries=50)

    def work(number: int) -> None:
        for turn in range(500):
            key = str((number + turn) % 80)
            state.put(key, key.encode(), 10)
            assert state.get(key) in (key.encode(), None)
            if turn % 7 == 0:
                state.drop(key)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(state._values) <= 50
