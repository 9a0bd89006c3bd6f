from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from adapter.errors import TimedOut
from adapter.state.singleflight import SingleFlight
from adapter.swr.retry import HEALTH_CHECK, IDEMPOTENT, max_duration


@pytest.mark.parametrize("error", [ValueError, TimeoutError])
def test_an_error_is_raised_and_not_kept(error: type[Exception]) -> None:
    flights: SingleFlight[int] = SingleFlight()

    def fail() -> int:
        raise error("of the call")

    with pytest.raises(error, match="of the call"):
        flights.do("key", fail, timeout=10)
    assert flights.do("key", lambda: 3, timeout=10) == (3, True)
    assert flights.do("a", lambda: flights.do("b", lambda: 1, timeout=10)[0] + 1, timeout=10) == (2, True)


def test_an_abandoned_call_is_not_joined() -> None:
    """Callers that wait for it already get its value, and its end does not end the new call."""
    flights: SingleFlight[int] = SingleFlight()
    begun, release = [threading.Event() for _ in range(2)], [threading.Event() for _ in range(2)]

    def call(number: int) -> int:
        begun[number].set()
        assert release[number].wait(10)
        return number

    with ThreadPoolExecutor(2) as pool:
        old = pool.submit(flights.do, "key", lambda: call(0), timeout=10)
        assert begun[0].wait(10)
        flights.abandon(lambda key: key != "key")
        assert list(flights._running) == ["key"]
        flights.abandon(lambda key: key == "key")
        new = pool.submit(flights.do, "key", lambda: call(1), timeout=10)
        assert begun[1].wait(10)
        release[0].set()
        assert old.result(10) == (0, True)
        assert list(flights._running) == ["key"]
        release[1].set()
        assert new.result(10) == (1, True)
    assert not flights._running


@pytest.mark.timeout(20)
def test_concurrent_calls_share_a_result_within_their_own_timeouts() -> None:
    """A call whose own timeout is over ends neither the shared call nor the wait of another caller."""
    flights: SingleFlight[int] = SingleFlight()
    begun, release, calls = threading.Event(), threading.Event(), []

    def slow() -> int:
        calls.append(1)
        begun.set()
        assert release.wait(10)
        return 7

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(flights.do, "key", slow, timeout=0)
        assert begun.wait(10)
        others = [pool.submit(flights.do, "key", slow, timeout=10) for _ in range(8)]
        for timeout in (0.01, 0, -5):
            with pytest.raises(TimedOut):
                flights.do("key", slow, timeout=timeout)
        release.set()
        assert first.result(10) == (7, True)
        results = [other.result(10) for other in others]
    assert {value for value, _ in results} == {7}
    # A thread that comes after the first call has ended makes its own call.
    assert len(calls) == 1 + sum(1 for _, own in results if own)


def test_the_longest_duration_of_a_policy_is_known() -> None:
    assert max_duration(IDEMPOTENT) == IDEMPOTENT.total_seconds + IDEMPOTENT.queue_seconds
    assert max_duration(HEALTH_CHECK) == HEALTH_CHECK.total_seconds
    assert 4 < max_duration(replace(IDEMPOTENT, deadline=time.monotonic() + 5)) <= 5
