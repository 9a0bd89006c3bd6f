from __future__ import annotations

import pytest

from adapter.errors import Throttled
from adapter.swr.rate_limit import MAX_KEYS, RateLimit, Turns
from adapter.swr.tenants import Tenants
from tests.swr.grant_times import grant_times, keeps_to_ten_a_second


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class TestTurns:
    def test_each_comes_a_window_after_the_one_before_last(self) -> None:
        turns = Turns(2, 3.0, Clock())
        assert [turns.take("a", 60) for _ in range(6)] == [(True, wait) for wait in (0, 0, 3, 3, 6, 6)]

    def test_who_will_not_wait_that_long_is_told_and_uses_none(self) -> None:
        clock = Clock()
        turns = Turns(1, 3.0, clock)
        assert turns.take("a", 0) == (True, 0)
        for _ in range(1000):
            assert turns.take("a", 2.9) == (False, 3)
        clock.now += 2
        assert turns.take("a", 2.9) == (True, 1)

    def test_nobody_overtakes(self) -> None:
        """Who comes later, with whatever patience, has the later turn."""
        clock = Clock()
        turns = Turns(3, 1.0, clock)
        due = []
        for number in range(30):
            given, wait = turns.take("a", 60)
            assert given
            due.append(clock.now + wait)
            clock.now += 0.1 * (number % 4)
        assert due == sorted(due)
        assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in zip(due, due[3:], strict=False))

    def test_keys_that_are_over_go(self) -> None:
        clock = Clock()
        turns = Turns(2, 1.0, clock)
        for number in range(1000):
            turns.take(str(number), 0)
        clock.now += 1.0
        turns.take("a", 0)
        assert len(turns) == 1

    def test_a_key_that_waits_stays(self) -> None:
        clock = Clock()
        turns = Turns(2, 1.0, clock)
        for _ in range(5):
            turns.take("a", 60)
        # Its last turns are one and two seconds after the first.
        clock.now += 2.5
        turns.take("b", 0)
        assert [turns.take("a", 60) for _ in range(2)] == [(True, 0), (True, 0.5)]

    def test_strangers_leave_nothing_behind(self) -> None:
        """However many access keys are made up, memory holds those of one window, and one that is in use."""
        clock = Clock()
        turns = Turns(20, 1.1, clock)
        for number in range(60_000):
            turns.take(str(number), 60)
            if number % 100 == 0:
                turns.take("in use", 60)
            clock.now += 0.01
            assert len(turns) <= 113

    def test_the_number_of_keys_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert MAX_KEYS <= 100_000
        monkeypatch.setattr("adapter.swr.rate_limit.MAX_KEYS", 50)
        turns = Turns(1, 1.0, Clock())
        for number in range(1000):
            turns.take(str(number), 0)
        assert len(turns) == 50
        # Those that had no turn for longest are dropped.
        assert turns.take("999", 0) == (False, 1.0)
        assert turns.take("0", 0) == (True, 0)


def test_no_second_has_more_than_the_limit() -> None:
    # Room is left for requests that catch up with others on their way.
    assert keeps_to_ten_a_second(grant_times([RateLimit(10)], 25))


def test_who_waits_sleeps_once_and_exactly_to_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr("adapter.swr.rate_limit.interruptible_sleep", rests.append)
    limit = RateLimit(1)
    for _ in range(3):
        limit.take("eu-de/AK", 60)
    assert rests == pytest.approx([0, 1.1, 2.2], abs=0.1)


def test_accounts_do_not_share() -> None:
    limit = RateLimit(0.1)
    for account in "abc":
        limit.take(account, 0.01)
    with pytest.raises(Throttled) as caught:
        limit.take("a", 0.01)
    assert caught.value.retry_after == pytest.approx(11, abs=1)


def test_the_access_keys_of_a_tenant_share() -> None:
    limit = RateLimit(0.1, tenants=Tenants({"acme": ["A", "B"], "other": ["C"]}))
    limit.take("eu-de/A", 0)
    with pytest.raises(Throttled):
        limit.take("eu-de/B", 0)
    # SWR counts in each region by itself; and these are others.
    for account in ("eu-nl/B", "eu-de/C", "eu-de/D", "eu-de/acme"):
        limit.take(account, 0)


def test_none_means_none() -> None:
    limit = RateLimit(0)
    for _ in range(1000):
        limit.take("a", 0)


def test_less_than_one_a_second() -> None:
    limit = RateLimit(0.1)
    limit.take("a", 0.01)
    with pytest.raises(Throttled):
        limit.take("a", 1.1)
