"""Copy by chunk, and SWR breaks the connection of a chunk: Harbor asks for the status, and goes on or starts again.

`contract-cut/` has what Harbor sent where the upload was still there, and where nothing of it had been accepted.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.sandbox.player import Player, Result
from adapter.sandbox.recording import Exchange, load
from adapter.sandbox.recordings.blobs import Blobs
from tests.replay.conftest import CREDENTIALS, Stage
from tests.replay.described import deviations
from tests.replay.expectations import complaints
from tests.replay.moods import USUAL_MOOD
from tests.replay.reached import damages, expected
from tests.replay.scenarios import OTHER_VERSIONS, State

each_version = pytest.mark.parametrize("version", OTHER_VERSIONS, ids=lambda version: version.name)
each_stage = pytest.mark.parametrize("stage_name", ["sandbox_stage", "scripted_stage"])


def recorded(version: Path, name: str) -> tuple[Exchange, ...]:
    return load(version / "contract-cut" / f"{name}.jsonl")


def broken(recording: tuple[Exchange, ...]) -> int:
    """The number of the first chunk that was answered with an error."""
    return next(each.number for each in recording if each.request.method == "PATCH" and each.answer.status == 502)


def play(stage: Stage, recording: tuple[Exchange, ...], blobs: Blobs, *, after: int, forgets: bool) -> list[Result]:
    """Breaks the chunk that was broken in the recording, `after` so many bytes, as far as the SWR counts them."""
    stage.swr.reset(USUAL_MOOD, State())
    cut = broken(recording)

    def watch(result: Result) -> None:
        if result.exchange.number == cut - 1:
            stage.swr.cut_chunk(after)
        elif result.exchange.number == cut and forgets:
            stage.swr.forget_uploads()

    player = Player(stage.adapter.contract, blobs, credentials=CREDENTIALS, timeout=30, on_exchange=watch)
    return player.play(recording)


def judge(stage: Stage, results: list[Result], blobs: Blobs) -> None:
    wrong: list[str] = []
    for result in results:
        wrong += complaints(result, stage.adapter.contract)
        wrong += deviations(result)
    assert not wrong, "\n".join([*wrong, "asked of SWR:", *(f"  {x} {y} {z}" for x, y, z in stage.swr.requests())])
    assert [*damages(stage.swr, blobs, results)] == []
    assert stage.swr.contents() == expected(State(), results)


@each_stage
@each_version
def test_an_upload_that_is_there_goes_on(
    version: Path, stage_name: str, request: pytest.FixtureRequest, blobs: Blobs
) -> None:
    stage: Stage = request.getfixturevalue(stage_name)
    results = play(stage, recorded(version, "push-chunk-cut"), blobs, after=0, forgets=False)
    judge(stage, results, blobs)


@each_stage
@each_version
def test_an_upload_of_which_nothing_was_accepted_starts_again(
    version: Path, stage_name: str, request: pytest.FixtureRequest, blobs: Blobs
) -> None:
    stage: Stage = request.getfixturevalue(stage_name)
    results = play(stage, recorded(version, "push-chunk-cut-first"), blobs, after=5_000_000, forgets=True)
    judge(stage, results, blobs)
