"""What cannot be had in SWR is refused, and leaves everything as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from adapter.errors import Denied, ManifestInvalid, OrganizationUnknown, TypeRefused
from adapter.references import RepositoryName
from adapter.sandbox.recordings.images import OCI_INDEX, OCI_MANIFEST, Image, dump, index, single
from tests.manifests.service.driver import REFUSING, Adapter
from tests.running import RunningSandbox

AMD, ARM = ({"architecture": name, "os": "linux"} for name in ("amd64", "arm64"))


class TestWhatCannotBe:
    """Nothing is under the tag afterwards but what was there before."""

    @pytest.fixture(autouse=True)
    def _untouched(self, swr: RunningSandbox, repository: RepositoryName, adapter: Adapter) -> Iterator[None]:
        swr.set_knobs(oci="refuse-all")
        before = single([("before", 400)])
        adapter.push(repository, "v1", before)
        yield
        assert swr.store.tags(str(repository)) == {"v1": before.digest}

    def test_a_child_that_is_nowhere(self, adapter: Adapter, repository: RepositoryName, buildkit: Image) -> None:
        for child in buildkit.children[1:]:
            adapter.push(repository, child.digest, child)
        with pytest.raises(ManifestInvalid, match=f"{buildkit.children[0].digest}.*push it again"):
            adapter.put(repository, "v1", buildkit)

    def test_an_index_in_the_index(self, adapter: Adapter, repository: RepositoryName, buildkit: Image) -> None:
        outer = index([(buildkit, AMD, {})], oci=True)
        with pytest.raises(TypeRefused, match="holds another index") as caught:
            adapter.push(repository, "v1", outer)
        assert caught.value.swr_code == "MANIFEST_INVALID"

    def test_attestations_alone(self, adapter: Adapter, repository: RepositoryName, buildkit: Image) -> None:
        nowhere = {"architecture": "unknown", "os": "unknown"}
        with pytest.raises(TypeRefused, match="no image"):
            adapter.push(repository, "v1", index([(buildkit.children[2], nowhere, {})], oci=True))

    def test_zstd_layers(self, adapter: Adapter, repository: RepositoryName) -> None:
        image = single([("packed", 500)], oci=True)
        packed = Image(image.manifest.replace(b"tar+gzip", b"tar+zstd"), OCI_MANIFEST, image.blobs)
        for pushed in (packed, index([(packed, AMD, {})], oci=True)):
            with pytest.raises(TypeRefused, match=r"zstd.*compression=gzip"):
                adapter.push(repository, "v1", pushed)

    def test_layers_of_another_kind(self, adapter: Adapter, repository: RepositoryName) -> None:
        image = single([("packed", 500)], oci=True)
        packed = Image(image.manifest.replace(b"tar+gzip", b"tar+lz4"), OCI_MANIFEST, image.blobs)
        with pytest.raises(TypeRefused, match="oci-mediatypes=false"):
            adapter.push(repository, "v1", packed)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("charts/web:0.1.0", "helm.chart.content|helm.config"), ("signed:sbom", "spdx"), ("empty:v1", "vnd.example")],
    )
    def test_what_is_no_image(
        self, adapter: Adapter, repository: RepositoryName, recorded_images: Mapping[str, Image], name: str, kind: str
    ) -> None:
        artifact = recorded_images[name]
        with pytest.raises(TypeRefused, match=f"no container image but .*({kind}).*filter"):
            adapter.push(repository, "v1", artifact)
        assert adapter.push(repository, artifact.digest, artifact).digest == artifact.digest
        assert adapter.get(repository, artifact.digest).data == artifact.manifest

    def test_a_cosign_signature_by_its_tag(
        self, adapter: Adapter, repository: RepositoryName, recorded_images: Mapping[str, Image]
    ) -> None:
        (signature,) = [image for name, image in recorded_images.items() if name.endswith(".sig")]
        with pytest.raises(TypeRefused, match="cosign"):
            adapter.push(repository, "v1", signature)

    def test_a_layer_that_swr_has_not(self, adapter: Adapter, repository: RepositoryName, buildkit: Image) -> None:
        """The list's images would name it: SWR says so, and the sentence which image it is."""
        for child in buildkit.children:
            adapter.put(repository, child.digest, child)
        with pytest.raises(ManifestInvalid, match=f"{buildkit.children[0].digest}.*blob unknown"):
            adapter.put(repository, "v1", buildkit)

    def test_what_fails_on_the_way(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        adapter.upload(repository, buildkit)
        never = {"times": 0, "status": 403}
        for path in ("/blobs/uploads/", "/manifests/v1$", f"/manifests/{buildkit.children[0].digest}"):
            swr.faults({"path": path, "method": "PUT", **never})
            with pytest.raises(Denied):
                Adapter(swr).put(repository, "v1", buildkit)
        swr.faults()

    def test_more_manifests_than_are_looked_for(
        self, adapter: Adapter, repository: RepositoryName, buildkit: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adapter.upload(repository, buildkit)
        monkeypatch.setattr("adapter.manifests.docker_fallback.MOST", 2)
        with pytest.raises(ManifestInvalid, match=r"3 manifests.*at most 2"):
            adapter.put(repository, "v1", buildkit)
        monkeypatch.setattr("adapter.manifests.docker_fallback.MOST", 3)
        monkeypatch.setattr("adapter.manifests.docker_fallback.MOST_BYTES", 1000)
        with pytest.raises(ManifestInvalid, match="larger than 1000 bytes"):
            adapter.put(repository, "v1", buildkit)


@pytest.mark.parametrize("denied", [True, False])
def test_an_organization_that_is_missing_is_not_made(
    adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image, denied: bool
) -> None:
    swr.set_knobs(oci="refuse-all", deny_missing_organization=denied)
    adapter.push(repository, "v1", buildkit)
    for reference, image in (("v1", buildkit), (buildkit.children[2].digest, buildkit.children[2])):
        with pytest.raises(OrganizationUnknown):
            adapter.put(RepositoryName("nobody", "app"), reference, image)
    assert swr.store.organization("nobody") is None


@pytest.mark.parametrize("oci", REFUSING)
def test_a_damaged_index_is_refused_by_swr_as_ever(
    adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, oci: str
) -> None:
    swr.set_knobs(oci=oci)
    documents: list[dict[str, object]] = [{"manifests": [{}]}, {"manifests": 7}, {}, {"config": {}, "manifests": []}]
    for document in documents:
        damaged = Image(dump({"schemaVersion": 2, "mediaType": OCI_INDEX, **document}), OCI_INDEX)
        for reference in ("v1", damaged.digest):
            with pytest.raises(TypeRefused, match="because it is of type"):
                adapter.put(repository, reference, damaged)
    assert swr.store.tags(str(repository)) == {}
