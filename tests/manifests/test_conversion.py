from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.errors import ManifestInvalid, TypeRefused
from adapter.manifests.conversion import Document, images_in, kind_of, to_list, to_schema2
from adapter.sandbox.recordings.images import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    EMPTY_JSON,
    HELM_CONFIG,
    IN_TOTO,
    OCI_CONFIG,
    OCI_LAYER,
    Image,
    descriptor,
    single,
)
from adapter.swr.annotations import SOURCE_DIGEST, source_digest_in
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.docker_formats import MANIFEST_LIST, SCHEMA_2, faults
from tests.oci_images import ATTESTATION, FOREIGN, TAR, UNKNOWN, ZSTD, Index, Member, images, index_of, indexes

DIGEST = "sha256:" + "a" * 64
SHA512 = "sha512:" + "b" * 128
AMD = {"architecture": "amd64", "os": "linux"}
ARM = {"architecture": "arm64", "os": "linux"}

CONFIG = descriptor(OCI_CONFIG, b"{}")
LAYER = descriptor(OCI_LAYER, b"layer")


def manifest(config: object = CONFIG, layers: object = (LAYER,), **fields: Any) -> bytes:
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers, **fields}
    return json.dumps(document).encode()


def member(platform: object = AMD, data: bytes = b"", kind: str = OCI_MANIFEST, **fields: Any) -> Member:
    image = Image(data or manifest(), kind)
    described = {**descriptor(kind, image.manifest), "platform": platform, **fields}
    return Member(image, {key: value for key, value in described.items() if value is not None})


def held(index: Index, *, unchanged: bool = False) -> dict[str, Document]:
    """What SWR holds for each image of the index: the image as it is, or its schema 2."""
    return {
        each.image.digest: Document(each.image.media_type, each.image.digest, each.image.manifest)
        if unchanged or each.image.media_type == DOCKER_MANIFEST
        else to_schema2(each.image.manifest, each.image.digest)
        for each in index.images
    }


def contents(document: Mapping[str, Any]) -> list[str]:
    return [part["digest"] for part in (document["config"], *document["layers"])]


# kinds


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (manifest(), "image"),
        (manifest(layers=[]), "image"),
        (manifest(layers=None), "image"),
        (manifest(layers=[descriptor(ZSTD, b"")]), "image"),
        (manifest(config=descriptor(DOCKER_CONFIG, b""), layers=[descriptor(DOCKER_LAYER, b"")]), "image"),
        (manifest(subject=LAYER), "image"),
        (manifest(config=descriptor(HELM_CONFIG, b"")), "other"),
        (manifest(config=descriptor(EMPTY_JSON, b"{}"), artifactType="application/vnd.example"), "other"),
        (manifest(artifactType="application/vnd.example"), "other"),
        (manifest(layers=[LAYER, descriptor(IN_TOTO, b"")]), "other"),
        (manifest(config=None), "other"),
        (manifest(layers=7), "other"),
        (manifest(layers=["x"]), "other"),
        (manifest(manifests=[]), "other"),
        (b"[]", "other"),
        (b"", "other"),
        (b"[" * 100_000, "other"),
    ],
)
def test_kinds_of_manifests(data: bytes, kind: str) -> None:
    assert kind_of(data, OCI_MANIFEST) == kind
    assert kind_of(data, OCI_MANIFEST.upper() + " ; charset=utf-8") == kind


def test_the_type_tells_an_index() -> None:
    index = index_of(member())
    assert kind_of(index.manifest, OCI_INDEX) == "index"
    assert kind_of(index.manifest, OCI_MANIFEST) == "other"
    assert kind_of(manifest(), OCI_INDEX) == "other"
    assert kind_of(b'{"manifests": []}', OCI_INDEX) == "index"
    assert kind_of(b'{"manifests": [], "layers": null}', OCI_INDEX) == "other"


def test_kinds_of_the_recorded_artifacts(recorded_images: Mapping[str, Image]) -> None:
    signature = next(name for name in recorded_images if name.endswith(".sig"))
    expected = {"hello:v2": "image", "multi:buildkit": "index", "charts/web:0.1.0": "other", "empty:v1": "other"}
    for name, kind in {**expected, signature: "other", "signed:sbom": "other"}.items():
        found = recorded_images[name]
        assert kind_of(found.manifest, found.media_type) == kind, name
    children = recorded_images["multi:buildkit"].children
    assert [kind_of(child.manifest, child.media_type) for child in children] == ["image", "image", "other"]


@given(st.data(), st.sampled_from([OCI_INDEX, OCI_MANIFEST, "", "x/y"]))
def test_kinds_never_raise(data: st.DataObject, media_type: str) -> None:
    json_values = st.recursive(
        st.none() | st.integers() | st.text() | st.sampled_from([CONFIG, OCI_LAYER]), lambda inner: st.lists(inner)
    )
    fields = ["config", "layers", "manifests", "mediaType", "artifactType"]
    document = data.draw(st.dictionaries(st.sampled_from(fields), json_values) | json_values)
    assert kind_of(json.dumps(document).encode(), media_type) in ("index", "image", "other")


# images of an index


def test_the_images_of_an_index_come_in_order_and_as_they_stand_there() -> None:
    first, second = member(ARM, annotations={"a": "b"}), member(AMD, kind=DOCKER_MANIFEST)
    proof = member(UNKNOWN, annotations=ATTESTATION)
    assert images_in(index_of(first, proof, second, first).manifest) == [
        first.descriptor,
        second.descriptor,
        first.descriptor,
    ]


@pytest.mark.parametrize(
    "attestation",
    [
        member(UNKNOWN),
        member(None, annotations=ATTESTATION),
        member(AMD, annotations=ATTESTATION),
        member(UNKNOWN, annotations=ATTESTATION, kind=OCI_INDEX),
        member({**UNKNOWN, "variant": 7}, annotations={}),
    ],
)
def test_attestations_are_left_out(attestation: Member) -> None:
    image = member()
    assert images_in(index_of(attestation, image, attestation).manifest) == [image.descriptor]
    with pytest.raises(TypeRefused, match="no image besides its attestations"):
        images_in(index_of(attestation).manifest)


@pytest.mark.parametrize("platform", [{**UNKNOWN, "os": "linux"}, {**UNKNOWN, "architecture": "amd64"}])
def test_half_a_platform_makes_no_attestation(platform: dict[str, Any]) -> None:
    image = member(platform, annotations={"vnd.docker.reference.type": "other"})
    assert images_in(index_of(image).manifest) == [image.descriptor]


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_an_index_in_the_index_is_refused(kind: str) -> None:
    nested = member(None, kind=kind)
    with pytest.raises(
        TypeRefused, match=f"another index, {nested.image.digest}.*push an index that references the images"
    ):
        images_in(index_of(member(), nested).manifest)


def test_what_is_no_image_is_refused_by_a_short_sentence() -> None:
    other = member(kind="application/vnd.example\n" + "x" * 9_000)
    with pytest.raises(TypeRefused, match=f"{other.image.digest}, which is no image but application") as refusal:
        images_in(index_of(other).manifest)
    assert len(refusal.value.sentence) < 400
    assert refusal.value.sentence.isprintable()


@pytest.mark.parametrize(
    "platform", [None, {}, {"os": "linux"}, {"architecture": "amd64"}, {"architecture": "", "os": "linux"}]
)
def test_an_image_without_a_platform_is_refused(platform: object) -> None:
    with pytest.raises(TypeRefused, match=r"names no platform for sha256:.*buildx build --platform"):
        images_in(index_of(member(), member(platform)).manifest)


def test_an_index_without_images_is_refused() -> None:
    with pytest.raises(TypeRefused, match="holds no image"):
        images_in(index_of().manifest)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no JSON",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b'{"manifests": null}',
        b'{"manifests": {}}',
        b'{"manifests": [7]}',
        *(
            json.dumps({"manifests": [{**descriptor(OCI_MANIFEST, b""), "platform": AMD, **wrong}]}).encode()
            for wrong in (
                {"mediaType": None},
                {"mediaType": 7},
                {"digest": None},
                {"digest": [DIGEST]},
                {"digest": "sha256:x"},
                {"size": None},
                {"size": -1},
                {"size": True},
                {"size": 1.5},
                {"size": "7"},
                {"size": 1 << 63},
                {"platform": 7},
                {"platform": {**AMD, "variant": 7}},
                {"platform": {**AMD, "os": ["linux"]}},
                {"platform": {**AMD, "os.features": "win32k"}},
                {"platform": {**AMD, "features": [7]}},
            )
        ),
    ],
)
def test_a_damaged_index_is_no_refused_type(data: bytes) -> None:
    with pytest.raises(ManifestInvalid) as raised:
        images_in(data)
    assert not isinstance(raised.value, TypeRefused)


@pytest.mark.parametrize("field", ["config", "layers"])
def test_an_index_that_is_an_image_too_is_neither(field: str) -> None:
    both = manifest(manifests=[member().descriptor])
    for translate in (images_in, lambda data: to_schema2(data, None)):
        with pytest.raises(ManifestInvalid, match="at once"):
            translate(both)
    with pytest.raises(ManifestInvalid, match="at once"):
        images_in(index_of(member(), **{field: None}).manifest)


# schema 2


@given(images(), st.sampled_from([None, DIGEST, SHA512]))
def test_schema_2_of_any_image(image: Image, source: str | None) -> None:
    before = json.loads(image.manifest)
    translated = to_schema2(image.manifest, source)
    after = json.loads(translated.data)
    assert faults(SCHEMA_2, translated.data) == []
    assert contents(after) == contents(before)
    assert [part["size"] for part in after["layers"]] == [part["size"] for part in before["layers"]]
    assert after["config"]["size"] == before["config"]["size"]
    assert translated.media_type == DOCKER_MANIFEST
    assert translated.digest == f"sha256:{hashlib.sha256(translated.data).hexdigest()}"
    assert source_digest_in(translated.data) == source
    assert ("annotations" in after) == (source is not None)
    assert to_schema2(image.manifest, source) == translated


@given(images(docker=True))
def test_schema_2_of_schema_2_differs_in_nothing_but_the_source(image: Image) -> None:
    assert json.loads(to_schema2(image.manifest, None).data) == json.loads(image.manifest)


def test_a_recorded_image_becomes_what_docker_would_have_built() -> None:
    layers = [("base", 300), ("app", 100)]
    docker = single(layers)
    translated = to_schema2(single(layers, oci=True).manifest, None)
    assert (translated.data, translated.digest) == (docker.manifest, docker.digest)


@pytest.mark.parametrize(
    ("own", "urls", "docker"),
    [
        (OCI_LAYER, None, DOCKER_LAYER),
        (OCI_LAYER, ["https://layers.example/1"], DOCKER_LAYER),
        (TAR, None, "application/vnd.docker.image.rootfs.diff.tar"),
        (FOREIGN, ["https://layers.example/1"], "application/vnd.docker.image.rootfs.foreign.diff.tar"),
        (f"{FOREIGN}+gzip", ["https://l.example/1"], "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        (FOREIGN, None, "application/vnd.docker.image.rootfs.diff.tar"),
        (f"{FOREIGN}+gzip", [], DOCKER_LAYER),
        (DOCKER_LAYER, None, DOCKER_LAYER),
    ],
)
def test_types_of_layers(own: str, urls: list[str] | None, docker: str) -> None:
    layer = descriptor(own, b"layer") | ({} if urls is None else {"urls": urls})
    translated = to_schema2(manifest(layers=[layer]), None)
    expected = {**descriptor(docker, b"layer"), **({"urls": urls} if "foreign" in docker else {})}
    assert json.loads(translated.data)["layers"] == [expected]


def test_layers_that_go_never_made_are_none() -> None:
    assert json.loads(to_schema2(manifest(layers=None), None).data)["layers"] == []


def test_what_oci_alone_knows_is_left_out() -> None:
    translated = to_schema2(manifest(annotations={"a": "b"}, subject=LAYER, artifactType="x/y", data="e30="), DIGEST)
    document = json.loads(translated.data)
    assert set(document) == {"schemaVersion", "mediaType", "config", "layers", "annotations"}
    assert document["annotations"] == {SOURCE_DIGEST: DIGEST}


@pytest.mark.parametrize("kind", [ZSTD, f"{FOREIGN}+zstd"])
def test_zstd_is_refused_with_what_to_build_instead(kind: str) -> None:
    layer = descriptor(kind, b"layer")
    with pytest.raises(TypeRefused, match=f"{layer['digest']} is compressed with zstd.*compression=gzip,force"):
        to_schema2(manifest(layers=[LAYER, layer]), None)


@pytest.mark.parametrize("kind", [IN_TOTO, f"{OCI_LAYER}+encrypted", "", "%\n" * 500])
def test_other_layers_are_refused_by_a_short_sentence(kind: str) -> None:
    with pytest.raises(TypeRefused, match="does not know; build it") as refusal:
        to_schema2(manifest(layers=[descriptor(kind, b"")]), None)
    assert len(refusal.value.sentence) < 500
    assert refusal.value.sentence.isprintable()


@pytest.mark.parametrize("kind", [HELM_CONFIG, EMPTY_JSON, "application/vnd.docker.plugin.v1+json", "x" * 9_000])
def test_other_configurations_are_refused_by_a_short_sentence(kind: str) -> None:
    with pytest.raises(TypeRefused, match=r"no container image.*filter if a replication rule") as refusal:
        to_schema2(manifest(config=descriptor(kind, b"")), None)
    assert len(refusal.value.sentence) < 300


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        manifest(config=None),
        manifest(config=[]),
        manifest(config={**CONFIG, "digest": None}),
        manifest(config={**CONFIG, "size": None}),
        manifest(layers=7),
        manifest(layers={}),
        manifest(layers=[None]),
        manifest(layers=[{**LAYER, "mediaType": None}]),
        manifest(layers=[{**LAYER, "urls": "https://layers.example"}]),
        manifest(layers=[{**LAYER, "urls": [7]}]),
    ],
)
def test_a_damaged_manifest_is_no_refused_type(data: bytes) -> None:
    with pytest.raises(ManifestInvalid) as raised:
        to_schema2(data, None)
    assert not isinstance(raised.value, TypeRefused)


# lists


@settings(max_examples=60)
@given(indexes(), st.booleans(), st.sampled_from([None, DIGEST, SHA512]))
def test_the_list_of_any_index(index: Index, unchanged: bool, source: str | None) -> None:
    children = held(index, unchanged=unchanged)
    translated = to_list(images_in(index.manifest), children, source)
    assert faults(MANIFEST_LIST, translated.data) == []
    document = json.loads(translated.data)
    by_digest = {child.digest: child for child in children.values()}
    found = []
    for entry in document["manifests"]:
        child = by_digest[entry["digest"]]
        assert (entry["mediaType"], entry["size"]) == (child.media_type, len(child.data))
        found.append((entry["platform"], contents(json.loads(child.data))))
    assert found == index.contents
    assert translated.media_type == DOCKER_LIST
    assert translated.digest == f"sha256:{hashlib.sha256(translated.data).hexdigest()}"
    assert source_digest_in(translated.data) == source
    assert to_list(images_in(index.manifest), dict(reversed(children.items())), source) == translated
    assert [entry["digest"] for entry in images_in(index.manifest)] == [each.image.digest for each in index.images]


def test_everything_that_docker_knows_of_a_platform_is_kept() -> None:
    windows = {
        "architecture": "arm64",
        "os": "windows",
        "os.version": "10.0.20348.2113",
        "os.features": ["win32k"],
        "variant": "v8",
        "features": ["größer"],
    }
    index = index_of(member({**windows, "x-unknown": 1}), member({**AMD, "variant": None, "os.features": []}))
    document = json.loads(to_list(images_in(index.manifest), held(index), None).data)
    assert [entry["platform"] for entry in document["manifests"]] == [windows, AMD]


def test_a_change_of_one_child_changes_the_list() -> None:
    first, second = index_of(member(AMD), member(ARM)), index_of(member(AMD), member(ARM, manifest(layers=[])))
    assert (
        to_list(images_in(first.manifest), held(first), None).digest
        != to_list(images_in(second.manifest), held(second), None).digest
    )


def test_a_child_that_is_not_there_is_named() -> None:
    here, gone = member(), member(ARM, manifest(layers=[]))
    with pytest.raises(ManifestInvalid, match=f"{gone.image.digest}, which is not there; push it first"):
        to_list(images_in(index_of(here, gone).manifest), held(index_of(here)), None)


def test_a_document_shows_no_content() -> None:
    assert "schemaVersion" not in repr(to_schema2(manifest(), None))
