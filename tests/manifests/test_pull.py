"""What a pull returns, for each way in which SWR accepts OCI."""

from __future__ import annotations

import json

import pytest

from adapter.references import digest_of
from adapter.sandbox.recordings.images import DOCKER_LIST, OCI_INDEX, Image, dump
from tests.manifests.driver import NAME, REJECTING, Adapter, changed


@pytest.mark.parametrize("oci", REJECTING)
def test_original_and_its_children_are_returned(adapter: Adapter, buildkit: Image, oci: str) -> None:
    adapter.swr.set_knobs(oci=oci)
    adapter.push("v1", buildkit)
    found = adapter.get("v1")
    assert (found.data, found.media_type, found.digest) == (buildkit.manifest, OCI_INDEX, buildkit.digest)
    for each in (buildkit, *buildkit.children):
        again = adapter.get(each.digest)
        assert (again.data, again.media_type) == (each.manifest, each.media_type)
    own = adapter.get(adapter.own("v1"))
    assert (own.media_type, own.digest) == (DOCKER_LIST, adapter.own("v1"))


@pytest.mark.parametrize(("oci", "what"), [("refuse-index", "blobs"), ("refuse-all", "both")])
def test_docker_list_is_returned_if_the_original_is_gone(
    adapter: Adapter, buildkit: Image, oci: str, what: str
) -> None:
    adapter.swr.set_knobs(oci=oci)
    adapter.push("v1", buildkit)
    adapter.forget(what)
    assert adapter.get("v1").digest == adapter.own("v1")
    assert not adapter.another().has(buildkit.digest)
    adapter.push("v1", buildkit)
    assert adapter.get("v1").digest == buildkit.digest
    # What was found lately counts as present: the content still matches its digest.
    adapter.forget(what)
    assert adapter.get("v1").digest == buildkit.digest
    assert adapter.another().get("v1").digest == adapter.own("v1")


def test_attestations_outlive_untagged_manifests(adapter: Adapter, buildkit: Image) -> None:
    """SWR accepted them as manifests, and may remove untagged ones."""
    adapter.another(oci="refuse-index", forget="manifests").push("v1", buildkit)
    assert adapter.swr.store.manifest(str(NAME), buildkit.children[2].digest) is None
    for each in (buildkit, *buildkit.children):
        assert adapter.another().get(each.digest).data == each.manifest


def test_incomplete_index_is_not_returned(adapter: Adapter, buildkit: Image) -> None:
    adapter.push("v1", buildkit)
    attestation = buildkit.children[2].digest
    adapter.swr.store.delete_manifest(str(NAME), attestation)
    adapter.swr.store.blob_path(str(NAME), attestation).unlink()
    fresh = adapter.another()
    assert fresh.get("v1").digest == buildkit.digest
    assert not fresh.has(attestation)
    assert fresh.get("v1").digest == adapter.own("v1")
    # Another replica pushes what is missing, this one the index.
    adapter.another().upload(buildkit)
    fresh.put("v1", buildkit)
    assert fresh.get("v1").digest == buildkit.digest


def test_list_that_was_changed_afterwards_is_returned_itself(adapter: Adapter, buildkit: Image) -> None:
    """As by tools that edit an image in place."""
    adapter.push("v1", buildkit)
    document = adapter.document("v1")
    document["manifests"].pop()
    for data in (dump(document), json.dumps(document, indent=3).encode()):
        adapter.swr.store.put_manifest(str(NAME), "v1", data, DOCKER_LIST)
        assert adapter.get("v1").data == data


def test_other_blobs_are_not_returned_as_manifests(adapter: Adapter, buildkit: Image) -> None:
    adapter.upload(buildkit)
    assert not any(adapter.has(digest_of(blob)) for blob in buildkit.children[0].blobs)


@pytest.mark.parametrize("oci", ["accept", *REJECTING])
def test_update_changes_the_digest(adapter: Adapter, buildkit: Image, oci: str) -> None:
    adapter.swr.set_knobs(oci=oci)
    adapter.push("v1", buildkit)
    assert adapter.head("v1") == buildkit.digest
    new, before = changed(buildkit, ("another", 500)), adapter.own("v1")
    adapter.push("v1", new)
    assert adapter.own("v1") != before
    assert adapter.head("v1") == new.digest != buildkit.digest
