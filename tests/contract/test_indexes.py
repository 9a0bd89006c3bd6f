"""OCI images that SWR refuses, through the contract door; `tests/transfer/manifests` has all its moods."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from adapter.sandbox.recordings.images import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, Image
from tests.contract.conftest import put_back
from tests.contract.http import Answer, Door, asked, digest_of, refused
from tests.contract.test_deletion import tag_route
from tests.contract.test_manifests import seed
from tests.credentials import ACCESS_ID, LOGIN_KEY, basic
from tests.running import RunningAdapter, RunningSandbox, running_adapter


@pytest.fixture(scope="module")
def own_adapter(regions: dict[str, dict[str, str]]) -> Iterator[RunningAdapter]:
    """It remembers what SWR refused: that must not reach other tests."""
    with running_adapter(regions) as adapter:
        yield adapter


@pytest.fixture
def swr(sandbox: RunningSandbox) -> RunningSandbox:
    return put_back(sandbox, oci="refuse-all")


@pytest.fixture
def door(own_adapter: RunningAdapter, swr: RunningSandbox) -> Door:
    return Door(own_adapter.contract)


@pytest.fixture
def index(recorded_images: Mapping[str, Image]) -> Image:
    return recorded_images["multi:buildkit"]


def put(door: Door, repository: str, reference: str, image: Image) -> Answer:
    target = f"/v2/{repository}/manifests/{reference}"
    return door.ask("PUT", target, image.manifest, {"Content-Type": image.media_type})


@pytest.fixture
def pushed(door: Door, swr: RunningSandbox, repository: str, index: Image) -> str:
    """The index, under the tags `v1` and `v2`; the digest of what SWR has."""
    for child in index.children:
        for blob in child.blobs:
            swr.store.put_blob(repository, blob)
        assert put(door, repository, child.digest, child).status == 201
    for tag in ("v1", "v2"):
        assert put(door, repository, tag, index).status == 201
    return swr.store.tags(repository)["v1"]


def test_a_push_as_harbor_makes_it(
    door: Door, own_adapter: RunningAdapter, swr: RunningSandbox, repository: str, index: Image
) -> None:
    for child in index.children:
        for blob in child.blobs:
            door.push(repository, blob)
        assert door.ask("HEAD", f"/v2/{repository}/manifests/{child.digest}").status == 404
        answer = put(door, repository, child.digest, child)
        assert (answer.status, answer.header("Docker-Content-Digest")) == (201, child.digest)
        assert answer.header("Warning").startswith(f'299 - "SWR rejected this {OCI_MANIFEST}: stored')
        assert door.ask("HEAD", f"/v2/{repository}/manifests/{child.digest}").status == 200
    before = len(own_adapter.service.output)
    answer = put(door, repository, "v1", index)
    own = swr.store.tags(repository)["v1"]
    assert (answer.status, answer.header("Docker-Content-Digest")) == (201, index.digest)
    assert answer.header("Location") == f"/v2/{repository}/manifests/{index.digest}"
    assert answer.header("Warning") == f'299 - "SWR rejected this {OCI_INDEX}: stored as {DOCKER_LIST} {own}"'
    told = [line for line in own_adapter.service.output[before:].splitlines() if "SWR rejected this" in line]
    assert len(told) == 1
    assert all(word in told[0] for word in (f"{repository}:v1", index.digest, own))


def test_what_swr_takes_is_told_nothing_of(
    door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
) -> None:
    image = recorded_images["multi:list"]
    seed(swr, repository, image)
    answer = put(door, repository, "v1", image)
    assert (answer.status, answer.headers["Warning"]) == (201, None)


def test_a_manifest_that_swr_has_forgotten_is_not_said_to_be_there(
    door: Door, swr: RunningSandbox, repository: str, index: Image, pushed: str
) -> None:
    """Harbor would not send it again, nor its layers."""
    first, second = index.children[:2]
    for child, gone in ((first, first.digest), (second, digest_of(second.blobs[-1]))):
        target = f"/v2/{repository}/manifests/{child.digest}"
        assert door.ask("HEAD", target).status == 200
        swr.store.blob_path(repository, gone).unlink()
        assert door.ask("HEAD", target).status == 404


def test_a_docker_list_with_attestations_loses_them_as_an_index_does(
    door: Door, swr: RunningSandbox, repository: str, index: Image
) -> None:
    """As buildx builds it with `oci-mediatypes=false` alone."""
    put_back(swr)
    seed(swr, repository, index)
    data = index.manifest.replace(OCI_INDEX.encode(), DOCKER_LIST.encode())
    target = f"/v2/{repository}/manifests/v1"
    answer = door.ask("PUT", target, data, {"Content-Type": DOCKER_LIST})
    assert (answer.status, answer.header("Docker-Content-Digest")) == (201, digest_of(data))
    held = swr.store.manifest(repository, "v1")
    assert held is not None
    assert held.digest in answer.header("Warning")
    named = [entry["digest"] for entry in json.loads(held.data)["manifests"]]
    assert named == [child.digest for child in index.children[:2]]
    for reference in ("v1", digest_of(data)):
        again = door.ask("GET", f"/v2/{repository}/manifests/{reference}")
        assert (again.body, again.header("Content-Type")) == (data, DOCKER_LIST)
        assert again.header("Docker-Content-Digest") == digest_of(data)
    # The second is not sent in vain.
    put_before = len(asked(swr, "PUT", "/manifests/v2"))
    assert door.ask("PUT", f"/v2/{repository}/manifests/v2", data, {"Content-Type": DOCKER_LIST}).status == 201
    assert len(asked(swr, "PUT", "/manifests/v2")) == put_before + 1


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_it_comes_back_as_it_was(door: Door, repository: str, index: Image, pushed: str, by: str) -> None:
    target = f"/v2/{repository}/manifests/{'v1' if by == 'tag' else index.digest}"
    for method, body in (("HEAD", b""), ("GET", index.manifest)):
        answer = door.ask(method, target)
        assert (answer.status, answer.body) == (200, body)
        assert answer.header("Docker-Content-Digest") == index.digest
        assert answer.header("Content-Type") == OCI_INDEX
        assert answer.header("Content-Length") == str(len(index.manifest))


def test_for_docker_what_swr_has(door: Door, repository: str, index: Image, pushed: str) -> None:
    answer = door.ask("GET", f"/v2/{repository}/manifests/v1", headers={"Accept": DOCKER_LIST})
    assert answer.header("Docker-Content-Digest") == pushed
    assert answer.header("Content-Type") == DOCKER_LIST
    assert door.ask("GET", f"/v2/{repository}/manifests/{pushed}").body == answer.body


def test_what_is_no_image_is_refused_with_what_to_do(
    door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
) -> None:
    chart = recorded_images["charts/web:0.1.0"]
    seed(swr, repository, chart)
    answer = put(door, repository, "v1", chart)
    refused(answer, 400, f"{repository}:v1", "helm", "filter", code="MANIFEST_INVALID")
    assert answer.error["detail"]["swr_code"] == "MANIFEST_INVALID"


class TestDeletion:
    @pytest.mark.parametrize("credentials", [None, basic(ACCESS_ID, LOGIN_KEY)], ids=["SK", "login key"])
    def test_by_the_digest_that_was_pushed(
        self, door: Door, swr: RunningSandbox, repository: str, index: Image, pushed: str, credentials: str | None
    ) -> None:
        target = f"/v2/{repository}/manifests/{index.digest}"
        assert door.ask("DELETE", target, authorization=credentials or "").status == 202
        assert swr.store.tags(repository) == {}
        assert door.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 404
        # Its blob is all that is left. GET serves it, so it is neither deleted nor gone.
        assert door.ask("HEAD", target).status == 200
        answer = door.ask("DELETE", target, authorization=credentials or "")
        refused(answer, 403, "SWR deletes only by tag", code="DENIED")
        assert door.ask("GET", target).body == index.manifest
        swr.store.blob_path(repository, index.digest).unlink()
        refused(door.ask("DELETE", target), 404, index.digest, code="MANIFEST_UNKNOWN")

    def test_a_tag_of_it(self, door: Door, swr: RunningSandbox, repository: str, index: Image, pushed: str) -> None:
        assert door.ask("DELETE", tag_route(repository, "v1", index.digest)).status == 200
        assert swr.store.tags(repository) == {"v2": pushed}


class TestArtifact:
    @pytest.mark.parametrize("by", ["tag", "digest"])
    def test_is_what_the_registry_answers(
        self, door: Door, repository: str, index: Image, pushed: str, by: str
    ) -> None:
        project, _, name = repository.partition("/")
        reference = "v1" if by == "tag" else index.digest
        found = door.ask("GET", f"/api/v2.0/projects/{project}/repositories/{name}/artifacts/{reference}").json
        assert (found["digest"], found["manifest_media_type"], found["type"]) == (index.digest, OCI_INDEX, "IMAGE")
        assert [tag["name"] for tag in found["tags"]] == ["v1", "v2"]


def test_a_look_costs_one_request_as_long_as_nothing_was_translated(
    door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
) -> None:
    image = recorded_images["hello:v1"]
    seed(swr, repository, image)
    swr.store.put_manifest(repository, "v1", image.manifest, image.media_type)
    for tag, status in (("v1", 200), ("v2", 404)):
        assert door.ask("HEAD", f"/v2/{repository}/manifests/{tag}").status == status
        assert len(asked(swr, "", f"/manifests/{tag}")) == 1
    assert not asked(swr, "", "/blobs/")
