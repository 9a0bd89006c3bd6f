"""The uploads that are broken, and where."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.faults.cases import Case
from tests.faults.chunks import by_chunk, by_chunk_again, parts
from tests.faults.faults import END, Fault, Kind, Unit, Way
from tests.faults.harness import LARGE, PLACES, SMALL
from tests.faults.verbs import Verb, coded, document, in_one_post, kept_manifest, manifest, monolithic

MONOLITHIC = Verb("monolithic", monolithic, LARGE)
MONOLITHIC_SMALL = Verb("monolithic, small", monolithic, SMALL)
CODED = Verb("coded", coded, LARGE)
CODED_SMALL = Verb("coded, small", coded, SMALL)


def _part(number: int, data: bytes) -> bytes:
    return list(parts(data))[number][1]


CHUNK = Verb("chunk", by_chunk, LARGE, "PATCH", 1, partial(_part, 1))
LAST_CHUNK = Verb("last chunk", by_chunk, LARGE, "PUT", 0, partial(_part, 2))
FIRST_AGAIN = Verb("first chunk, insisting", by_chunk_again, LARGE, "PATCH", 0, partial(_part, 0))
CHUNK_AGAIN = replace(CHUNK, name="chunk, insisting", play=by_chunk_again)
LAST_AGAIN = replace(LAST_CHUNK, name="last chunk, insisting", play=by_chunk_again)
ONE_POST = Verb("one POST", in_one_post, LARGE, "POST")
MANIFEST = Verb("manifest", manifest, document(3000), held=kept_manifest)

WHOLE = [MONOLITHIC, MONOLITHIC_SMALL, CODED, CODED_SMALL]
BLOBS = [*WHOLE, CHUNK, LAST_CHUNK]


def in_body(kind: Kind, verb: Verb) -> list[Fault]:
    """At each of the places of a request's body."""
    places = [place(verb.size) for place in PLACES.values()]
    return [Fault(kind, Way.UP, place, method=verb.method, passed=verb.passed, seconds=0.1) for place in places]


def in_answer(kind: Kind, verb: Verb) -> list[Fault]:
    """At each of the places of the answer, with its head."""
    return [
        Fault(kind, Way.DOWN, place, Unit.MESSAGE, verb.method, passed=verb.passed, seconds=0.1)
        for place in PLACES.values()
    ]


def before_the_last_chunk(kind: Kind, verb: Verb) -> Fault:
    return Fault(kind, Way.UP, END, method=verb.method, passed=verb.passed)


def none_is_there(cases: list[Case]) -> None:
    """And every client knows."""
    assert all(case.failed and case.held is None for case in cases)
