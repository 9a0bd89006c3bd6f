"""Time that a request waits in the adapter for its turn is not SWR's."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from adapter.errors import Throttled, TimedOut
from adapter.settings import Settings
from adapter.swr.rate_limit import RateLimit
from adapter.swr.retry import IDEMPOTENT, RetryPolicy
from adapter.swr.transport import Transport


class Queue:
    """A rate limit that lets each attempt wait so long, an SWR that fails each in a second, and their clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wait: float) -> None:
        self.now = 1000.0
        self.left: list[float] = []
        """For SWR, in each attempt."""
        self._wait = wait
        monkeypatch.setattr("adapter.swr.transport.time", self)
        monkeypatch.setattr("adapter.swr.transport.interruptible_sleep", self._pass)
        monkeypatch.setattr(RateLimit, "take", lambda _, __, policy: self._take(policy))
        monkeypatch.setattr(Transport, "_attempt", self._attempt)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def _take(self, policy: float) -> None:
        if self._wait > policy:
            raise Throttled("no turn")
        self._pass(self._wait)

    def _attempt(self, _: Any, __: Any, policy: RetryPolicy, *___: Any) -> requests.Response | TimedOut:
        self.left.append(policy.total_seconds)
        self._pass(1)
        return TimedOut("nothing")

    def ask(self, policy: RetryPolicy) -> None:
        with Transport(Settings()) as transport:
            transport.send("GET", "http://127.0.0.1:1/", headers={}, access_key="a", policy=policy)


def test_swr_has_the_whole_time_after_a_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(monkeypatch, 57)
    with pytest.raises(Throttled):
        queue.ask(IDEMPOTENT)
    assert queue.left == [60]


def test_each_attempt_waits_on_its_own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(monkeypatch, 5)
    with pytest.raises(TimedOut):
        queue.ask(RetryPolicy(total_seconds=4, statuses=frozenset(), retry_broken=True))
    assert len(queue.left) > 1
    assert queue.left[0] == 4
    # A second for each attempt, and what lies between two.
    assert all(earlier - 2 < later < earlier for earlier, later in zip(queue.left, queue.left[1:], strict=False))


def test_all_waits_together_are_no_longer_than_one_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(monkeypatch, 25)
    with pytest.raises(Throttled):
        queue.ask(IDEMPOTENT)
    assert len(queue.left) == 2
    assert queue.now <= 1000 + IDEMPOTENT.queue_seconds + IDEMPOTENT.total_seconds
