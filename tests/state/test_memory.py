from __future__ import annotations

import pytest

from adapter.state import MemoryState, memory
from tests.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(memory, "time", clock)
    return clock


def test_a_value_expires_or_is_dropped(clock: Clock) -> None:
    state = MemoryState()
    for value in (b"1", b""):
        state.put("a", value, 10)
        clock.now += 9.9
        assert state.get("a") == value
    clock.now += 0.2
    assert state.get("a") is None
    state.put("a", b"1", 10)
    for key in ("a", "unknown"):
        state.drop(key)
    assert state.get("a") is None


def test_the_limit_drops_the_least_recently_used() -> None:
    state = MemoryState(max_entries=3)
    for key in "abc":
        state.put(key, key.encode(), 10)
    assert state.get("a") == b"a"
    state.put("d", b"d", 10)
    assert [key for key in "abcd" if state.get(key) is not None] == ["a", "c", "d"]


def test_many_short_lived_values_do_not_replace_a_valid_one(clock: Clock) -> None:
    """Any client can cause some; a value that is kept for a day stays."""
    state = MemoryState(max_entries=100)
    state.put("long", b"1", 86_400)
    for number in range(5000):
        state.put(f"short{number}", b"x", 30)
        clock.now += 1
    assert state.get("long") == b"1"
    assert len(state._values) <= 32
