from __future__ import annotations

import pytest

from adapter.errors import Throttled
from adapter.swr.rate_limit import MAX_KEYS, RateLimit, Turns
from adapter.swr.tenants import Tenants
from tests.clock import Clock


class TestTurns:
    def test_each_turn_comes_a_window_after_the_last_but_one(self) -> None:
        turns = Turns(2, 3.0, Clock())
        assert [turns.take("a", 60) for _ in range(6)] == [(True, wait) for wait in (0, 0, 3, 3, 6, 6)]

    def test_a_rejected_request_uses_no_turn(self) -> None:
        clock = Clock()
        turns = Turns(1, 3.0, clock)
        assert turns.take("a", 0) == (True, 0)
        for _ in range(1000):
            assert turns.take("a", 2.9) == (False, 3)
        clock.now += 2
        assert turns.take("a", 2.9) == (True, 1)

    def test_turns_are_given_in_order(self) -> None:
        """A later request has a later turn, however long it may wait."""
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

    def test_a_key_with_future_turns_stays(self) -> None:
        clock = Clock()
        turns = Turns(2, 1.0, clock)
        for _ in range(5):
            turns.take("a", 60)
        # Its last turns are one and two seconds after the first.
        clock.now += 2.5
        turns.take("b", 0)
        assert [turns.take("a", 60) for _ in range(2)] == [(True, 0), (True, 0.5)]

    def test_invented_keys_are_dropped_after_a_window(self) -> None:
        """Memory holds the keys of one window, and the key in use."""
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
        # Those without a turn for the longest time are dropped.
        assert turns.take("999", 0) == (False, 1.0)
        assert turns.take("0", 0) == (True, 0)


def test_a_wait_is_one_sleep_until_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps: list[float] = []
    monkeypatch.setattr("adapter.swr.rate_limit.interruptible_sleep", sleeps.append)
    limit = RateLimit(1)
    for _ in range(3):
        limit.take("eu-de/AK", 60)
    assert sleeps == pytest.approx([0, 1.1, 2.2], abs=0.1)


def test_accounts_have_separate_limits() -> None:
    limit = RateLimit(0.1)
    for account in "abc":
        limit.take(account, 0.01)
    with pytest.raises(Throttled) as caught:
        limit.take("a", 1.1)
    assert caught.value.retry_after == pytest.approx(11, abs=1)
    unlimited = RateLimit(0)
    for _ in range(100):
        unlimited.take("a", 0)


def test_access_keys_of_a_tenant_share_a_limit() -> None:
    limit = RateLimit(0.1, tenants=Tenants({"acme": ["A", "B"], "other": ["C"]}))
    limit.take("eu-de/A", 0)
    with pytest.raises(Throttled):
        limit.take("eu-de/B", 0)
    # SWR counts each region separately.
    for account in ("eu-nl/B", "eu-de/C", "eu-de/D", "eu-de/acme"):
        limit.take(account, 0)
