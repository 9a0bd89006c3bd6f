"""The adapter records no more than what SWR rejected, and its messages state no more than what SWR returned."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from adapter.errors import AdapterError, ManifestInvalid, TypeRefused
from adapter.sandbox.recordings.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image, dump, index, single
from adapter.sandbox.recordings.images import artifact as artifact_of
from tests.manifests.driver import AMD, Adapter


def artifact(kind: str, layer: str = "application/vnd.example.thing") -> Image:
    image = single([(kind, 40)], oci=True)
    document = json.loads(image.manifest)
    document["artifactType"] = kind
    document["layers"][0]["mediaType"] = layer
    return Image(dump(document), OCI_MANIFEST, [*image.blobs, kind.encode()])


def referrers(referrer: Image) -> Image:
    """As cosign, oras and regctl push it where there is no referrers API."""
    entry = {
        "mediaType": referrer.media_type,
        "digest": referrer.digest,
        "size": len(referrer.manifest),
        "artifactType": json.loads(referrer.manifest)["artifactType"],
    }
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    return Image(dump(document), OCI_INDEX, [], [referrer])


def test_rejected_index_counts_for_its_form_only(adapter: Adapter, buildkit: Image) -> None:
    """SWR rejects an index with an attestation."""
    adapter.swr.set_knobs(oci="accept", index_attestations=False)
    assert adapter.push("attested", buildkit).warning is not None
    plain = index([(child, AMD, {}) for child in buildkit.children[:2]], oci=True)
    nested = index([(index([(buildkit.children[0], AMD, {})], oci=True), AMD, {})], oci=True)
    for tag, pushed in (("plain", plain), ("sha256-0", referrers(artifact("a/b"))), ("nested", nested)):
        assert adapter.push(tag, pushed).warning is None
        assert adapter.own(tag) == pushed.digest
    adapter.requests()
    warning = adapter.put("again", buildkit).warning or ""
    assert adapter.rejections() == 0
    assert f"SWR rejected a manifest of this form, {OCI_INDEX}, " in warning
    assert "was not sent this one" in warning


def test_rejected_artifact_counts_for_its_form_only(adapter: Adapter) -> None:
    adapter.swr.set_knobs(oci="accept", refused_artifact="a/refused")
    bad, other, good = artifact("a/refused"), artifact("a/refused", "a/other"), artifact("a/good")
    warning = adapter.push(bad.digest, bad).warning or ""
    assert warning.startswith(f"SWR rejected this {OCI_MANIFEST}: stored as a blob")
    assert adapter.push(good.digest, good).warning is None
    assert adapter.push(other.digest, other).warning is not None
    assert "of this form" in (adapter.put(bad.digest, bad).warning or "")
    # Under a tag it cannot be preserved, so it is tried each time.
    adapter.swr.set_knobs(refused_artifact="")
    assert adapter.push("v1", bad).warning is None


class TestMessages:
    """Advice how to build an image is of no use for anything else."""

    def rejected(self, adapter: Adapter, image: Image, error: type[AdapterError], message: str) -> None:
        with pytest.raises(error, match=message) as caught:
            adapter.push("v1", image)
        assert "buildx" not in caught.value.sentence
        assert caught.value.swr_code == "MANIFEST_INVALID"

    @pytest.mark.parametrize("convert", [True, False])
    def test_referrers_index_and_nested_index(self, adapter: Adapter, buildkit: Image, convert: bool) -> None:
        adapter = adapter.another(convert=convert)
        message = r"signatures.*if a replication rule pushes it"
        if convert:
            self.rejected(adapter, index([(buildkit, AMD, {})], oci=True), TypeRefused, "another index")
        adapter.swr.set_knobs(oci="refuse-index")
        self.rejected(adapter, referrers(artifact("a/b")), TypeRefused, message)

    @pytest.mark.parametrize("convert", [True, False])
    @pytest.mark.parametrize("sent", [OCI_INDEX, DOCKER_MANIFEST, "application/json"])
    def test_content_type_that_does_not_match(self, adapter: Adapter, convert: bool, sent: str) -> None:
        image = single([("x", 50)], oci=True)
        message = f"the Content-Type {sent} does not match the manifest's mediaType {OCI_MANIFEST}".replace("+", r"\+")
        adapter = adapter.another(convert=convert, oci="refuse-all")
        self.rejected(adapter, Image(image.manifest, sent, image.blobs), ManifestInvalid, message)

    @pytest.mark.parametrize("convert", [True, False])
    def test_artifacts(self, adapter: Adapter, recorded_images: Mapping[str, Image], convert: bool) -> None:
        adapter = adapter.another(convert=convert, oci="refuse-all")
        message = r"not a container image but .*helm.*if a replication rule pushes it, else"
        self.rejected(adapter, recorded_images["charts/web:0.1.0"], TypeRefused, message)
        notes = artifact_of("", [("text/x-notes", b"notes")])
        self.rejected(adapter, notes, TypeRefused, "not a container image but text/x-notes")

    @pytest.mark.parametrize("sent", ["application/json", "application/vnd.docker.distribution.manifest.v1+prettyjws"])
    def test_schema_1(self, adapter: Adapter, sent: str) -> None:
        old = Image(dump({"schemaVersion": 1, "name": "app", "tag": "v1", "fsLayers": []}), sent)
        self.rejected(adapter, old, TypeRefused, "schema 1, which Harbor does not replicate")
