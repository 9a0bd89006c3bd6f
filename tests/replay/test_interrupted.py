"""Copy by chunk when SWR interrupts a chunk: Harbor requests the status, and continues or starts again.

`contract-cut/` contains what Harbor sent when the upload still existed, when nothing of it had been accepted, and when
it was gone (`spoiled`). In the last case the run failed, because the status had said that the upload could continue.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adapter.sandbox.recording import Exchange, load
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.replay import Replayer, Result
from tests.replay.conftest import CREDENTIALS, StartEnvironment
from tests.replay.profiles import DEFAULT_PROFILE
from tests.replay.replaying import report_errors, response_errors
from tests.replay.scenarios import OTHER_VERSIONS, Difference, State
from tests.replay.stored import damages, expected

Recording = tuple[Exchange, ...]


def recorded(version: Path, name: str) -> Recording:
    return load(version / "contract-cut" / f"{name}.jsonl")


def interrupted_chunk(recording: Recording) -> int:
    """The number of the first chunk that got an error."""
    return next(each.number for each in recording if each.request.method == "PATCH" and each.response.status == 502)


def status_request(recording: Recording) -> int:
    """The number of the first request for the status of an upload."""
    gets = (each for each in recording if each.request.method == "GET" and "/blobs/uploads/" in each.request.path)
    return next(each.number for each in gets)


def started_again(version: Path) -> Recording:
    """What Harbor sent up to the status of the upload that was gone, and then what it sends after a 404."""
    gone, first = recorded(version, "push-chunk-cut-spoiled"), recorded(version, "push-chunk-cut-first")
    last, begin = status_request(gone), status_request(first)
    following = (renumbered(each, last - begin) for each in first if each.number > begin)
    return (*(each for each in gone if each.number <= last), *following)


def renumbered(exchange: Exchange, offset: int) -> Exchange:
    """The exchange with its number, and that of the exchange that it follows, increased by the offset."""
    follows = exchange.request.follows
    request = exchange.request if follows is None else replace(exchange.request, follows=follows + offset)
    return replace(exchange, number=exchange.number + offset, request=request)


@pytest.mark.parametrize("version", OTHER_VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("upload", ["exists", "empty", "gone"])
@pytest.mark.parametrize("behavior", ["default", "alternative"])
def test_upload_continues_if_it_exists_else_starts_again(
    version: Path, upload: str, behavior: str, environment: StartEnvironment, blobs: Blobs
) -> None:
    """If the upload is gone the status is 404. In the recording it was 204, and Harbor sent the chunk five times."""
    recording = {
        "exists": recorded(version, "push-chunk-cut"),
        "empty": recorded(version, "push-chunk-cut-first"),
        "gone": started_again(version),
    }[upload]
    differs = {status_request(recording): Difference("404")} if upload == "gone" else {}
    stage = environment(behavior, False, "")
    stage.swr.reset(DEFAULT_PROFILE, State())
    number = interrupted_chunk(recording)

    def interrupt(result: Result) -> None:
        if result.exchange.number == number - 1:
            stage.swr.interrupt_chunk(0 if upload == "exists" else 5_000_000)
        elif result.exchange.number == number and upload != "exists":
            stage.swr.discard_uploads()

    replayer = Replayer(stage.adapter.contract, blobs, credentials=CREDENTIALS, timeout=30, on_exchange=interrupt)
    results = replayer.replay(recording)
    report_errors([*response_errors(results, stage.adapter.contract, differs)], stage)
    assert [*damages(stage.swr, blobs, results)] == []
    assert stage.swr.contents() == expected(State(), results)
