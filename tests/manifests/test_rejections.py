"""A push that SWR cannot store is rejected, and leaves everything unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from adapter.errors import Denied, ManifestInvalid, OrganizationUnknown, TypeRefused
from adapter.references import RepositoryName
from adapter.sandbox.recordings.images import OCI_INDEX, OCI_MANIFEST, Image, dump, index, single
from tests.manifests.driver import AMD, NAME, REJECTING, Adapter


def packed(compression: bytes) -> Image:
    image = single([("packed", 500)], oci=True)
    return Image(image.manifest.replace(b"tar+gzip", b"tar+" + compression), OCI_MANIFEST, image.blobs)


class TestTag:
    """The tag is what it was before."""

    @pytest.fixture(autouse=True)
    def _unchanged(self, adapter: Adapter) -> Iterator[None]:
        adapter.swr.set_knobs(oci="refuse-all")
        before = single([("before", 400)])
        adapter.push("v1", before)
        yield
        assert adapter.swr.store.tags(str(NAME)) == {"v1": before.digest}

    def test_missing_child(self, adapter: Adapter, buildkit: Image) -> None:
        for child in buildkit.children[1:]:
            adapter.push(child.digest, child)
        with pytest.raises(ManifestInvalid, match=f"{buildkit.children[0].digest}.*push it again"):
            adapter.put("v1", buildkit)

    def test_missing_layer(self, adapter: Adapter, buildkit: Image) -> None:
        for child in buildkit.children:
            adapter.put(child.digest, child)
        with pytest.raises(ManifestInvalid, match=f"{buildkit.children[0].digest}.*blob unknown"):
            adapter.put("v1", buildkit)

    def test_index_without_images(self, adapter: Adapter, buildkit: Image) -> None:
        unknown = {"architecture": "unknown", "os": "unknown"}
        with pytest.raises(TypeRefused, match="no image"):
            adapter.push("v1", index([(buildkit.children[2], unknown, {})], oci=True))

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (packed(b"zstd"), r"zstd.*compression=gzip"),
            (index([(packed(b"zstd"), AMD, {})], oci=True), r"zstd.*compression=gzip"),
            (packed(b"lz4"), "oci-mediatypes=false"),
        ],
    )
    def test_layers_that_docker_does_not_support(self, adapter: Adapter, image: Image, message: str) -> None:
        with pytest.raises(TypeRefused, match=message):
            adapter.push("v1", image)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("charts/web:0.1.0", "helm.chart.content|helm.config"),
            ("signed:sbom", "spdx"),
            ("empty:v1", "vnd.example"),
            (".sig", "cosign"),
        ],
    )
    def test_artifacts(self, adapter: Adapter, recorded_images: Mapping[str, Image], name: str, kind: str) -> None:
        (artifact,) = [image for each, image in recorded_images.items() if each.endswith(name)]
        with pytest.raises(TypeRefused, match=f"not a container image but .*({kind}).*filter"):
            adapter.push("v1", artifact)
        assert adapter.push(artifact.digest, artifact).digest == artifact.digest
        assert adapter.get(artifact.digest).data == artifact.manifest

    def test_failure_of_any_request(self, adapter: Adapter, buildkit: Image) -> None:
        adapter.upload(buildkit)
        for path in ("/blobs/uploads/", "/manifests/v1$", f"/manifests/{buildkit.children[0].digest}"):
            adapter.swr.faults({"path": path, "method": "PUT", "times": 0, "status": 403})
            with pytest.raises(Denied):
                adapter.another().put("v1", buildkit)
        adapter.swr.faults()

    def test_limits_of_an_index(self, adapter: Adapter, buildkit: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        adapter.upload(buildkit)
        monkeypatch.setattr("adapter.manifests.docker_fallback.MAX_CHILDREN", 2)
        with pytest.raises(ManifestInvalid, match=r"3 manifests \(limit 2\)"):
            adapter.put("v1", buildkit)
        monkeypatch.setattr("adapter.manifests.docker_fallback.MAX_CHILDREN", 3)
        monkeypatch.setattr("adapter.manifests.docker_fallback.MAX_CHILDREN_BYTES", 1000)
        with pytest.raises(ManifestInvalid, match="exceed 1000 bytes"):
            adapter.put("v1", buildkit)


@pytest.mark.parametrize("denied", [True, False])
def test_missing_organization_is_not_created(adapter: Adapter, buildkit: Image, denied: bool) -> None:
    adapter.swr.set_knobs(oci="refuse-all", deny_missing_organization=denied)
    adapter.push("v1", buildkit)
    adapter.name = RepositoryName("nobody", "app")
    for reference, image in (("v1", buildkit), (buildkit.children[2].digest, buildkit.children[2])):
        with pytest.raises(OrganizationUnknown):
            adapter.put(reference, image)
    assert adapter.swr.store.organization("nobody") is None


@pytest.mark.parametrize("oci", REJECTING)
def test_damaged_index_is_left_to_swr(adapter: Adapter, oci: str) -> None:
    adapter.swr.set_knobs(oci=oci)
    documents: list[dict[str, object]] = [{"manifests": [{}]}, {"manifests": 7}, {}, {"config": {}, "manifests": []}]
    for document in documents:
        damaged = Image(dump({"schemaVersion": 2, "mediaType": OCI_INDEX, **document}), OCI_INDEX)
        for reference in ("v1", damaged.digest):
            with pytest.raises(TypeRefused, match="because it is of type"):
                adapter.put(reference, damaged)
    assert adapter.swr.store.tags(str(NAME)) == {}
