from __future__ import annotations

import time

import pytest

from adapter.sandbox import limits
from adapter.sandbox.limits import Lockouts, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    assert time.monotonic() != clock.monotonic()
    return clock


def test_rate_limits_each_tenant_per_second(clock: Clock) -> None:
    rate = Rate()
    assert [rate.take("a", 2) for _ in range(3)] == [True, True, False]
    assert rate.take("b", 2)
    clock.now += 0.9
    assert not rate.take("a", 2)
    clock.now += 0.1
    assert [rate.take("a", 2) for _ in range(3)] == [True, True, False], "what was refused does not count"
    assert rate.take("a", 0), "0 is no limit"


def test_lock_expires(clock: Clock) -> None:
    lockouts = Lockouts()
    for _ in range(5):
        lockouts.record_invalid("AK", 5, 300)
    lockouts.record_invalid(None, 5, 300)
    assert lockouts.report() == {"count": 6, "locked": ["AK"]}
    clock.now += 299
    assert lockouts.locked("AK")
    clock.now += 1
    assert not lockouts.locked("AK")
    lockouts.record_invalid("AK", 5, 300)
    assert not lockouts.locked("AK"), "the count begins anew"
    assert lockouts.report() == {"count": 7, "locked": []}
