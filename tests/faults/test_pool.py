"""Connections to SWR that died unnoticed: none is used for a body, and no body is sent twice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.http import Answer, Door
from tests.faults.cases import Case, play
from tests.faults.faults import CUTS, Fault, Kind, Unit, Way
from tests.faults.harness import Harness
from tests.faults.uploads import BLOBS, CHUNK, MANIFEST, WHOLE
from tests.faults.verbs import Verb

CUT = pytest.mark.parametrize("kind", CUTS, ids=str)


@pytest.fixture(autouse=True)
def _usual(harness: Harness) -> None:
    harness.begin(check_references=False)


class KillingDoor(Door):
    """Before each of its requests all connections to SWR die."""

    def __init__(self, harness: Harness, kind: Kind) -> None:
        super().__init__(harness.door.url)
        self._harness = harness
        self._kind = kind
        self.killed = 0

    def ask(self, *arguments: Any, **options: Any) -> Answer:
        self.killed += self._harness.back.kill(self._kind)
        return super().ask(*arguments, **options)


@CUT
@pytest.mark.parametrize("verb", [verb for verb in BLOBS if verb is not CHUNK] + [MANIFEST], ids=str)
def test_dead_idle_connections_are_not_used(harness: Harness, verb: Verb, kind: Kind) -> None:
    repository = harness.repository()
    # One is idle at least.
    assert harness.door.start(repository)
    door = KillingDoor(harness, kind)
    answer = verb.play(door, repository, verb.data)
    assert answer.status == 201, answer.body
    assert door.killed >= 1
    assert verb.held(harness, repository, verb.data) == verb.data
    assert len(harness.back.with_request("PUT", repository)) == 1
    harness.nothing_was_late()


@pytest.mark.parametrize("kind", [Kind.RESET, Kind.TRUNCATE], ids=str)
@pytest.mark.parametrize("verb", WHOLE, ids=str)
def test_body_is_not_repeated_if_the_connection_dies(harness: Harness, verb: Verb, kind: Kind) -> None:
    """The close crosses the request: it may have been read, so the body is not sent again."""
    faults = [Fault(kind, Way.UP, place, Unit.MESSAGE, verb.method) for place in (0, 1, 100)]
    cases: list[Case] = []
    for fault in faults:
        before = _bodies(harness)
        cases += play(harness, verb, "back", [fault])
        # One that broke, and the clean one after it.
        assert _bodies(harness) - before == 2
    assert all(case.answer is not None and case.answer.status >= 500 for case in cases)
    assert all(case.held is None for case in cases)


def _bodies(harness: Harness) -> int:
    return sum(asked.method == "PUT" for link in list(harness.back.links) for asked in link.asked)
