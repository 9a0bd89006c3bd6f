"""What SWR gets, in each of its moods."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from adapter.manifests.service import Stored
from adapter.references import RepositoryName, digest_of
from adapter.sandbox.recordings.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image
from adapter.swr.annotations import SOURCE_DIGEST
from tests import docker_formats
from tests.manifests.service.driver import REFUSING, Adapter, held, own, parts
from tests.running import RunningSandbox

AMD, ARM = ({"architecture": name, "os": "linux"} for name in ("amd64", "arm64"))


class TestWhatSwrHas:
    @pytest.mark.parametrize("oci", REFUSING)
    def test_a_docker_list_of_the_same_images(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        stored = adapter.push(repository, "v1", buildkit)
        assert stored.digest == buildkit.digest
        found = swr.store.manifest(str(repository), "v1")
        assert found is not None
        assert docker_formats.faults(docker_formats.MANIFEST_LIST, found.data) == []
        document = json.loads(found.data)
        assert document["annotations"][SOURCE_DIGEST] == buildkit.digest
        assert [entry["platform"] for entry in document["manifests"]] == [AMD, ARM]
        children = [held(swr, repository, entry["digest"]) for entry in document["manifests"]]
        assert [parts(child) for child in children] == [parts(json.loads(c.manifest)) for c in buildkit.children[:2]]
        kind = OCI_MANIFEST if oci == "refuse-index" else DOCKER_MANIFEST
        assert {entry["mediaType"] for entry in document["manifests"]} == {kind}

    def test_where_it_takes_all_the_index_itself(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="accept")
        assert adapter.push(repository, "v1", buildkit) == Stored(buildkit.digest)
        assert own(swr, repository, "v1") == buildkit.digest
        assert adapter.get(repository, "v1").data == buildkit.manifest
        assert swr.store.blobs(str(repository)) == sorted(
            {digest_of(blob) for child in buildkit.children for blob in child.blobs}
        )

    def test_a_single_image_as_schema_2(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, recorded_images: Mapping[str, Image]
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        image = recorded_images["hello:v2"]
        stored = adapter.push(repository, "v2", image)
        assert stored.digest == image.digest
        found = swr.store.manifest(str(repository), "v2")
        assert found is not None
        assert found.media_type == DOCKER_MANIFEST
        assert docker_formats.faults(docker_formats.SCHEMA_2, found.data) == []
        assert parts(json.loads(found.data)) == parts(json.loads(image.manifest))
        assert adapter.get(repository, "v2").data == image.manifest

    @pytest.mark.parametrize("oci", REFUSING)
    def test_where_it_takes_no_annotations_the_list_without(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci, unknown_fields=False)
        stored = adapter.push(repository, "v1", buildkit)
        assert stored.digest == own(swr, repository, "v1") == adapter.get(repository, "v1").digest
        assert "annotations" not in held(swr, repository, "v1")
        assert adapter.get(repository, buildkit.digest).data == buildkit.manifest
        adapter.requests()
        adapter.put(repository, "v1b", buildkit)
        assert 400 not in [status for _, _, status in adapter.requests()]

    def test_a_repeated_push_leaves_the_same(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        adapter.push(repository, "v1", buildkit)
        before = own(swr, repository, "v1"), swr.store.manifests(str(repository)), swr.store.blobs(str(repository))
        Adapter(swr).push(repository, "v1", buildkit)
        after = own(swr, repository, "v1"), swr.store.manifests(str(repository)), swr.store.blobs(str(repository))
        assert before == after

    @pytest.mark.parametrize("oci", REFUSING)
    def test_each_replica_knows_what_it_needs_from_swr(
        self, swr: RunningSandbox, repository: RepositoryName, buildkit: Image, oci: str
    ) -> None:
        """Each request by an adapter of its own, as after a restart."""
        swr.set_knobs(oci=oci)
        for child in buildkit.children:
            Adapter(swr).push(repository, child.digest, child)
        assert all(Adapter(swr).has(repository, child.digest) for child in buildkit.children)
        Adapter(swr).put(repository, "v1", buildkit)
        assert Adapter(swr).get(repository, "v1").data == buildkit.manifest

    def test_what_is_said_of_it(
        self,
        adapter: Adapter,
        swr: RunningSandbox,
        repository: RepositoryName,
        buildkit: Image,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        adapter.upload(repository, buildkit)
        with caplog.at_level("INFO", "adapter.manifests"):
            stored = adapter.put(repository, "v1", buildkit)
        digest = own(swr, repository, "v1")
        assert stored.warning == f"SWR rejected this {OCI_INDEX}: it has this image as {DOCKER_LIST} {digest}"
        (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("adapter.manifests")]
        assert all(word in line for word in (f"{repository}:v1", buildkit.digest, digest))
