"""What SWR has after a push, for each way in which it accepts OCI."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from adapter.sandbox.recordings.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image
from adapter.swr.annotations import SOURCE_DIGEST
from tests import docker_formats
from tests.manifests.driver import AMD, ARM, NAME, REJECTING, Adapter, parts


@pytest.mark.parametrize("oci", REJECTING)
def test_index_becomes_a_docker_list(adapter: Adapter, buildkit: Image, oci: str) -> None:
    adapter.swr.set_knobs(oci=oci)
    assert adapter.push("v1", buildkit).digest == buildkit.digest
    assert docker_formats.faults(docker_formats.MANIFEST_LIST, adapter.stored("v1")) == []
    document = adapter.document("v1")
    assert document["annotations"][SOURCE_DIGEST] == buildkit.digest
    assert [entry["platform"] for entry in document["manifests"]] == [AMD, ARM]
    children = [adapter.document(entry["digest"]) for entry in document["manifests"]]
    assert [parts(child) for child in children] == [parts(json.loads(c.manifest)) for c in buildkit.children[:2]]
    kind = OCI_MANIFEST if oci == "refuse-index" else DOCKER_MANIFEST
    assert {entry["mediaType"] for entry in document["manifests"]} == {kind}


def test_image_becomes_schema_2(adapter: Adapter, recorded_images: Mapping[str, Image]) -> None:
    adapter.swr.set_knobs(oci="refuse-all")
    image = recorded_images["hello:v2"]
    assert adapter.push("v2", image).digest == image.digest
    assert docker_formats.faults(docker_formats.SCHEMA_2, adapter.stored("v2")) == []
    assert parts(adapter.document("v2")) == parts(json.loads(image.manifest))
    assert adapter.get("v2").data == image.manifest


@pytest.mark.parametrize("oci", REJECTING)
def test_annotations_are_omitted_if_swr_rejects_them(adapter: Adapter, buildkit: Image, oci: str) -> None:
    adapter.swr.set_knobs(oci=oci, unknown_fields=False)
    assert adapter.push("v1", buildkit).digest == adapter.own("v1") == adapter.get("v1").digest
    assert "annotations" not in adapter.document("v1")
    assert adapter.get(buildkit.digest).data == buildkit.manifest
    adapter.requests()
    adapter.put("v1b", buildkit)
    assert adapter.rejections() == 0


def test_repeated_push_changes_nothing(adapter: Adapter, buildkit: Image) -> None:
    adapter.swr.set_knobs(oci="refuse-all")
    store, found = adapter.swr.store, []
    for replica in (adapter, adapter.another()):
        replica.push("v1", buildkit)
        found.append((adapter.own("v1"), store.manifests(str(NAME)), store.blobs(str(NAME))))
    assert found[0] == found[1]


@pytest.mark.parametrize("oci", REJECTING)
def test_replicas_need_no_shared_state(adapter: Adapter, buildkit: Image, oci: str) -> None:
    adapter.swr.set_knobs(oci=oci)
    for child in buildkit.children:
        adapter.another().push(child.digest, child)
    assert all(adapter.another().has(child.digest) for child in buildkit.children)
    adapter.another().put("v1", buildkit)
    assert adapter.another().get("v1").data == buildkit.manifest


def test_warning_and_log_line(adapter: Adapter, buildkit: Image, caplog: pytest.LogCaptureFixture) -> None:
    adapter.upload(buildkit)
    with caplog.at_level("INFO", "adapter.manifests"):
        stored = adapter.put("v1", buildkit)
    assert stored.warning == f"SWR rejected this {OCI_INDEX}: stored as {DOCKER_LIST} {adapter.own('v1')}"
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("adapter.manifests")]
    assert all(word in line for word in (f"{NAME}:v1", buildkit.digest, adapter.own("v1")))
