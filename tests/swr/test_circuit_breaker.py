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


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock)


def test_an_unreachable_host_is_said_at_once_then_one_request_probes(breaker: CircuitBreaker, clock: Clock) -> None:
    assert breaker.rejection("a") is None
    breaker.note_unreachable("a", TimedOut("no connection to a within 5 s"), clock.now)
    refusal = breaker.rejection("a")
    assert isinstance(refusal, TimedOut)
    assert refusal.sentence == "no connection to a within 5 s"
    assert breaker.rejection("b") is None
    clock.now += UNREACHABLE_SECONDS
    assert breaker.rejection("a") is None
    assert breaker.rejection("a") is not None, "one probes, the others wait for it"
    clock.now += PROBE_SECONDS
    assert breaker.rejection("a") is None, "the probe has told nothing"


def test_whoever_gets_through_ends_it(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.note_unreachable("a", Unreachable("x"), clock.now)
    breaker.note_reached("a")
    assert breaker.rejection("a") is None


def test_one_that_others_reach_is_not_unreachable(breaker: CircuitBreaker, clock: Clock) -> None:
    begun = clock.now
    clock.now += 1
    breaker.note_reached("a")
    clock.now += 4
    breaker.note_unreachable("a", TimedOut("x"), begun)
    assert breaker.rejection("a") is None
    breaker.note_unreachable("a", TimedOut("x"), clock.now - 1)
    assert breaker.rejection("a") is not None


def test_5xx_are_a_credentials_own(breaker: CircuitBreaker, clock: Clock) -> None:
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


def test_it_does_not_grow(breaker: CircuitBreaker) -> None:
    for number in range(3 * MAX_ENTRIES):
        breaker.note_unreachable(str(number), Unreachable("x"), 0)
        breaker.note_unavailable(str(number), "one")
    for number in range(3 * MAX_ENTRIES):
        breaker.note_reached(f"other{number}")
    assert len(breaker._unreachable) == len(breaker._unavailable) == len(breaker._reached) == MAX_ENTRIES
    assert breaker.rejection(str(3 * MAX_ENTRIES - 1)) is not None
