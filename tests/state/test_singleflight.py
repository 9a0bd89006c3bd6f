from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from adapter.errors import TimedOut
from adapter.state.singleflight import SingleFlight
from adapter.swr.retry import HEALTH_CHECK, IDEMPOTENT, max_duration


def test_one_call_for_all_who_ask_meanwhile() -> None:
    flights: SingleFlight[int] = SingleFlight()
    begun, release, calls = threading.Event(), threading.Event(), []

    def slow() -> int:
        calls.append(1)
        begun.set()
        assert release.wait(10)
        return 7

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(flights.do, "key", slow, timeout=10)
        assert begun.wait(10)
        others = [pool.submit(flights.do, "key", slow, timeout=10) for _ in range(8)]
        while len(flights._running) != 1:
            pass
        release.set()
        assert first.result(10) == (7, True)
        results = [other.result(10) for other in others]
    assert {value for value, _ in results} == {7}
    # Who came while it ran shared it; a thread that came later made its own.
    assert len(calls) == 1 + sum(1 for _, ours in results if ours)


def test_an_error_reaches_everybody_and_is_not_kept() -> None:
    flights: SingleFlight[int] = SingleFlight()

    def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        flights.do("key", fail, timeout=10)
    assert flights.do("key", lambda: 3, timeout=10) == (3, True)


def test_keys_do_not_meet() -> None:
    flights: SingleFlight[int] = SingleFlight()
    assert flights.do("a", lambda: flights.do("b", lambda: 1, timeout=10)[0] + 1, timeout=10) == (2, True)


def test_nobody_joins_a_call_that_was_left() -> None:
    """Who waits for it already gets its value, and its end ends no other."""
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
def test_who_waits_keeps_its_own_deadline() -> None:
    """The call may have begun with more time. Its own maker is not told to end, and others go on waiting."""
    flights: SingleFlight[int] = SingleFlight()
    begun, release = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert release.wait(10)
        return 7

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(flights.do, "key", slow, timeout=0)
        assert begun.wait(10)
        patient = pool.submit(flights.do, "key", slow, timeout=10)
        for timeout in (0.01, 0, -5):
            with pytest.raises(TimedOut):
                flights.do("key", slow, timeout=timeout)
        release.set()
        assert (first.result(10), patient.result(10)) == ((7, True), (7, False))


def test_an_error_that_is_a_timeout_of_the_call_is_told_as_that() -> None:
    flights: SingleFlight[int] = SingleFlight()

    def fail() -> int:
        raise TimeoutError("the call's own")

    with pytest.raises(TimeoutError, match="the call's own"):
        flights.do("key", fail, timeout=1)


def test_how_long_a_caller_waits() -> None:
    assert max_duration(IDEMPOTENT) == IDEMPOTENT.total_seconds + IDEMPOTENT.queue_seconds
    assert max_duration(HEALTH_CHECK) == HEALTH_CHECK.total_seconds
    assert 4 < max_duration(replace(IDEMPOTENT, deadline=time.monotonic() + 5)) <= 5
