"""How many requests to SWR a manifest costs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.errors import TypeRefused
from adapter.references import RepositoryName
from adapter.sandbox.recordings.images import OCI_MANIFEST, Image, single
from tests.manifests.driver import REJECTING, Adapter, changed


def test_head_of_an_unchanged_manifest(adapter: Adapter, recorded_images: Mapping[str, Image]) -> None:
    for name in ("hello:v1", "multi:list"):
        adapter.push("v1", recorded_images[name])
        adapter.requests()
        adapter.head("v1")
        assert len(adapter.requests()) == 1
        assert not adapter.has("missing")
        assert len(adapter.requests()) == 1


@pytest.mark.parametrize("oci", REJECTING)
def test_head_of_a_converted_manifest(adapter: Adapter, buildkit: Image, oci: str) -> None:
    adapter.swr.set_knobs(oci=oci)
    adapter.push("v1", buildkit)
    fresh = adapter.another()
    fresh.requests()
    assert fresh.head("v1") == buildkit.digest
    assert len(fresh.requests()) <= 3
    assert fresh.head("v1") == buildkit.digest
    assert len(fresh.requests()) == 1


@pytest.mark.parametrize(("oci", "rejections"), [("refuse-index", 1), ("refuse-all", 5)])
def test_second_image_is_not_rejected(adapter: Adapter, buildkit: Image, oci: str, rejections: int) -> None:
    adapter.swr.set_knobs(oci=oci)
    adapter.push("v1", buildkit)
    assert adapter.rejections() == rejections
    adapter.name = RepositoryName("team", "second")
    adapter.push("v1", changed(buildkit, ("second", 600)))
    # Nor a single image, nor another attestation.
    adapter.push(buildkit.children[2].digest, buildkit.children[2])
    adapter.push("single", single([("single", 600)], oci=True))
    assert adapter.rejections() == 0


def test_rejected_type_is_tried_again_later(adapter: Adapter, buildkit: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.manifests.capabilities.TTL_SECONDS", 0.0)
    adapter.push("v1", buildkit)
    adapter.swr.set_knobs(oci="accept")
    assert adapter.push("v1", buildkit).warning is None
    assert adapter.own("v1") == buildkit.digest


def test_rejection_for_another_reason_is_not_recorded(adapter: Adapter) -> None:
    """SWR rejects zstd layers with the same message as a type."""
    adapter.swr.set_knobs(oci="accept", zstd=False)
    image = single([("plain", 500)], oci=True)
    packed = Image(image.manifest.replace(b"tar+gzip", b"tar+zstd"), OCI_MANIFEST, image.blobs)
    with pytest.raises(TypeRefused, match="zstd"):
        adapter.push("packed", packed)
    assert adapter.push(packed.digest, packed).digest == packed.digest
    assert adapter.push("plain", image).warning is None
    assert adapter.own("plain") == image.digest
