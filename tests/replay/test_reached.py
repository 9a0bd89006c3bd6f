"""What must have reached SWR, and that a difference is seen: with SWRs that lose, damage and refuse."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.sandbox.player import Player, Result
from adapter.sandbox.recording import load
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image, digest
from tests.replay.conftest import CREDENTIALS, Stage
from tests.replay.expectations import complaints
from tests.replay.reached import damages, expected
from tests.replay.scenarios import CONTRACT, State
from tests.replay.script import Entry, reply
from tests.replay.scripted import ScriptedSwr


def push(stage: Stage, blobs: Blobs, name: str) -> list[Result]:
    return Player(stage.adapter.contract, blobs, credentials=CREDENTIALS, timeout=30).play(
        load(CONTRACT / f"{name}.jsonl")
    )


@pytest.fixture
def swr(scripted: ScriptedSwr) -> ScriptedSwr:
    scripted.reset("refuse-index", State(("fresh2",)))
    return scripted


def test_blob_that_swr_damages_is_seen(
    swr: ScriptedSwr, scripted_stage: Stage, blobs: Blobs, recorded_images: Mapping[str, Image]
) -> None:
    results = push(scripted_stage, blobs, "push-mount")
    assert list(damages(swr, blobs, results)) == []
    swr.holdings.blobs["fresh2/other", digest(recorded_images["other:v1"].blobs[1])] = b"damaged"
    (damage,) = damages(swr, blobs, results)
    assert "or has it damaged" in damage


def test_manifest_that_swr_loses_is_seen(swr: ScriptedSwr, scripted_stage: Stage, blobs: Blobs) -> None:
    made_up = Entry(
        "PUT", "/v2/.*/manifests/.*", lambda request, match: reply(201, docker_content_digest=digest(request.data))
    )
    swr.script.before(made_up)
    results = push(scripted_stage, blobs, "push-mount")
    assert list(damages(swr, blobs, results)) == ["fresh2/other:v1 is not the manifest that was pushed"]
    assert swr.contents() != expected(State(), results)


def test_what_nobody_pushed_is_seen(swr: ScriptedSwr, scripted_stage: Stage, blobs: Blobs) -> None:
    results = push(scripted_stage, blobs, "push-mount")
    assert swr.contents() == expected(State(), results)
    swr.holdings.blobs["fresh2/other", digest(b"more")] = b"more"
    assert swr.contents() != expected(State(), results)


def test_list_that_lacks_a_child_is_seen(swr: ScriptedSwr, blobs: Blobs, recorded_images: Mapping[str, Image]) -> None:
    image = recorded_images["multi:list"]
    swr.holdings.manifests["fresh/multi", image.digest] = (image.manifest, image.media_type)
    swr.holdings.tags["fresh/multi", "list"] = image.digest
    exchange = load(CONTRACT / "push-docker-list.jsonl")[-1]
    assert exchange.request.path == "/v2/fresh/multi/manifests/list"
    found = list(damages(swr, blobs, [Result(exchange, exchange.request.target, 201)]))
    assert found == [f"fresh/multi:list lacks its child {child.digest}" for child in image.children]


def test_upload_that_swr_cuts_is_a_complaint_and_leaves_nothing(
    swr: ScriptedSwr, scripted_stage: Stage, blobs: Blobs
) -> None:
    """SWR hangs up on every blob: Harbor must be told, and nothing counts as pushed."""
    swr.script.before(Entry("PUT", "/v2/.*/blobs/uploads/.*", abort=True))
    results = push(scripted_stage, blobs, "push-mount")
    uploads = [result for result in results if result.exchange.request.method == "PUT"]
    assert all(result.status is not None and result.status >= 400 for result in uploads)
    assert all(complaints(result, scripted_stage.adapter.contract) for result in uploads)
    assert swr.contents() == expected(State(), results) == expected(State(), [])
