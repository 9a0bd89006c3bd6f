"""What SWR rejects is learnt no coarser than it was seen, and nothing is said that SWR did not say."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from adapter.errors import ManifestInvalid, TypeRefused
from adapter.references import RepositoryName
from adapter.sandbox.recordings.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image, dump, index, single
from adapter.sandbox.recordings.images import artifact as thing
from tests.manifests.service.driver import Adapter, own
from tests.running import RunningSandbox

AMD = {"architecture": "amd64", "os": "linux"}


def artifact(kind: str, layer: str = "application/vnd.example.thing") -> Image:
    blob = kind.encode()
    document = json.loads(single([(kind, 40)], oci=True).manifest)
    image = single([(kind, 40)], oci=True)
    document["artifactType"] = kind
    document["layers"][0]["mediaType"] = layer
    return Image(dump(document), OCI_MANIFEST, [*image.blobs, blob])


def referrers(*named: Image) -> Image:
    """As cosign, oras and regctl tag it where there is no referrers API."""
    entries = [
        {
            "mediaType": each.media_type,
            "digest": each.digest,
            "size": len(each.manifest),
            "artifactType": json.loads(each.manifest)["artifactType"],
        }
        for each in named
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return Image(dump(document), OCI_INDEX, [], list(named))


class TestIndexes:
    @pytest.fixture(autouse=True)
    def _refused_one_with_an_attestation(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="accept", index_attestations=False)
        assert adapter.push(repository, "attested", buildkit).warning is not None

    def test_a_plain_one_is_asked_about(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        plain = index([(child, AMD, {}) for child in buildkit.children[:2]], oci=True)
        assert adapter.push(repository, "plain", plain).warning is None
        assert own(swr, repository, "plain") == plain.digest

    def test_a_referrers_index_and_a_nested_one_too(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        inner = index([(buildkit.children[0], AMD, {})], oci=True)
        for tag, pushed in (("sha256-0", referrers(artifact("a/b"))), ("nested", index([(inner, AMD, {})], oci=True))):
            assert adapter.push(repository, tag, pushed).warning is None
            assert own(swr, repository, tag) == pushed.digest

    def test_one_like_it_is_not_sent_again_and_that_is_what_is_said(
        self, adapter: Adapter, repository: RepositoryName, buildkit: Image
    ) -> None:
        adapter.requests()
        warning = adapter.put(repository, "again", buildkit).warning or ""
        assert 400 not in [status for _, _, status in adapter.requests()]
        assert f"SWR rejected a manifest of this form, {OCI_INDEX}, " in warning
        assert "was not sent this one" in warning


class TestArtifacts:
    def test_one_type_by_digest_says_nothing_of_another(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName
    ) -> None:
        swr.set_knobs(oci="accept", refused_artifact="a/refused")
        bad, other, good = artifact("a/refused"), artifact("a/refused", "a/other"), artifact("a/good")
        told = adapter.push(repository, bad.digest, bad).warning or ""
        assert told.startswith(f"SWR rejected this {OCI_MANIFEST}: it is kept as a blob")
        assert adapter.push(repository, good.digest, good).warning is None
        assert adapter.push(repository, other.digest, other).warning is not None
        warning = adapter.put(repository, bad.digest, bad).warning or ""
        assert "of this form" in warning
        assert "another" not in warning

    def test_by_a_tag_it_is_asked_about_each_time(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName
    ) -> None:
        swr.set_knobs(oci="accept", refused_artifact="a/refused")
        bad = artifact("a/refused")
        adapter.push(repository, bad.digest, bad)
        swr.set_knobs(refused_artifact="")
        assert adapter.push(repository, "v1", bad).warning is None


class TestSentences:
    @pytest.mark.parametrize("translate", [True, False])
    def test_a_referrers_index(self, swr: RunningSandbox, repository: RepositoryName, translate: bool) -> None:
        swr.set_knobs(oci="refuse-index")
        adapter, pushed = Adapter(swr, translate=translate), referrers(artifact("a/b"))
        with pytest.raises(TypeRefused, match=r"signatures.*if a replication rule pushes it") as caught:
            adapter.push(repository, "sha256-0", pushed)
        assert "buildx" not in caught.value.sentence
        assert caught.value.swr_code == "MANIFEST_INVALID"

    def test_a_nested_index(self, adapter: Adapter, repository: RepositoryName, buildkit: Image) -> None:
        with pytest.raises(TypeRefused, match="another index") as caught:
            adapter.push(repository, "v1", index([(buildkit, AMD, {})], oci=True))
        assert "buildx" not in caught.value.sentence

    @pytest.mark.parametrize("translate", [True, False])
    def test_an_artifact_that_no_rule_pushes(
        self, swr: RunningSandbox, repository: RepositoryName, recorded_images: Mapping[str, Image], translate: bool
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        chart = recorded_images["charts/web:0.1.0"]
        with pytest.raises(TypeRefused, match=r"no container image but .*helm.*if a replication rule pushes it, else"):
            Adapter(swr, translate=translate).push(repository, "v1", chart)

    @pytest.mark.parametrize("translate", [True, False])
    @pytest.mark.parametrize("sent", [OCI_INDEX, DOCKER_MANIFEST, "application/json"])
    def test_a_content_type_that_is_not_the_manifests(
        self, swr: RunningSandbox, repository: RepositoryName, translate: bool, sent: str
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        image = single([("x", 50)], oci=True)
        wrong = Image(image.manifest, sent, image.blobs)
        with pytest.raises(ManifestInvalid, match="Content-Type") as caught:
            Adapter(swr, translate=translate).push(repository, "v1", wrong)
        assert f"the Content-Type {sent} does not match the manifest's mediaType {OCI_MANIFEST}" in str(caught.value)
        assert "buildx" not in caught.value.sentence

    def test_an_artifact_without_a_configuration(self, adapter: Adapter, swr: RunningSandbox) -> None:
        swr.set_knobs(oci="refuse-all")
        with pytest.raises(TypeRefused, match="no container image but text/x-notes"):
            adapter.push(RepositoryName("team", "notes"), "v1", thing("", [("text/x-notes", b"notes")]))

    @pytest.mark.parametrize("sent", ["application/json", "application/vnd.docker.distribution.manifest.v1+prettyjws"])
    def test_schema_1(self, adapter: Adapter, repository: RepositoryName, sent: str) -> None:
        old = Image(dump({"schemaVersion": 1, "name": "app", "tag": "v1", "fsLayers": []}), sent)
        with pytest.raises(TypeRefused, match="schema 1, and Harbor does not replicate") as caught:
            adapter.push(repository, "v1", old)
        assert "buildx" not in caught.value.sentence
