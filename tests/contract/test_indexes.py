"""OCI images that SWR rejects; `tests/manifests` has all forms of SWR."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from adapter.sandbox.recordings.images import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, Image
from tests.contract.conftest import LOGIN_KEY_ONLY, put_back
from tests.contract.http import Door, asked, digest_of, refused
from tests.contract.test_deletion import tag_route
from tests.contract.test_manifests import put, seed
from tests.running import RunningAdapter, RunningSandbox, running_adapter


@pytest.fixture(scope="module")
def own_adapter(regions: dict[str, dict[str, str]]) -> Iterator[RunningAdapter]:
    """The adapter remembers what SWR rejected, so it serves no other tests."""
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


@pytest.fixture
def converted(door: Door, swr: RunningSandbox, repository: str, index: Image) -> str:
    """The index is pushed with the tags `v1` and `v2`; the digest of the converted image in SWR."""
    for child in index.children:
        for blob in child.blobs:
            swr.store.put_blob(repository, blob)
        assert put(door, repository, child.digest, child).status == 201
    for tag in ("v1", "v2"):
        assert put(door, repository, tag, index).status == 201
    return swr.store.tags(repository)["v1"]


class TestPush:
    def test_as_harbor_pushes(
        self, door: Door, own_adapter: RunningAdapter, swr: RunningSandbox, repository: str, index: Image
    ) -> None:
        for child in index.children:
            for blob in child.blobs:
                door.push(repository, blob)
            assert door.ask("HEAD", f"/v2/{repository}/manifests/{child.digest}").status == 404
            answer = put(door, repository, child.digest, child)
            assert (answer.status, answer.header("Docker-Content-Digest")) == (201, child.digest)
            assert answer.header("Warning").startswith(f'299 - "SWR rejected this {OCI_MANIFEST}: stored as a blob')
            assert door.ask("HEAD", f"/v2/{repository}/manifests/{child.digest}").status == 200
        before = len(own_adapter.service.output)
        answer = put(door, repository, "v1", index)
        own = swr.store.tags(repository)["v1"]
        assert (answer.status, answer.header("Docker-Content-Digest")) == (201, index.digest)
        assert answer.header("Location") == f"/v2/{repository}/manifests/{index.digest}"
        warning = f'299 - "SWR rejected this {OCI_INDEX}: stored as {DOCKER_LIST} {own}"'
        assert answer.header("Warning") == warning
        lines = own_adapter.service.output[before:].splitlines()
        (logged,) = [line for line in lines if "SWR rejected this" in line]
        assert all(word in logged for word in (f"{repository}:v1", index.digest, own))

    def test_accepted_image_has_no_warning(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        seed(swr, repository, recorded_images["multi:list"])
        answer = put(door, repository, "v1", recorded_images["multi:list"])
        assert (answer.status, answer.headers["Warning"]) == (201, None)

    def test_docker_list_with_attestations_loses_them(
        self, door: Door, swr: RunningSandbox, repository: str, index: Image
    ) -> None:
        """As buildx builds it with `oci-mediatypes=false` alone."""
        put_back(swr)
        seed(swr, repository, index)
        data = index.manifest.replace(OCI_INDEX.encode(), DOCKER_LIST.encode())
        answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", data, {"Content-Type": DOCKER_LIST})
        assert (answer.status, answer.header("Docker-Content-Digest")) == (201, digest_of(data))
        held = swr.store.manifest(repository, "v1")
        assert held is not None
        assert held.digest in answer.header("Warning")
        references = [entry["digest"] for entry in json.loads(held.data)["manifests"]]
        assert references == [child.digest for child in index.children[:2]]
        for reference in ("v1", digest_of(data)):
            again = door.ask("GET", f"/v2/{repository}/manifests/{reference}")
            assert (again.body, again.header("Content-Type")) == (data, DOCKER_LIST)
            assert again.header("Docker-Content-Digest") == digest_of(data)
        # The adapter remembers, so the next one is converted at once.
        before = len(asked(swr, "PUT", "/manifests/v2"))
        assert door.ask("PUT", f"/v2/{repository}/manifests/v2", data, {"Content-Type": DOCKER_LIST}).status == 201
        assert len(asked(swr, "PUT", "/manifests/v2")) == before + 1

    def test_artifact_that_is_no_image_is_rejected(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        chart = recorded_images["charts/web:0.1.0"]
        seed(swr, repository, chart)
        answer = put(door, repository, "v1", chart)
        refused(answer, 400, f"{repository}:v1", "helm", "filter", code="MANIFEST_INVALID")
        assert answer.error["detail"]["swr_code"] == "MANIFEST_INVALID"


class TestPull:
    @pytest.mark.parametrize("by", ["tag", "digest"])
    def test_original_is_unchanged(self, door: Door, repository: str, index: Image, converted: str, by: str) -> None:
        reference = "v1" if by == "tag" else index.digest
        for method, body in (("HEAD", b""), ("GET", index.manifest)):
            answer = door.ask(method, f"/v2/{repository}/manifests/{reference}")
            assert (answer.status, answer.body) == (200, body)
            assert answer.header("Docker-Content-Digest") == index.digest
            assert answer.header("Content-Type") == OCI_INDEX
            assert answer.header("Content-Length") == str(len(index.manifest))
        project, _, name = repository.partition("/")
        found = door.ask("GET", f"/api/v2.0/projects/{project}/repositories/{name}/artifacts/{reference}").json
        assert (found["digest"], found["manifest_media_type"], found["type"]) == (index.digest, OCI_INDEX, "IMAGE")
        assert [tag["name"] for tag in found["tags"]] == ["v1", "v2"]

    def test_docker_gets_the_converted_image(self, door: Door, repository: str, index: Image, converted: str) -> None:
        answer = door.ask("GET", f"/v2/{repository}/manifests/v1", headers={"Accept": DOCKER_LIST})
        assert answer.header("Docker-Content-Digest") == converted
        assert answer.header("Content-Type") == DOCKER_LIST
        assert door.ask("GET", f"/v2/{repository}/manifests/{converted}").body == answer.body

    def test_missing_original_or_layer_is_404(
        self, door: Door, swr: RunningSandbox, repository: str, index: Image, converted: str
    ) -> None:
        """With 200 Harbor would not send it again, nor its layers."""
        first, second = index.children[:2]
        for child, deleted in ((first, first.digest), (second, digest_of(second.blobs[-1]))):
            target = f"/v2/{repository}/manifests/{child.digest}"
            assert door.ask("HEAD", target).status == 200
            swr.store.blob_path(repository, deleted).unlink()
            assert door.ask("HEAD", target).status == 404

    def test_head_costs_one_request_without_conversion(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        seed(swr, repository, recorded_images["hello:v1"], "v1")
        for tag, status in (("v1", 200), ("v2", 404)):
            assert door.ask("HEAD", f"/v2/{repository}/manifests/{tag}").status == status
            assert len(asked(swr, "", f"/manifests/{tag}")) == 1
        assert not asked(swr, "", "/blobs/")


class TestDeletion:
    @pytest.mark.parametrize("credentials", ["", LOGIN_KEY_ONLY], ids=["SK", "login key"])
    def test_by_the_digest_of_the_original(
        self, door: Door, swr: RunningSandbox, repository: str, index: Image, converted: str, credentials: str
    ) -> None:
        target = f"/v2/{repository}/manifests/{index.digest}"
        assert door.ask("DELETE", target, authorization=credentials).status == 202
        assert swr.store.tags(repository) == {}
        assert door.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 404
        # The blob of the original is left. GET still serves it, so it is neither deleted nor missing.
        answer = door.ask("DELETE", target, authorization=credentials)
        refused(answer, 403, "SWR deletes only by tag: nothing was deleted", code="DENIED")
        assert door.ask("GET", target).body == index.manifest
        swr.store.blob_path(repository, index.digest).unlink()
        refused(door.ask("DELETE", target), 404, index.digest, code="MANIFEST_UNKNOWN")

    def test_by_tag(self, door: Door, swr: RunningSandbox, repository: str, index: Image, converted: str) -> None:
        assert door.ask("DELETE", tag_route(repository, "v1", index.digest)).status == 200
        assert swr.store.tags(repository) == {"v2": converted}
