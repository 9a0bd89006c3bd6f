"""Both SWRs refuse the same in each mood, and what an adapter learns in one does not help it in another."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.sandbox import documents
from adapter.sandbox.knobs import Knobs
from adapter.sandbox.recordings.images import DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST, Image, dump
from tests.credentials import PROJECT
from tests.replay.profiles import PROFILES, USUAL_MOOD, Profile

IMAGES = ("hello:v1", "hello:v2", "multi:buildkit", "multi:list", "signed:sbom", "charts/web:0.1.0", "empty:v1")

REFUSED = {
    "accept": set(),
    "refuse-index": {"multi:buildkit"},
    "refuse-all": {"hello:v2", "multi:buildkit", "signed:sbom", "charts/web:0.1.0", "empty:v1"},
    "images-only": {"multi:buildkit", "signed:sbom", "charts/web:0.1.0", "empty:v1"},
    "docker-children": {"multi:buildkit"},
    "strict": {"multi:buildkit"},
    "strict-all": {"hello:v2", "multi:buildkit", "signed:sbom", "charts/web:0.1.0", "empty:v1"},
    "forgetful": {"multi:buildkit"},
    "forgetful-all": {"hello:v2", "multi:buildkit", "signed:sbom", "charts/web:0.1.0", "empty:v1"},
}

each_mood = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


def sandbox_refuses(profile: Profile, media_type: str, data: bytes) -> bool:
    knobs = Knobs(profile.knobs)
    taste = documents.Taste(
        knobs.text("oci"),
        artifacts=knobs.on("artifacts"),
        zstd=knobs.on("zstd"),
        attestations=knobs.on("attestations"),
        oci_children=knobs.on("oci_children"),
        unknown_fields=knobs.on("unknown_fields"),
        index_attestations=knobs.on("index_attestations"),
        refused_artifact=knobs.text("refused_artifact"),
    )
    return documents.refused(documents.read(data, media_type), taste)


@each_mood
def test_what_is_refused_and_by_both(profile: Profile, recorded_images: Mapping[str, Image]) -> None:
    known = {name: recorded_images[name] for name in IMAGES}
    refused = {name for name, image in known.items() if profile.refuses(image.media_type, image.manifest)}
    assert refused == REFUSED[profile.name]
    assert refused == {n for n, image in known.items() if sandbox_refuses(profile, image.media_type, image.manifest)}


@each_mood
def test_docker_documents_with_more_than_docker_has(profile: Profile) -> None:
    empty = {"mediaType": DOCKER_CONFIG, "size": 0, "digest": "sha256:" + "0" * 64}
    manifest = dump({"schemaVersion": 2, "config": empty, "layers": [], "annotations": {"a": "b"}})
    entry = {**empty, "platform": {"architecture": "unknown", "os": "unknown"}}
    attested = dump({"schemaVersion": 2, "manifests": [entry]})
    over_oci = dump({"schemaVersion": 2, "manifests": [{**empty, "mediaType": OCI_MANIFEST}]})
    for refuses in (profile.refuses, lambda *document: sandbox_refuses(profile, *document)):
        assert refuses(DOCKER_MANIFEST, manifest) == (not profile.unknown_fields)
        assert refuses(DOCKER_LIST, attested)
        assert refuses(DOCKER_LIST, over_oci) == (not profile.oci_children)


def test_each_mood_has_a_region_of_its_own() -> None:
    assert PROFILES[USUAL_MOOD].project == PROJECT
    projects = [profile.project for profile in PROFILES.values()]
    assert len({project.partition("_")[0] for project in projects}) == len(PROFILES)
