"""Any size, in blocks of any size, with any fault at any byte of either direction: the same must hold."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.http import Answer, Body, Door, digest_of, pieces, with_query
from tests.faults.cases import Case
from tests.faults.faults import CUTS, END, Fault, Kind, Unit, Way
from tests.faults.harness import LARGE, TIMEOUT, Harness
from tests.faults.verbs import Verb

LARGEST = 3 << 20
CONTENT = (LARGE * 3)[:LARGEST]
EDGES = [edge + off for edge in (1, 64 << 10, 128 << 10, 1 << 20, 2 << 20) for off in (-1, 0, 1)] + [LARGEST]
MOST_BLOCKS = 400

SIZES = st.sampled_from(EDGES) | st.integers(0, LARGEST)
KINDS = st.sampled_from([*CUTS, Kind.FLIP, Kind.DELAY])


def upload(block: int | None, door: Door, repository: str, data: bytes) -> Answer:
    """One PUT; `block` is the size of the chunks of chunked coding."""
    location = door.ask("POST", f"/v2/{repository}/blobs/uploads/", b"", timeout=TIMEOUT).header("Location")
    body: Body = data if block is None else pieces(data, block)
    return door.ask("PUT", with_query(location, digest=digest_of(data)), body, timeout=TIMEOUT)


@st.composite
def walks(draw: st.DrawFn) -> tuple[Verb, str, Fault]:
    data = CONTENT[: draw(SIZES)]
    block = draw(st.none() | st.integers(max(1, len(data) // MOST_BLOCKS), LARGEST))
    verb = Verb("PUT", partial(upload, block), data)
    place = draw(st.integers(0, LARGEST))
    kind = draw(KINDS)
    where = draw(st.sampled_from(["front", "back"]))
    if block is not None and where == "front" and kind is not Kind.FLIP and draw(st.integers(0, 5)) == 0:
        return verb, where, Fault(kind, Way.UP, END, method="PUT", seconds=0.05)
    if data and draw(st.booleans()):
        return verb, where, Fault(kind, Way.UP, place % len(data), method="PUT", seconds=0.05)
    return verb, where, Fault(kind, Way.DOWN, lambda size: place % size, Unit.MESSAGE, "PUT", seconds=0.05)


@pytest.fixture
def usual(harness: Harness) -> Harness:
    harness.begin()
    return harness


@given(walk=walks())
@settings(
    derandomize=True,
    database=None,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_breaks(usual: Harness, walk: tuple[Verb, str, Fault]) -> None:
    verb, where, fault = walk
    case = Case(usual, verb, where, fault)
    case.check()
    usual.nothing_was_late()
    if fault.kind is Kind.DELAY:
        assert case.told
    elif fault.way is Way.UP:
        assert case.failed
        assert case.held is None
    else:
        assert case.held == verb.data
