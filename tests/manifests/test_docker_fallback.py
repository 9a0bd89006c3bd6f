"""What no mood of the sandbox does: lists that SWR refuses for what is in them. The rest is in `manifests/`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from adapter.errors import ManifestInvalid, TypeRefused
from adapter.references import RepositoryName
from adapter.sandbox.recordings.images import DOCKER_MANIFEST, Image
from adapter.swr.media_types import digests_in
from tests.manifests.service.driver import Adapter, forget, held
from tests.running import TENANT, RunningSandbox

REPOSITORY = RepositoryName("team", "stand-ins")
CANNOT_PARSE = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "Invalid image"}]})
UNKNOWN_BLOB = json.dumps({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]})


@pytest.fixture
def swr(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    sandbox.reset(oci="refuse-index")
    sandbox.store.create_organization("team", TENANT)
    yield sandbox
    sandbox.reset()


@pytest.fixture
def index(recorded_images: Mapping[str, Image]) -> Image:
    return recorded_images["multi:buildkit"]


@pytest.fixture
def adapter(swr: RunningSandbox, index: Image) -> Adapter:
    """All that the index names is in SWR, the images as OCI manifests."""
    adapter = Adapter(swr)
    adapter.upload(REPOSITORY, index)
    adapter.requests()
    return adapter


def refuse(swr: RunningSandbox, times: int, body: str = CANNOT_PARSE) -> None:
    """The tag, so many times, 0 for ever; the index itself is the first."""
    swr.faults({"method": "PUT", "path": "/manifests/v1$", "status": 400, "body": body, "times": times})


def kinds(swr: RunningSandbox, tag: str) -> set[str]:
    return {entry["mediaType"] for entry in held(swr, REPOSITORY, tag)["manifests"]}


def test_a_list_that_may_name_no_oci_manifests(adapter: Adapter, swr: RunningSandbox, index: Image) -> None:
    refuse(swr, 3)
    assert adapter.put(REPOSITORY, "v1", index).digest == index.digest
    assert kinds(swr, "v1") == {DOCKER_MANIFEST}
    assert adapter.get(REPOSITORY, "v1").data == index.manifest
    # No tag leads to the OCI manifests any more.
    forget(swr, "manifests")
    assert all(Adapter(swr).has(REPOSITORY, child.digest) for child in index.children)
    adapter.requests()
    adapter.put(REPOSITORY, "v2", index)
    assert kinds(swr, "v2") == {DOCKER_MANIFEST}
    assert [path for method, path, _ in adapter.requests() if path.endswith("/v2")] == [
        f"/v2/{REPOSITORY}/manifests/v2"
    ]


def test_a_list_that_swr_takes_in_no_form(adapter: Adapter, swr: RunningSandbox, index: Image) -> None:
    refuse(swr, 0)
    with pytest.raises(TypeRefused, match=r"neither as .*index.* nor as .*list.*Invalid image.*oci-mediatypes=false"):
        adapter.put(REPOSITORY, "v1", index)
    assert swr.store.tags(str(REPOSITORY)) == {}


def test_a_list_that_names_what_swr_has_not(adapter: Adapter, swr: RunningSandbox, index: Image) -> None:
    """No other form would change that."""
    adapter.put(REPOSITORY, "v2", index)
    refuse(swr, 0, UNKNOWN_BLOB)
    adapter.requests()
    with pytest.raises(ManifestInvalid, match="blob unknown"):
        adapter.put(REPOSITORY, "v1", index)
    assert [path for _, path, _ in adapter.requests() if path.endswith("/manifests/v1")] == [
        f"/v2/{REPOSITORY}/manifests/v1"
    ]


def test_the_same_where_it_may_not_tell_its_original(adapter: Adapter, swr: RunningSandbox, index: Image) -> None:
    swr.set_knobs(unknown_fields=False)
    adapter.put(REPOSITORY, "v2", index)
    refuse(swr, 0, UNKNOWN_BLOB)
    with pytest.raises(ManifestInvalid, match="blob unknown"):
        adapter.put(REPOSITORY, "v1", index)


def test_an_index_that_swr_would_take_but_for_what_it_names(
    adapter: Adapter, swr: RunningSandbox, index: Image
) -> None:
    """All of that is there, as manifests: there is nothing to be put right."""
    swr.set_knobs(oci="accept")
    refuse(swr, 0, UNKNOWN_BLOB)
    with pytest.raises(ManifestInvalid, match="blob unknown"):
        adapter.put(REPOSITORY, "v1", index)
    with pytest.raises(ManifestInvalid, match="blob unknown"):
        adapter.put(REPOSITORY, "v1", index.children[0])
    puts = [path for method, path, _ in adapter.requests() if method == "PUT"]
    assert puts == [f"/v2/{REPOSITORY}/manifests/v1"] * 2


def test_what_a_document_names() -> None:
    def named(document: object) -> list[str]:
        return digests_in(json.dumps(document).encode())

    assert named({"manifests": [{"digest": "b"}, {"digest": "a"}, {"digest": "b"}]}) == ["b", "a"]
    assert named({"manifests": [7, {}, {"digest": 7}, {"digest": "a"}]}) == ["a"]
    assert named({"manifests": 7}) == named({"layers": [{"digest": "a"}]}) == []
