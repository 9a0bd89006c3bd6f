"""The time limit of a request to SWR excludes the time that the request waits in the adapter for its turn."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import requests

from adapter.errors import AdapterError, Throttled, TimedOut
from adapter.settings import Settings
from adapter.swr.rate_limit import RateLimit
from adapter.swr.retry import IDEMPOTENT, RetryPolicy
from adapter.swr.transport import Transport
from tests.clock import Clock

SHORT = RetryPolicy(total_seconds=4, statuses=frozenset(), retry_broken=True)


@pytest.mark.parametrize(
    ("wait", "policy", "error"), [(57, IDEMPOTENT, Throttled), (25, IDEMPOTENT, Throttled), (5, SHORT, TimedOut)]
)
def test_time_for_swr_excludes_the_wait_for_a_turn(
    monkeypatch: pytest.MonkeyPatch, wait: float, policy: RetryPolicy, error: type[AdapterError]
) -> None:
    """Each attempt waits for its turn, and then fails after a second."""
    clock = Clock()
    left: list[float] = []

    def take(_: object, __: object, limit: float) -> None:
        if wait > limit:
            raise Throttled("no turn")
        clock.sleep(wait)

    def attempt(*arguments: Any) -> requests.Response | TimedOut:
        left.append(arguments[3].total_seconds)
        clock.sleep(1)
        return TimedOut("no response")

    monkeypatch.setattr("adapter.swr.transport.time", clock)
    monkeypatch.setattr("adapter.swr.transport.interruptible_sleep", clock.sleep)
    monkeypatch.setattr(RateLimit, "take", take)
    monkeypatch.setattr(Transport, "_attempt", attempt)
    with Transport(Settings()) as transport, pytest.raises(error):
        transport.send("GET", "http://127.0.0.1:1/", headers={}, access_key="a", policy=policy)
    assert left[0] == policy.total_seconds
    assert len(left) == {57: 1, 25: 2}.get(int(wait), len(left))
    assert policy is IDEMPOTENT or len(left) > 1
    # An attempt takes a second, and the pause before the next one less than a second.
    assert all(earlier - 2 < later < earlier for earlier, later in pairwise(left))
    assert clock.now <= 1000 + policy.queue_seconds + policy.total_seconds
