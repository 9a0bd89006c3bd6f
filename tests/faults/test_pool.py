"""Connections to SWR that died unseen: none is used for a body, and no body goes out twice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.http import Answer, Door
from tests.faults.cases import Case, play
from tests.faults.faults import CUTS, Fault, Kind, Unit, Way
from tests.faults.rig import Rig
from tests.faults.uploads import BLOBS, CHUNK, MANIFEST, WHOLE
from tests.faults.verbs import Verb

CUT = pytest.mark.parametrize("kind", CUTS, ids=str)


@pytest.fixture(autouse=True)
def _usual(rig: Rig) -> None:
    rig.begin(check_references=False)


class Unlucky(Door):
    """Before each of its requests all connections to SWR die."""

    def __init__(self, rig: Rig, kind: Kind) -> None:
        super().__init__(rig.door.url)
        self._rig = rig
        self._kind = kind
        self.killed = 0

    def ask(self, *arguments: Any, **options: Any) -> Answer:
        self.killed += self._rig.back.kill(self._kind)
        return super().ask(*arguments, **options)


@CUT
@pytest.mark.parametrize("verb", [verb for verb in BLOBS if verb is not CHUNK] + [MANIFEST], ids=str)
def test_idle_ones_are_not_used(rig: Rig, verb: Verb, kind: Kind) -> None:
    repository = rig.repository()
    # One is idle at least.
    assert rig.door.start(repository)
    unlucky = Unlucky(rig, kind)
    answer = verb.play(unlucky, repository, verb.data)
    assert answer.status == 201, answer.body
    assert unlucky.killed >= 1
    assert verb.held(rig, repository, verb.data) == verb.data
    assert len(rig.back.with_request("PUT", repository)) == 1
    rig.nothing_was_late()


@pytest.mark.parametrize("kind", [Kind.RESET, Kind.TRUNCATE], ids=str)
@pytest.mark.parametrize("verb", WHOLE, ids=str)
def test_one_that_dies_as_it_is_used(rig: Rig, verb: Verb, kind: Kind) -> None:
    """The close crosses the request: it may have been read, so the body is not sent again."""
    faults = [Fault(kind, Way.UP, place, Unit.MESSAGE, verb.method) for place in (0, 1, 100)]
    cases: list[Case] = []
    for fault in faults:
        before = _bodies(rig)
        cases += play(rig, verb, "back", [fault])
        # One that broke, and the clean one after it.
        assert _bodies(rig) - before == 2
    assert all(case.answer is not None and case.answer.status >= 500 for case in cases)
    assert all(case.held is None for case in cases)


def _bodies(rig: Rig) -> int:
    return sum(asked.method == "PUT" for link in list(rig.back.links) for asked in link.asked)
