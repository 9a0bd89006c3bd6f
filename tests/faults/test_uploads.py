"""Every kind of fault, on every way, at every place of an upload: at SWR it is complete and right, or absent.

A client is told of success only when it is there and right; an error, or the end of the connection, comes in bounded
time; the next upload of the same content succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cases import play, play_all
from tests.faults.faults import CUTS, Kind
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

CUT = pytest.mark.parametrize("kind", CUTS, ids=str)
BROKEN = pytest.mark.parametrize("kind", [Kind.RESET, Kind.TRUNCATE], ids=str)


def each(*verbs: Verb) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("verb", verbs, ids=str)


class TestBetweenClientAndAdapter:
    """SWR believes any digest, so that it is the adapter that must see damage."""

    @pytest.fixture(autouse=True)
    def _credulous(self, harness: Harness) -> None:
        harness.begin(check_references=False, check_digest=False, discard_cut_uploads=False)

    @CUT
    @each(*BLOBS, ONE_POST, MANIFEST)
    def test_a_body_that_breaks_off(self, harness: Harness, verb: Verb, kind: Kind) -> None:
        cases = play(harness, verb, "front", in_body(kind, verb))
        none_is_there(cases)
        for case in cases:
            if kind is Kind.HALF_CLOSE:
                assert "nothing was stored" in case.message
            harness.let_go(case.repository)

    @CUT
    @each(CODED, CODED_SMALL, CHUNK, LAST_CHUNK)
    def test_a_coded_body_without_its_end(self, harness: Harness, verb: Verb, kind: Kind) -> None:
        """All of the content came, and its size was not announced: only the last chunk says that this is all."""
        none_is_there(play(harness, verb, "front", [before_the_last_chunk(kind, verb)]))

    @each(*WHOLE, ONE_POST, MANIFEST)
    def test_a_damaged_body(self, harness: Harness, verb: Verb) -> None:
        cases = play(harness, verb, "front", in_body(Kind.FLIP, verb))
        none_is_there(cases)
        assert {case.code for case in cases} <= {"DIGEST_INVALID", "MANIFEST_INVALID"}

    @each(CHUNK, LAST_CHUNK)
    def test_a_damaged_chunk(self, harness: Harness, verb: Verb) -> None:
        """Nobody but SWR sees all the chunks: its own check decides."""
        harness.begin()
        none_is_there(play(harness, verb, "front", in_body(Kind.FLIP, verb)))

    @each(*BLOBS, MANIFEST)
    def test_a_body_that_pauses(self, harness: Harness, verb: Verb) -> None:
        assert all(case.told for case in play(harness, verb, "front", in_body(Kind.DELAY, verb)))

    @pytest.mark.parametrize("kind", [Kind.RESET, Kind.TRUNCATE, Kind.FLIP], ids=str)
    @each(MONOLITHIC, CODED_SMALL, LAST_CHUNK, MANIFEST)
    def test_an_answer_that_is_lost(self, harness: Harness, verb: Verb, kind: Kind) -> None:
        """It is there; the client may not know it."""
        assert all(case.held for case in play(harness, verb, "front", in_answer(kind, verb)))

    @CUT
    def test_an_answer_to_a_chunk_that_is_lost(self, harness: Harness, kind: Kind) -> None:
        play(harness, CHUNK, "front", in_answer(kind, CHUNK))


class TestBetweenAdapterAndSwr:
    @pytest.fixture(autouse=True)
    def _usual(self, harness: Harness) -> None:
        harness.begin(check_references=False)

    @CUT
    @each(*BLOBS)
    def test_a_body_that_breaks_off(self, harness: Harness, verb: Verb, kind: Kind) -> None:
        none_is_there(play(harness, verb, "back", in_body(kind, verb)))

    @each(*BLOBS)
    def test_a_damaged_body(self, harness: Harness, verb: Verb) -> None:
        """Without TLS only SWR's own check can see it."""
        cases = play(harness, verb, "back", in_body(Kind.FLIP, verb))
        none_is_there(cases)
        assert {case.code for case in cases} == {"DIGEST_INVALID"}

    @each(*BLOBS)
    def test_a_body_that_pauses(self, harness: Harness, verb: Verb) -> None:
        assert all(case.told for case in play(harness, verb, "back", in_body(Kind.DELAY, verb)))

    @pytest.mark.parametrize("kind", [*CUTS, Kind.FLIP], ids=str)
    @each(MONOLITHIC, CODED_SMALL, LAST_CHUNK)
    def test_an_answer_that_is_lost(self, harness: Harness, verb: Verb, kind: Kind) -> None:
        assert all(case.held for case in play(harness, verb, "back", in_answer(kind, verb)))

    @pytest.mark.parametrize("kind", [*CUTS, Kind.FLIP], ids=str)
    def test_an_answer_to_a_chunk_that_is_lost(self, harness: Harness, kind: Kind) -> None:
        play(harness, CHUNK, "back", in_answer(kind, CHUNK))

    @CUT
    def test_a_token_that_is_lost(self, harness: Harness, kind: Kind) -> None:
        token = Verb("token", monolithic, SMALL, "GET")
        assert all(case.told for case in play(harness, token, "back", in_answer(kind, token)))

    @CUT
    def test_an_answer_to_the_start_that_is_lost(self, harness: Harness, kind: Kind) -> None:
        """An upload is started again: one too many is harmless at SWR, while Harbor cannot repeat a failed start."""
        start = Verb("start", monolithic, SMALL, "POST")
        assert all(case.told for case in play(harness, start, "back", in_answer(kind, start)))

    @BROKEN
    def test_a_manifest_is_repeated(self, harness: Harness, kind: Kind) -> None:
        """The adapter has all of it."""
        faults = in_body(kind, MANIFEST) + in_answer(kind, MANIFEST)
        assert all(case.told for case in play(harness, MANIFEST, "back", faults))

    def test_a_damaged_manifest(self, harness: Harness) -> None:
        none_is_there(play(harness, MANIFEST, "back", in_body(Kind.FLIP, MANIFEST)))


class TestWithoutVerification:
    """VERIFY_UPLOADS=false leaves the digest to SWR; what is not all there is never completed all the same."""

    @pytest.fixture
    def harness(self, sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Harness]:
        with running_harness(sandbox, tmp_path, verify_uploads=False) as harness:
            harness.begin(check_digest=False, discard_cut_uploads=False)
            yield harness

    def test_a_body_that_breaks_off(self, harness: Harness) -> None:
        verbs = [MONOLITHIC, CODED]
        for kind in CUTS:
            none_is_there(
                play_all(harness, "front", [(verb, fault) for verb in verbs for fault in in_body(kind, verb)])
            )
            none_is_there(play(harness, CODED, "front", [before_the_last_chunk(kind, CODED)]))

    def test_a_damaged_body_is_swrs_to_see(self, harness: Harness) -> None:
        harness.begin()
        none_is_there(play(harness, MONOLITHIC, "front", in_body(Kind.FLIP, MONOLITHIC)))


class TestHarborInsists:
    """After an error it asks where the upload stands and sends the chunk again: what is then complete is right."""

    @pytest.fixture(autouse=True)
    def _keeps(self, harness: Harness) -> None:
        """SWR keeps what came of a body that broke off."""
        harness.begin(discard_cut_uploads=False)

    @BROKEN
    @pytest.mark.parametrize("where", ["front", "back"])
    @each(FIRST_AGAIN, CHUNK_AGAIN, LAST_AGAIN)
    def test_a_body_that_breaks_off(self, harness: Harness, verb: Verb, where: str, kind: Kind) -> None:
        cases = play(harness, verb, where, in_body(kind, verb))
        if verb is FIRST_AGAIN:
            # Of one byte SWR tells the same as of none.
            del cases[1]
        assert all(case.told for case in cases)

    @BROKEN
    def test_a_body_of_which_swr_keeps_nothing(self, harness: Harness, kind: Kind) -> None:
        harness.begin(discard_cut_uploads=True)
        play(harness, CHUNK_AGAIN, "back", in_body(kind, CHUNK_AGAIN))

    @BROKEN
    @pytest.mark.parametrize("where", ["front", "back"])
    @each(FIRST_AGAIN, CHUNK_AGAIN)
    def test_an_answer_that_is_lost(self, harness: Harness, verb: Verb, where: str, kind: Kind) -> None:
        assert all(case.told for case in play(harness, verb, where, in_answer(kind, verb)))

    @pytest.mark.parametrize("where", ["front", "back"])
    def test_the_last_answer_that_is_lost(self, harness: Harness, where: str) -> None:
        """The upload is over, and Harbor finds the blob when it starts again."""
        assert all(case.held for case in play(harness, LAST_AGAIN, where, in_answer(Kind.RESET, LAST_AGAIN)))
