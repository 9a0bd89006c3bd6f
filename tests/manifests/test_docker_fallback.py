"""Lists that SWR rejects for what they contain, which no knob of the sandbox does."""

from __future__ import annotations

import json

import pytest

from adapter.errors import ManifestInvalid, TypeRefused
from adapter.sandbox.recordings.images import DOCKER_MANIFEST, Image
from adapter.swr.media_types import digests_in
from tests.manifests.driver import NAME, Adapter

CANNOT_PARSE = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "Invalid image"}]})
UNKNOWN_BLOB = json.dumps({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]})


@pytest.fixture(autouse=True)
def _uploaded(adapter: Adapter, buildkit: Image) -> None:
    """SWR has everything that the index references, the images as OCI manifests."""
    adapter.swr.set_knobs(oci="refuse-index")
    adapter.upload(buildkit)
    adapter.requests()


def reject_tag(adapter: Adapter, times: int, body: str = CANNOT_PARSE) -> None:
    """Rejects PUT of the tag v1, 0 for always; the index itself is the first."""
    adapter.swr.faults({"method": "PUT", "path": "/manifests/v1$", "status": 400, "body": body, "times": times})


def kinds(adapter: Adapter, tag: str) -> set[str]:
    return {entry["mediaType"] for entry in adapter.document(tag)["manifests"]}


def test_list_that_may_not_contain_oci_manifests(adapter: Adapter, buildkit: Image) -> None:
    reject_tag(adapter, 3)
    assert adapter.put("v1", buildkit).digest == buildkit.digest
    assert kinds(adapter, "v1") == {DOCKER_MANIFEST}
    assert adapter.get("v1").data == buildkit.manifest
    # No tag references the OCI manifests any more.
    adapter.forget("manifests")
    assert all(adapter.another().has(child.digest) for child in buildkit.children)
    adapter.requests()
    adapter.put("v2", buildkit)
    assert kinds(adapter, "v2") == {DOCKER_MANIFEST}
    assert [path for _, path, _ in adapter.requests() if path.endswith("/v2")] == [f"/v2/{NAME}/manifests/v2"]


def test_list_that_swr_rejects_in_every_format(adapter: Adapter, buildkit: Image) -> None:
    reject_tag(adapter, 0)
    with pytest.raises(TypeRefused, match=r"both as .*index.* and as .*list.*Invalid image.*oci-mediatypes=false"):
        adapter.put("v1", buildkit)
    assert adapter.swr.store.tags(str(NAME)) == {}


@pytest.mark.parametrize("annotations", [True, False])
def test_list_whose_children_are_missing_is_tried_once(adapter: Adapter, buildkit: Image, annotations: bool) -> None:
    adapter.swr.set_knobs(unknown_fields=annotations)
    adapter.put("v2", buildkit)
    reject_tag(adapter, 0, UNKNOWN_BLOB)
    adapter.requests()
    with pytest.raises(ManifestInvalid, match="blob unknown"):
        adapter.put("v1", buildkit)
    assert [path for _, path, _ in adapter.requests() if path.endswith("/v1")] == [f"/v2/{NAME}/manifests/v1"]


def test_index_whose_children_are_present_is_not_repaired(adapter: Adapter, buildkit: Image) -> None:
    adapter.swr.set_knobs(oci="accept")
    reject_tag(adapter, 0, UNKNOWN_BLOB)
    for image in (buildkit, buildkit.children[0]):
        with pytest.raises(ManifestInvalid, match="blob unknown"):
            adapter.put("v1", image)
    puts = [path for method, path, _ in adapter.requests() if method == "PUT"]
    assert puts == [f"/v2/{NAME}/manifests/v1"] * 2


@pytest.mark.parametrize(
    ("document", "digests"),
    [
        ({"manifests": [{"digest": "b"}, {"digest": "a"}, {"digest": "b"}]}, ["b", "a"]),
        ({"manifests": [7, {}, {"digest": 7}, {"digest": "a"}]}, ["a"]),
        ({"manifests": 7}, []),
        ({"layers": [{"digest": "a"}]}, []),
    ],
)
def test_digests_in_a_document(document: object, digests: list[str]) -> None:
    assert digests_in(json.dumps(document).encode()) == digests
