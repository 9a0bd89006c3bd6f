"""How many requests a manifest costs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.errors import TypeRefused
from adapter.references import RepositoryName
from adapter.sandbox.recordings.images import OCI_MANIFEST, Image, single
from tests.manifests.service.driver import REFUSING, Adapter, changed, own
from tests.running import RunningSandbox


class TestWhatItCosts:
    def test_a_look_at_what_swr_has_as_it_came(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, recorded_images: Mapping[str, Image]
    ) -> None:
        for name in ("hello:v1", "multi:list"):
            adapter.push(repository, "v1", recorded_images[name])
            adapter.requests()
            adapter.head(repository, "v1")
            assert len(adapter.requests()) == 1
            assert not adapter.has(repository, "missing")
            assert len(adapter.requests()) == 1

    @pytest.mark.parametrize("oci", REFUSING)
    def test_a_look_at_a_translation(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter.push(repository, "v1", buildkit)
        fresh = Adapter(swr)
        fresh.requests()
        assert fresh.head(repository, "v1") == buildkit.digest
        assert len(fresh.requests()) <= 3
        assert fresh.head(repository, "v1") == buildkit.digest
        assert len(fresh.requests()) == 1

    @pytest.mark.parametrize("oci", REFUSING)
    def test_the_second_image_is_refused_nowhere(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter.push(repository, "v1", buildkit)
        assert [status for _, _, status in adapter.requests()].count(400) == {"refuse-index": 1, "refuse-all": 5}[oci]
        second = RepositoryName("team", f"{repository.path}-second")
        adapter.push(second, "v1", changed(buildkit, ("second", 600)))
        assert [status for _, _, status in adapter.requests()].count(400) == 0
        # A single image and another attestation neither.
        proof = buildkit.children[2]
        adapter.push(second, proof.digest, proof)
        adapter.push(second, "single", single([("single", 600)], oci=True))
        assert [status for _, _, status in adapter.requests()].count(400) == 0

    def test_it_is_tried_again_in_time(
        self,
        adapter: Adapter,
        swr: RunningSandbox,
        repository: RepositoryName,
        buildkit: Image,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("adapter.manifests.capabilities.LIFE", 0.0)
        adapter.push(repository, "v1", buildkit)
        adapter.requests()
        swr.set_knobs(oci="accept")
        assert adapter.push(repository, "v1", buildkit).warning is None
        assert own(swr, repository, "v1") == buildkit.digest

    def test_a_refusal_for_something_else_teaches_nothing(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName
    ) -> None:
        """zstd layers are refused with the same words as a type."""
        swr.set_knobs(oci="accept", zstd=False)
        image = single([("plain", 500)], oci=True)
        packed = Image(image.manifest.replace(b"tar+gzip", b"tar+zstd"), OCI_MANIFEST, image.blobs)
        with pytest.raises(TypeRefused, match="zstd"):
            adapter.push(repository, "packed", packed)
        assert adapter.push(repository, packed.digest, packed).digest == packed.digest
        assert adapter.push(repository, "plain", image).warning is None
        assert own(swr, repository, "plain") == image.digest
