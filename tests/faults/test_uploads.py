"""Every kind of fault, on every side, at every place of an upload: SWR has the content, complete and right, or nothing.

A client is told of success only if SWR has the content; an error, or the end of the connection, comes in bounded time;
the next upload of the same content succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.cases import Case, play, play_all
from tests.faults.faults import CUTS, Fault, Kind
from tests.faults.harness import SMALL, Harness, running_harness
from tests.faults.uploads import (
    BLOBS,
    CHUNK,
    CHUNK_AGAIN,
    CODED,
    CODED_SMALL,
    FIRST_AGAIN,
    LAST_AGAIN,
    LAST_CHUNK,
    MANIFEST,
    MONOLITHIC,
    ONE_POST,
    WHOLE,
    before_the_last_chunk,
    in_answer,
    in_body,
    none_is_there,
)
from tests.faults.verbs import Verb, monolithic
from tests.running import RunningSandbox

BROKEN = [Kind.RESET, Kind.TRUNCATE]
FLIP, DELAY = [Kind.FLIP], [Kind.DELAY]
TOKEN, START = Verb("token", monolithic, SMALL, "GET"), Verb("start", monolithic, SMALL, "POST")

Places = Callable[[Kind, Verb], list[Fault]]
Check = Callable[[list[Case]], None]


def all_told(cases: list[Case]) -> None:
    """Every client is told of success."""
    assert all(case.told for case in cases)


def all_held(cases: list[Case]) -> None:
    """SWR has the content; a client may not know it."""
    assert all(case.held for case in cases)


def damaged(cases: list[Case]) -> None:
    none_is_there(cases)
    assert {case.code for case in cases} <= {"DIGEST_INVALID", "MANIFEST_INVALID"}


def unchecked(_: list[Case]) -> None:
    """Only what holds for every case."""


def at_end(kind: Kind, verb: Verb) -> list[Fault]:
    return [before_the_last_chunk(kind, verb)]


def anywhere(kind: Kind, verb: Verb) -> list[Fault]:
    return in_body(kind, verb) + in_answer(kind, verb)


def table(*rows: tuple[Places, list[Kind], list[Verb], Check]) -> pytest.MarkDecorator:
    """Each kind of fault with each verb, and what is checked then."""
    cases = [(places, kind, verb, check) for places, kinds, verbs, check in rows for kind in kinds for verb in verbs]
    ids = [f"{verb}-{places.__name__}-{kind}" for places, kind, verb, _ in cases]
    return pytest.mark.parametrize(("places", "kind", "verb", "check"), cases, ids=ids)


@table(
    (in_body, list(CUTS), [*BLOBS, ONE_POST, MANIFEST], none_is_there),
    # All of the content came, and its size was not announced: only the last chunk tells that this is all.
    (at_end, list(CUTS), [CODED, CODED_SMALL, CHUNK, LAST_CHUNK], none_is_there),
    (in_body, FLIP, [*WHOLE, ONE_POST, MANIFEST], damaged),
    (in_body, DELAY, [*BLOBS, MANIFEST], all_told),
    (in_answer, [*BROKEN, Kind.FLIP], [MONOLITHIC, CODED_SMALL, LAST_CHUNK, MANIFEST], all_held),
    (in_answer, list(CUTS), [CHUNK], unchecked),
)
def test_between_client_and_adapter(harness: Harness, places: Places, kind: Kind, verb: Verb, check: Check) -> None:
    """SWR accepts any digest, so that the adapter must detect damage."""
    harness.begin(check_references=False, check_digest=False, discard_cut_uploads=False)
    cases = play(harness, verb, "front", places(kind, verb))
    check(cases)
    if places is in_body and kind in CUTS:
        for case in cases:
            assert kind is not Kind.HALF_CLOSE or "nothing was stored" in case.message
            harness.let_go(case.repository)


@pytest.mark.parametrize("verb", [CHUNK, LAST_CHUNK], ids=str)
def test_damaged_chunk_is_left_to_swr(harness: Harness, verb: Verb) -> None:
    """Only SWR receives all chunks: its own check decides."""
    harness.begin()
    none_is_there(play(harness, verb, "front", in_body(Kind.FLIP, verb)))


@table(
    (in_body, list(CUTS), BLOBS, none_is_there),
    # Without TLS only SWR's own check can detect it.
    (in_body, FLIP, [*BLOBS, MANIFEST], damaged),
    (in_body, DELAY, BLOBS, all_told),
    (in_answer, [*CUTS, Kind.FLIP], [MONOLITHIC, CODED_SMALL, LAST_CHUNK], all_held),
    (in_answer, [*CUTS, Kind.FLIP], [CHUNK], unchecked),
    # A start is repeated: one upload too many is harmless at SWR, while Harbor cannot repeat a failed start.
    (in_answer, list(CUTS), [TOKEN, START], all_told),
    # The adapter has all of a manifest, and repeats it.
    (anywhere, BROKEN, [MANIFEST], all_told),
)
def test_between_adapter_and_swr(harness: Harness, places: Places, kind: Kind, verb: Verb, check: Check) -> None:
    harness.begin(check_references=False)
    check(play(harness, verb, "back", places(kind, verb)))


def test_without_verification(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """VERIFY_UPLOADS=false leaves the digest to SWR; an incomplete upload is still never completed."""
    with running_harness(sandbox, tmp_path, verify_uploads=False) as harness:
        harness.begin(check_digest=False, discard_cut_uploads=False)
        for kind in CUTS:
            faults = [(verb, fault) for verb in (MONOLITHIC, CODED) for fault in in_body(kind, verb)]
            none_is_there(play_all(harness, "front", [*faults, (CODED, before_the_last_chunk(kind, CODED))]))
        harness.begin()
        none_is_there(play(harness, MONOLITHIC, "front", in_body(Kind.FLIP, MONOLITHIC)))


class TestHarborRepeatsAChunk:
    """After an error it requests the status and sends the chunk again: what is then complete is right."""

    @pytest.fixture(autouse=True)
    def _keeps(self, harness: Harness) -> None:
        """SWR keeps what came of a body that broke off."""
        harness.begin(discard_cut_uploads=False)

    @pytest.mark.parametrize("where", ["front", "back"])
    @table(
        (in_body, BROKEN, [FIRST_AGAIN, CHUNK_AGAIN, LAST_AGAIN], all_told),
        (in_answer, BROKEN, [FIRST_AGAIN, CHUNK_AGAIN], all_told),
        # The upload is over, and Harbor finds the blob when it starts again.
        (in_answer, [Kind.RESET], [LAST_AGAIN], all_held),
    )
    def test_copy_succeeds(
        self, harness: Harness, where: str, places: Places, kind: Kind, verb: Verb, check: Check
    ) -> None:
        cases = play(harness, verb, where, places(kind, verb))
        if places is in_body and verb is FIRST_AGAIN:
            # SWR returns the same status for one byte as for none.
            del cases[1]
        check(cases)

    @pytest.mark.parametrize("kind", BROKEN, ids=str)
    def test_swr_that_keeps_nothing(self, harness: Harness, kind: Kind) -> None:
        harness.begin(discard_cut_uploads=True)
        play(harness, CHUNK_AGAIN, "back", in_body(kind, CHUNK_AGAIN))
