"""What comes back from SWR, in each of its moods."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from adapter.references import RepositoryName, digest_of
from adapter.sandbox.recordings.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, Image, dump
from tests.manifests.service.driver import REFUSING, Adapter, changed, forget, held, own
from tests.running import RunningSandbox


class TestWhatComesBack:
    @pytest.mark.parametrize("oci", REFUSING)
    def test_the_original_and_all_that_it_names(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter.push(repository, "v1", buildkit)
        found = adapter.get(repository, "v1")
        assert (found.data, found.media_type, found.digest) == (buildkit.manifest, OCI_INDEX, buildkit.digest)
        for each in (buildkit, *buildkit.children):
            again = adapter.get(repository, each.digest)
            assert (again.data, again.media_type) == (each.manifest, each.media_type)

    def test_by_swrs_own_digest_what_swr_has(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        adapter.push(repository, "v1", buildkit)
        found = adapter.get(repository, own(swr, repository, "v1"))
        assert (found.media_type, found.digest) == (DOCKER_LIST, own(swr, repository, "v1"))

    def test_who_takes_no_oci_gets_what_swr_has(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        adapter.push(repository, "v1", buildkit)
        only = f"{DOCKER_LIST}, {DOCKER_MANIFEST};q=0.5"
        assert adapter.get(repository, "v1", only).digest == own(swr, repository, "v1")
        for accept in (f"{only}, {OCI_INDEX}", f"{only}, */*", f"{only},application/*;q=0.1"):
            assert adapter.get(repository, "v1", accept).digest == buildkit.digest

    @pytest.mark.parametrize("oci", REFUSING)
    @pytest.mark.parametrize("what", ["blobs", "both"])
    def test_once_swr_forgot_it_what_swr_has(
        self, swr: RunningSandbox, repository: RepositoryName, buildkit: Image, oci: str, what: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter = Adapter(swr)
        adapter.push(repository, "v1", buildkit)
        forget(swr, what)
        assert adapter.get(repository, "v1").digest == own(swr, repository, "v1")
        assert not Adapter(swr).has(repository, buildkit.digest)
        adapter.push(repository, "v1", buildkit)
        assert adapter.get(repository, "v1").digest == buildkit.digest
        # What was found lately is taken to be there: the content is the one that was announced, all the same.
        forget(swr, what)
        assert adapter.get(repository, "v1").digest == buildkit.digest
        assert Adapter(swr).get(repository, "v1").digest == own(swr, repository, "v1")

    def test_attestations_outlive_manifests_without_a_tag(
        self, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        """SWR took them as manifests, and is said to remove those that no tag leads to."""
        swr.set_knobs(oci="refuse-index", forget="manifests")
        Adapter(swr).push(repository, "v1", buildkit)
        proof = buildkit.children[2]
        assert swr.store.manifest(str(repository), proof.digest) is None
        for each in (buildkit, *buildkit.children):
            assert Adapter(swr).get(repository, each.digest).data == each.manifest

    def test_an_index_that_cannot_be_had_whole_is_not_given_out(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        adapter.push(repository, "v1", buildkit)
        proof = buildkit.children[2].digest
        swr.store.delete_manifest(str(repository), proof)
        swr.store.blob_path(str(repository), proof).unlink()
        fresh = Adapter(swr)
        assert fresh.get(repository, "v1").digest == buildkit.digest
        assert not fresh.has(repository, proof)
        assert fresh.get(repository, "v1").digest == own(swr, repository, "v1")
        # Another replica brings what is missing, this one the index.
        Adapter(swr).upload(repository, buildkit)
        fresh.put(repository, "v1", buildkit)
        assert fresh.get(repository, "v1").digest == buildkit.digest

    def test_another_image_under_the_annotation_stands_for_itself(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        """As tools leave it that edit an image where it is."""
        adapter.push(repository, "v1", buildkit)
        document = held(swr, repository, "v1")
        document["manifests"].pop()
        swr.store.put_manifest(str(repository), "v1", dump(document), DOCKER_LIST)
        assert adapter.get(repository, "v1").data == dump(document)
        swr.store.put_manifest(str(repository), "v1", json.dumps(document, indent=3).encode(), DOCKER_LIST)
        assert adapter.get(repository, "v1").digest == own(swr, repository, "v1")

    def test_what_is_no_manifest_is_not_found_by_its_digest(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        adapter.upload(repository, buildkit)
        for blob in buildkit.children[0].blobs:
            assert not adapter.has(repository, digest_of(blob))

    def test_two_tags_and_a_tag_that_moves(
        self,
        adapter: Adapter,
        swr: RunningSandbox,
        repository: RepositoryName,
        buildkit: Image,
        recorded_images: Mapping[str, Image],
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        image = recorded_images["hello:v2"]
        adapter.push(repository, "v1", buildkit)
        adapter.push(repository, "latest", buildkit)
        assert own(swr, repository, "v1") == own(swr, repository, "latest")
        for now in (image, buildkit, recorded_images["hello:v1"], buildkit):
            adapter.push(repository, "latest", now)
            assert adapter.get(repository, "latest").data == now.manifest
            assert adapter.get(repository, "v1").data == buildkit.manifest

    @pytest.mark.parametrize("oci", ["accept", *REFUSING])
    def test_an_update_is_seen(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter.push(repository, "v1", buildkit)
        assert adapter.head(repository, "v1") == buildkit.digest
        new = changed(buildkit, ("another", 500))
        before = own(swr, repository, "v1")
        adapter.push(repository, "v1", new)
        assert own(swr, repository, "v1") != before
        assert adapter.head(repository, "v1") == new.digest != buildkit.digest
