"""The checks of a replay accept what Harbor accepted, and find each kind of error: a blind check would hide a bug."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.sandbox.recording import Exchange, load
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import DOCKER_LIST, DOCKER_MANIFEST, Image, digest, dump
from adapter.sandbox.replay import Result
from adapter.sandbox.store import Store
from tests.replay import listings
from tests.replay.converted import SOURCE
from tests.replay.expectations import complaints, has_expectation
from tests.replay.profiles import PROFILES
from tests.replay.replaying import deviations
from tests.replay.scenarios import MAIN_VERSION, OTHER_VERSIONS, State, Stored, scenarios
from tests.replay.stored import damages, expected, within
from tests.replay.swr import StoredSwr

ORIGIN = "http://127.0.0.1:8080"


def as_recorded(exchange: Exchange) -> Result:
    """The recorded response, as if the replayer had received it."""
    headers = tuple((key, value.replace("{self}", ORIGIN)) for key, value in exchange.response.headers)
    body = exchange.response.body.data if exchange.response.body else None
    return Result(exchange, exchange.request.target, exchange.response.status, headers, body or b"")


def recorded(name: str, number: int) -> Result:
    return as_recorded(next(each for each in load(MAIN_VERSION / f"{name}.jsonl") if each.number == number))


@pytest.mark.parametrize("version", [MAIN_VERSION, *OTHER_VERSIONS], ids=lambda version: version.name)
def test_recorded_responses_are_accepted_and_every_route_has_an_expectation(version: Path) -> None:
    for folder in (each for each in version.iterdir() if each.name.startswith(("contract", "docker-registry"))):
        if folder.name == "contract-cut":
            continue
        for scenario in {part.file: part for whole in scenarios(folder) for part in whole.parts}.values():
            for result in map(as_recorded, scenario.recording()):
                assert complaints(result, ORIGIN) == []
                assert has_expectation(result), f"no expectation for {result.exchange}"


@pytest.mark.parametrize(
    ("name", "number", "header", "value"),
    [
        ("contract/push-unchanged", 6, "Docker-Content-Digest", "sha256:" + "0" * 64),
        ("contract/push-unchanged", 6, "Content-Type", "application/json"),
        ("contract/push-first", 26, "Content-Length", "1"),
        ("contract/push-first", 10, "Location", None),
        ("contract/push-first", 10, "Location", "http://swr.example/v2/fresh/hello/blobs/uploads/1"),
        ("contract/push-first", 10, "Location", "/v2/other/hello/blobs/uploads/1"),
        ("contract/push-by-chunk", 19, "Range", "bytes=0-10485759"),
        ("contract/push-by-chunk", 22, "Docker-Content-Digest", None),
        ("contract/push-first", 4, "Location", "https://swr.example/api/v2.0/projects/1"),
        ("contract/endpoint-create", 2, "Www-Authenticate", 'Bearer realm="https://swr.example/"'),
        ("contract/pull-many-pages", 4, "Link", '<https://swr.example/api/v2.0/projects?page=2>; rel="next"'),
        ("contract/pull-first", 3, "X-Total-Count", "all"),
        ("contract-mounts/push-first", 10, "Docker-Content-Digest", None),
    ],
)
def test_header_that_breaks_harbor_is_found(name: str, number: int, header: str, value: str | None) -> None:
    result = recorded(name, number)
    assert result.header(header) is not None
    headers = tuple(pair for pair in result.headers if pair[0].lower() != header.lower())
    changed = replace(result, headers=headers if value is None else (*headers, (header, value)))
    (complaint,) = complaints(changed, ORIGIN)
    assert header.lower() in complaint.lower()


ARTIFACT = {"digest": "sha256:" + "0" * 64, "type": "IMAGE"}


@pytest.mark.parametrize(
    ("name", "number", "body", "says"),
    [
        ("contract/push-first", 1, {"version": "v1.0"}, "recorded {'version': 'v2.0'}"),
        ("contract/push-unchanged", 3, [{"name": "fresh", "registry_id": 3}], "recorded [('fresh', 0)]"),
        ("contract/push-unchanged", 3, {"name": "fresh"}, "does not have the form of"),
        ("contract-mounts/push-first", 9, [], "recorded [True]"),
        ("contract/proxy-cache-tags", 3, {"name": "fresh/hello", "tags": ["v1"]}, "recorded ('fresh/hello'"),
        ("contract/proxy-cache-cold", 4, {}, "the manifest has the digest"),
        ("contract/proxy-cache-cold", 11, {}, "the blob has the digest"),
        ("contract/event-delete-artifact", 7, {}, "a deletion returned a body"),
        ("contract/pull-first", 3, [{"name": "evt"}], "'evt' is not below the project"),
        ("contract/pull-first", 4, [ARTIFACT | {"tags": [{}]}], "has None among its tags"),
        ("contract/pull-first", 4, [ARTIFACT | {"push_time": ""}], "push_time is not a time"),
        ("contract/pull-first", 12, ARTIFACT, "the digest is"),
        ("contract/endpoint-wrong-secret", 3, {"errors": []}, "without a message"),
        ("contract/endpoint-wrong-secret", 3, {"errors": [{"message": "100% wrong"}]}, "contains a %"),
    ],
)
def test_body_that_breaks_harbor_is_found(name: str, number: int, body: object, says: str) -> None:
    (complaint,) = complaints(replace(recorded(name, number), body=json.dumps(body).encode()), ORIGIN)
    assert says in complaint


def test_deviation_from_the_openapi_document_is_found() -> None:
    headers = (
        ("Docker-Distribution-Api-Version", "registry/2.0"),
        ("X-Request-Id", "1"),
        ("Location", "/v2/fresh/hello/blobs/uploads/x"),
        ("Docker-Upload-UUID", "00000000-0000-0000-0000-000000000000"),
        ("Range", "0-0"),
    )
    described = replace(recorded("contract/push-first", 10), headers=headers)
    assert deviations(described) == []
    for changed in (
        replace(described, status=200),
        replace(described, headers=(*described.headers, ("X-Other", "1"))),
        replace(described, target=f"{described.target}?other=1"),
    ):
        assert deviations(changed)


def test_list_that_differs_from_swr_is_found(recorded_images: Mapping[str, Image], tmp_path: Path) -> None:
    (scenario,) = (each for each in scenarios() if each.file.stem == "pull-first")
    swr = StoredSwr(Store(tmp_path))
    swr.fill(scenario.state(recorded_images))
    results = [as_recorded(each) for each in scenario.recording()]
    assert [*listings.differences(swr.contents(), results)] == []
    swr.store.delete_tag("fresh/evt", "v1b")
    assert any("('v1b', " in each for each in listings.differences(swr.contents(), results))
    swr.store.delete_repository("fresh/other")
    assert any("repositories [" in each for each in listings.differences(swr.contents(), results))


class Converted:
    """An SWR that rejects all OCI manifests, with a converted index and the push of the index as a result."""

    def __init__(self, folder: Path, images: Mapping[str, Image]) -> None:
        self.index = images["multi:buildkit"]
        self.blobs = Blobs([self.index])
        self.swr = StoredSwr(Store(folder))
        self.store = self.swr.store
        for image in (self.index, *self.index.children):
            for data in (image.manifest, *image.blobs):
                self.store.put_blob("fresh/multi", data)
        self.entries = []
        platforms = [each["platform"] for each in json.loads(self.index.manifest)["manifests"]]
        for child, platform in zip(self.index.children[:2], platforms, strict=False):
            data = dump({**json.loads(child.manifest), "mediaType": DOCKER_MANIFEST})
            self.store.put_manifest("fresh/multi", digest(data), data, DOCKER_MANIFEST)
            entry = {"mediaType": DOCKER_MANIFEST, "size": len(data), "digest": digest(data), "platform": platform}
            self.entries.append(entry)
        self.put_list()
        pushes = (each for each in load(MAIN_VERSION / "contract" / "push-buildkit-index.jsonl"))
        push = next(
            each
            for each in pushes
            if each.request.target == "/v2/fresh/multi/manifests/buildkit" and each.request.method == "PUT"
        )
        self.results = [Result(push, push.request.target, 201)]

    def put_list(self, **changes: object) -> None:
        annotations = {SOURCE: self.index.digest}
        document = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": self.entries, "annotations": annotations}
        self.store.put_manifest("fresh/multi", "buildkit", dump({**document, **changes}), DOCKER_LIST)

    def errors(self) -> list[str]:
        return [*damages(self.swr, self.blobs, self.results, PROFILES["refuse-all"])]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda c: c.put_list(manifests=c.entries[::-1]), "has other platforms"),
        (lambda c: c.put_list(manifests=[{**c.entries[0], "size": 1}, c.entries[1]]), "wrong type or size"),
        (
            lambda c: c.put_list(manifests=[{**c.entries[1], "platform": c.entries[0]["platform"]}, c.entries[1]]),
            "references",
        ),
        (lambda c: c.put_list(annotations={}), "has the source annotation None"),
        (lambda c: c.put_list(mediaType=DOCKER_MANIFEST), "is of type"),
        (lambda c: c.store.delete_manifest("fresh/multi", c.entries[0]["digest"]), "is listed and missing"),
        (lambda c: c.store.delete_tag("fresh/multi", "buildkit"), "is missing"),
        (lambda c: c.store.blob_path("fresh/multi", c.index.digest).unlink(), "is not preserved"),
        (lambda c: c.store.blob_path("fresh/multi", digest(c.index.children[0].blobs[1])).unlink(), "has no blob"),
    ],
)
def test_wrong_conversion_is_found(
    damage: Callable[[Converted], object], says: str, recorded_images: Mapping[str, Image], tmp_path: Path
) -> None:
    converted = Converted(tmp_path, recorded_images)
    assert converted.errors() == []
    damage(converted)
    assert any(says in each for each in converted.errors())


def test_damaged_missing_and_extra_contents_are_found(
    recorded_images: Mapping[str, Image], blobs: Blobs, tmp_path: Path
) -> None:
    image, swr = recorded_images["evt:v1"], StoredSwr(Store(tmp_path))
    start = State(("fresh5",), (Stored("fresh5/evt", "v1", image), Stored("fresh5/evt", "v1b", image)))
    swr.fill(start)
    (deletion,) = (
        as_recorded(each)
        for each in load(MAIN_VERSION / "contract" / "event-delete-tag.jsonl")
        if re.search("/tags/", each.request.target)
    )
    assert swr.contents() != expected(start, [deletion])
    swr.store.delete_tag("fresh5/evt", "v1b")
    limits = expected(start, [deletion])
    assert swr.contents() == limits
    assert within(swr.contents(), limits)
    swr.store.put_blob("fresh5/evt", b"more")
    assert swr.contents() != limits
    assert not within(swr.contents(), limits)
    push = next(
        each
        for each in load(MAIN_VERSION / "contract" / "event-push.jsonl")
        if each.request.method == "PUT" and each.request.target == "/v2/fresh5/evt/manifests/v1"
    )
    pushed = [Result(push, push.request.target, 201)]
    assert [*damages(swr, blobs, pushed)] == []
    swr.store.blob_path("fresh5/evt", digest(image.blobs[1])).write_bytes(b"damaged")
    assert "has no intact blob" in next(damages(swr, blobs, pushed))
    swr.store.put_manifest("fresh5/evt", "v1", b"{}", DOCKER_MANIFEST)
    assert "differs from the pushed manifest" in next(damages(swr, blobs, pushed))
