from __future__ import annotations

import pytest

from adapter.errors import TimedOut, Unreachable
from adapter.swr.circuit_breaker import (
    MAX_ENTRIES,
    PROBE_SECONDS,
    UNAVAILABLE_SECONDS,
    UNREACHABLE_SECONDS,
    CircuitBreaker,
)
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock)


def test_an_unreachable_host_is_rejected_until_one_request_probes(breaker: CircuitBreaker, clock: Clock) -> None:
    assert breaker.rejection("a") is None
    breaker.note_unreachable("a", TimedOut("no connection to a within 5 s"), clock.now)
    refusal = breaker.rejection("a")
    assert isinstance(refusal, TimedOut)
    assert refusal.sentence == "no connection to a within 5 s"
    assert breaker.rejection("b") is None
    clock.now += UNREACHABLE_SECONDS
    assert breaker.rejection("a") is None
    assert breaker.rejection("a") is not None, "only one request probes"
    clock.now += PROBE_SECONDS
    assert breaker.rejection("a") is None, "the probe has no result"


def test_a_reached_host_is_not_rejected(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.note_unreachable("a", Unreachable("x"), clock.now)
    breaker.note_reached("a")
    assert breaker.rejection("a") is None


def test_a_host_reached_meanwhile_is_not_rejected(breaker: CircuitBreaker, clock: Clock) -> None:
    begun = clock.now
    clock.now += 1
    breaker.note_reached("a")
    clock.now += 4
    breaker.note_unreachable("a", TimedOut("x"), begun)
    assert breaker.rejection("a") is None
    breaker.note_unreachable("a", TimedOut("x"), clock.now - 1)
    assert breaker.rejection("a") is not None


def test_unavailable_counts_for_one_pair_of_credentials(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.note_unavailable("a", "one")
    assert breaker.is_unavailable("a", "one")
    assert not breaker.is_unavailable("a", "two")
    breaker.note_available("a", "two")
    assert breaker.is_unavailable("a", "one")
    breaker.note_available("a", "one")
    assert not breaker.is_unavailable("a", "one")
    breaker.note_unavailable("a", "one")
    clock.now += UNAVAILABLE_SECONDS
    assert not breaker.is_unavailable("a", "one")


def test_the_number_of_entries_is_limited(breaker: CircuitBreaker) -> None:
    for number in range(3 * MAX_ENTRIES):
        breaker.note_unreachable(str(number), Unreachable("x"), 0)
        breaker.note_unavailable(str(number), "one")
    for number in range(3 * MAX_ENTRIES):
        breaker.note_reached(f"other{number}")
    assert len(breaker._unreachable) == len(breaker._unavailable) == len(breaker._reached) == MAX_ENTRIES
    assert breaker.rejection(str(3 * MAX_ENTRIES - 1)) is not None
