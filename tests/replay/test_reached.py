"""What must have reached SWR, and that a difference is seen: with SWRs that lose, damage and refuse."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.sandbox.recording import load
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import DOCKER_MANIFEST, Image, digest, dump
from adapter.sandbox.replay import Replayer, Result
from tests.contract.http import Door
from tests.replay.conftest import CREDENTIALS, Stage
from tests.replay.converted import SOURCE
from tests.replay.expectations import complaints
from tests.replay.profiles import PROFILES
from tests.replay.scenarios import CONTRACT, MOUNTS, Contents, State, Stored
from tests.replay.script import Entry, reply
from tests.replay.scripted import ScriptedSwr
from tests.replay.stored import (
    USUAL,
    Expected,
    damages,
    expected,
    other_answers,
    sources_without_blob,
    within,
)


def push(stage: Stage, blobs: Blobs, name: str) -> list[Result]:
    return Replayer(stage.adapter.contract, blobs, credentials=CREDENTIALS, timeout=30).replay(
        load(CONTRACT / f"{name}.jsonl")
    )


@pytest.fixture
def swr(scripted: ScriptedSwr) -> ScriptedSwr:
    scripted.reset("refuse-index", State(("fresh2",)))
    return scripted


def test_blob_that_swr_damages_is_seen(
    swr: ScriptedSwr, scripted_environment: Stage, blobs: Blobs, recorded_images: Mapping[str, Image]
) -> None:
    results = push(scripted_environment, blobs, "push-mount")
    assert list(damages(swr, blobs, results)) == []
    swr.holdings.blobs["fresh2/other", digest(recorded_images["other:v1"].blobs[1])] = b"damaged"
    (damage,) = damages(swr, blobs, results)
    assert "or has it damaged" in damage


def test_manifest_that_swr_loses_is_seen(swr: ScriptedSwr, scripted_environment: Stage, blobs: Blobs) -> None:
    made_up = Entry(
        "PUT", "/v2/.*/manifests/.*", lambda request, match: reply(201, docker_content_digest=digest(request.data))
    )
    swr.script.before(made_up)
    results = push(scripted_environment, blobs, "push-mount")
    assert list(damages(swr, blobs, results)) == ["fresh2/other:v1 is not the manifest that was pushed"]
    assert swr.contents() != expected(State(), results)


def test_what_nobody_pushed_is_seen(swr: ScriptedSwr, scripted_environment: Stage, blobs: Blobs) -> None:
    results = push(scripted_environment, blobs, "push-mount")
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


class TestWhatComesBack:
    """From an SWR that answers HEAD and GET with other documents, loses a tag, or has another one there."""

    @pytest.fixture
    def door(self, scripted_environment: Stage) -> Door:
        return Door(scripted_environment.adapter.contract)

    @pytest.fixture
    def results(self, swr: ScriptedSwr, scripted_environment: Stage, blobs: Blobs) -> list[Result]:
        return push(scripted_environment, blobs, "push-mount")

    def test_as_it_was_pushed(self, door: Door, results: list[Result]) -> None:
        assert [*other_answers(door, results, USUAL)] == []

    def test_another_one_after_the_head(
        self, swr: ScriptedSwr, door: Door, results: list[Result], recorded_images: Mapping[str, Image]
    ) -> None:
        image = recorded_images["hello:v1"]
        other = reply(200, image.manifest, content_type=image.media_type, docker_content_digest=image.digest)
        swr.script.before(Entry("GET", "/v2/.*/manifests/v1", lambda request, match: other, once=True))
        (complaint,) = other_answers(door, results, USUAL)
        assert f"HEAD announces {image.digest}, GET another one" in complaint

    def test_a_tag_that_is_gone(self, swr: ScriptedSwr, door: Door, results: list[Result]) -> None:
        swr.holdings.tags.clear()
        for profile in (USUAL, PROFILES["forgetful"]):
            (complaint,) = other_answers(door, results, profile)
            assert "HEAD 404, GET 404" in complaint

    def test_another_image_under_the_tag(
        self, swr: ScriptedSwr, door: Door, results: list[Result], recorded_images: Mapping[str, Image]
    ) -> None:
        """Which is right where SWR forgets what it was pushed."""
        image = recorded_images["hello:v1"]
        swr.holdings.put_manifest("fresh2/other", "v1", image.manifest, image.media_type)
        (complaint,) = other_answers(door, results, USUAL)
        assert "when it was pushed" in complaint
        assert [*other_answers(door, results, PROFILES["forgetful"])] == []


def test_what_an_swr_that_forgets_may_hold() -> None:
    limits = Contents({"a/b": {"v1": "1"}}, {"a/b": frozenset("12")}, {"a/b": frozenset("345")})
    assert within(limits, limits)
    assert within(replace(limits, manifests={"a/b": frozenset("1")}, blobs={}), limits)
    assert not within(replace(limits, tags={}), limits)
    assert not within(replace(limits, manifests={"a/b": frozenset("13")}), limits)
    assert not within(replace(limits, blobs={"a/b": frozenset("3"), "a/c": frozenset("3")}), limits)


def test_what_stands_for_a_manifest_that_was_refused(
    swr: ScriptedSwr, blobs: Blobs, recorded_images: Mapping[str, Image]
) -> None:
    """Its own bytes as a blob, what is under the tag, and nothing else."""
    image, profile = recorded_images["hello:v2"], PROFILES["refuse-all"]
    exchange = next(each for each in load(CONTRACT / "push-first.jsonl") if each.number == 20)
    results = [Result(exchange, exchange.request.target, 201)]
    swr.holdings.blobs = {("fresh/hello", digest(data)): data for data in (image.manifest, *image.blobs)}
    document = {**json.loads(image.manifest), "mediaType": DOCKER_MANIFEST, "annotations": {SOURCE: image.digest}}
    swr.holdings.put_manifest("fresh/hello", "v2", dump(document), DOCKER_MANIFEST)
    start = State((), (), tuple(("fresh/hello", data) for data in image.blobs))
    assert swr.contents() == expected(start, results, profile, swr)
    assert [*damages(swr, blobs, results, profile)] == []
    del swr.holdings.blobs["fresh/hello", image.digest]
    assert swr.contents() != expected(start, results, profile, swr)
    assert "fresh/hello:v2 is not kept under its own digest" in [*damages(swr, blobs, results, profile)]


def played(folder: Path, name: str, status: int, path: str) -> list[Result]:
    """The recorded exchange of that path, as if it had been answered with the status."""
    exchange = next(each for each in load(folder / f"{name}.jsonl") if re.search(path, each.request.target))
    return [Result(exchange, exchange.request.target, status)]


@pytest.mark.parametrize("status", [201, 202])
def test_what_harbor_takes_for_mounted_must_be_there(
    swr: ScriptedSwr, recorded_images: Mapping[str, Image], status: int
) -> None:
    """Any 2xx to a mount: an upload that is only opened leaves SWR without the blob."""
    results = played(MOUNTS, "push-mount", status, "mount=")
    config = recorded_images["other:v1"].blobs[0]
    assert swr.contents() != expected(State(), results)
    swr.holdings.blobs["landing/other", digest(config)] = config
    assert swr.contents() == expected(State(), results)
    assert expected(State(), played(MOUNTS, "push-mount", 404, "mount=")) == expected(State(), [])


def test_deleted_tag_must_be_gone_and_no_other_one(swr: ScriptedSwr, recorded_images: Mapping[str, Image]) -> None:
    image = recorded_images["evt:v1"]
    start = State(("fresh5",), (Stored("fresh5/evt", "v1", image), Stored("fresh5/evt", "v1b", image)))
    swr.reset("refuse-index", start)
    results = played(CONTRACT, "event-delete-tag", 200, "/tags/")
    assert swr.contents() != expected(start, results)
    swr.holdings.delete_tag("fresh5/evt", "v1b")
    assert swr.contents() == expected(start, results)
    swr.holdings.delete_tag("fresh5/evt", "v1")
    assert swr.contents() != expected(start, results)
    assert expected(start, played(CONTRACT, "event-delete-tag", 404, "/tags/")) == expected(start, [])


def test_deleted_manifest_must_be_gone_with_all_its_tags(
    swr: ScriptedSwr, recorded_images: Mapping[str, Image]
) -> None:
    """Its document may stay: SWR deletes tags."""
    image, other = recorded_images["evt:v1"], recorded_images["hello:v1"]
    start = State(("fresh5",), tuple(Stored("fresh5/evt", tag, image) for tag in ("v1", "v1b")))
    start = replace(start, images=(*start.images, Stored("fresh5/evt", "other", other)))
    swr.reset("refuse-index", start)
    after = Expected(start)
    after.add(played(CONTRACT, "event-delete-artifact", 202, "sha256:4998532a"))
    del swr.holdings.tags["fresh5/evt", "v1"]
    assert after.without_deleted(swr.contents()) != after.contents()
    del swr.holdings.tags["fresh5/evt", "v1b"]
    assert after.without_deleted(swr.contents()) == after.contents()
    del swr.holdings.manifests["fresh5/evt", image.digest]
    assert after.without_deleted(swr.contents()) == after.contents()
    del swr.holdings.tags["fresh5/evt", "other"]
    assert after.without_deleted(swr.contents()) != after.contents()


def test_look_up_that_names_a_repository_without_the_blob_is_seen(
    swr: ScriptedSwr, recorded_images: Mapping[str, Image]
) -> None:
    (result,) = played(MOUNTS, "push-mount", 200, "blob_digest=")
    config = recorded_images["other:v1"].blobs[0]
    named = replace(result, body=b'[{"name":"team/app"}]')
    (complaint,) = sources_without_blob(swr, named)
    assert "team/app is named, which has no sha256:30bf2b51" in complaint
    swr.holdings.blobs["team/app", digest(config)] = config
    assert [*sources_without_blob(swr, named)] == [*sources_without_blob(swr, replace(result, body=b"[]"))] == []


def test_upload_that_swr_cuts_is_a_complaint_and_leaves_nothing(
    swr: ScriptedSwr, scripted_environment: Stage, blobs: Blobs
) -> None:
    """SWR hangs up on every blob: Harbor must be told, and nothing counts as pushed."""
    swr.script.before(Entry("PUT", "/v2/.*/blobs/uploads/.*", abort=True))
    results = push(scripted_environment, blobs, "push-mount")
    uploads = [result for result in results if result.exchange.request.method == "PUT"]
    assert all(result.status is not None and result.status >= 400 for result in uploads)
    assert all(complaints(result, scripted_environment.adapter.contract) for result in uploads)
    assert swr.contents() == expected(State(), results) == expected(State(), [])
