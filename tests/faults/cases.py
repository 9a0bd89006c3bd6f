"""One upload with a fault in it, what came of it, and what must hold after any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.contract.http import Answer
from tests.faults.faults import Fault
from tests.faults.harness import Harness
from tests.faults.verbs import Verb


class Case:
    """Plays the verb in a repository of its own."""

    def __init__(self, harness: Harness, verb: Verb, where: str, fault: Fault) -> None:
        self._harness = harness
        self.verb = verb
        self.repository = harness.repository()
        order = harness.order(where, replace(fault, target=self.repository))
        self.answer: Answer | None = harness.ask(lambda door: verb.play(door, self.repository, verb.data))
        assert order.acted.is_set(), f"{fault} did not come to act: {self.answer}"
        harness.settled(self.repository)
        self.held = verb.held(harness, self.repository, verb.data)

    @property
    def told(self) -> bool:
        """Whether the client takes it for a success."""
        return self.answer is not None and self.answer.status == 201

    @property
    def failed(self) -> bool:
        """Whether the client knows that it is none."""
        return self.answer is None or self.answer.status >= 400

    @property
    def message(self) -> str:
        assert self.answer is not None
        return self.answer.message

    @property
    def code(self) -> str:
        """OCI's, of a refusal."""
        assert self.answer is not None
        return str(self.answer.error["code"])

    def check(self) -> None:
        """It is complete and right, or absent; nobody is told otherwise; and the next one succeeds."""
        assert self.held in (None, self.verb.data)
        assert len(self._harness.blobs(self.repository)) <= 1
        assert self.told or self.failed, self.answer
        if self.told:
            assert self.held == self.verb.data
        answer = self.verb.play(self._harness.door, self.repository, self.verb.data)
        assert answer.status == 201, answer.body
        assert self.verb.held(self._harness, self.repository, self.verb.data) == self.verb.data


def play(harness: Harness, verb: Verb, where: str, faults: Iterable[Fault]) -> list[Case]:
    """One case for each fault, all at once; each is checked."""
    return play_all(harness, where, [(verb, fault) for fault in faults])


def play_all(harness: Harness, where: str, wanted: Sequence[tuple[Verb, Fault]]) -> list[Case]:
    """The same for several verbs."""
    with ThreadPoolExecutor(len(wanted)) as pool:
        cases = list(pool.map(lambda each: Case(harness, each[0], where, each[1]), wanted))
        list(pool.map(Case.check, cases))
    harness.nothing_was_late()
    return cases
