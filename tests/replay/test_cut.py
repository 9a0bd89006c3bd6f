"""Copy by chunk, and SWR breaks the connection of a chunk: Harbor asks for the status, and goes on or starts again.

`contract-cut/` has what Harbor sent where the upload was still there, where nothing of it had been accepted, and where
it was gone (`spoiled`); there the run failed, because the status had said that the upload could go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.sandbox.recording import Exchange, load
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.replay import Replayer, Result
from tests.replay.conftest import CREDENTIALS, Stage
from tests.replay.expectations import complaints
from tests.replay.openapi import deviations
from tests.replay.profiles import DEFAULT_PROFILE
from tests.replay.scenarios import OTHER_VERSIONS, Difference, State
from tests.replay.stored import damages, expected

each_version = pytest.mark.parametrize("version", OTHER_VERSIONS, ids=lambda version: version.name)
each_stage = pytest.mark.parametrize("stage_name", ["sandbox_environment", "scripted_environment"])


def recorded(version: Path, name: str) -> tuple[Exchange, ...]:
    return load(version / "contract-cut" / f"{name}.jsonl")


def broken(recording: tuple[Exchange, ...]) -> int:
    """The number of the first chunk that was answered with an error."""
    return next(each.number for each in recording if each.request.method == "PATCH" and each.response.status == 502)


def status_of(recording: tuple[Exchange, ...]) -> int:
    """The number of the first request for the status of an upload."""
    wanted = (each for each in recording if each.request.method == "GET" and "/blobs/uploads/" in each.request.path)
    return next(each.number for each in wanted)


def started_again(version: Path) -> tuple[Exchange, ...]:
    """What Harbor sent up to the status of the upload that was gone, and then what it sends after a 404."""
    gone, first = recorded(version, "push-chunk-cut-spoiled"), recorded(version, "push-chunk-cut-first")
    last, begin = status_of(gone), status_of(first)
    after = (moved(each, last - begin) for each in first if each.number > begin)
    return (*(each for each in gone if each.number <= last), *after)


def moved(exchange: Exchange, by: int) -> Exchange:
    """The exchange with a number that is higher by so many, as is that of the one that it follows."""
    follows = exchange.request.follows
    request = exchange.request if follows is None else replace(exchange.request, follows=follows + by)
    return replace(exchange, number=exchange.number + by, request=request)


def play(stage: Stage, recording: tuple[Exchange, ...], blobs: Blobs, *, after: int, forgets: bool) -> list[Result]:
    """Breaks the chunk that was broken in the recording, `after` so many bytes, as far as the SWR counts them."""
    stage.swr.reset(DEFAULT_PROFILE, State())
    cut = broken(recording)

    def watch(result: Result) -> None:
        if result.exchange.number == cut - 1:
            stage.swr.cut_chunk(after)
        elif result.exchange.number == cut and forgets:
            stage.swr.forget_uploads()

    player = Replayer(stage.adapter.contract, blobs, credentials=CREDENTIALS, timeout=30, on_exchange=watch)
    return player.replay(recording)


def judge(stage: Stage, results: list[Result], blobs: Blobs, differs: Mapping[int, Difference] | None = None) -> None:
    wrong: list[str] = []
    for result in results:
        wrong += complaints(result, stage.adapter.contract, (differs or {}).get(result.exchange.number))
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


@each_stage
@each_version
def test_an_upload_that_is_gone_starts_again(
    version: Path, stage_name: str, request: pytest.FixtureRequest, blobs: Blobs
) -> None:
    """The status is 404. In the recording it was 204, and Harbor sent the chunk five times."""
    stage: Stage = request.getfixturevalue(stage_name)
    recording = started_again(version)
    results = play(stage, recording, blobs, after=5_000_000, forgets=True)
    judge(stage, results, blobs, {status_of(recording): Difference("404")})
