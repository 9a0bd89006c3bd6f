from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.errors import ManifestInvalid, TypeRefused
from adapter.manifests.conversion import Document, images_in, kind_of, to_manifest_list, to_schema2
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


# Kinds


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
        (index_of(member()).manifest, "other"),
        *((data, "other") for data in (b"[]", b"", b"[" * 100_000)),
    ],
)
def test_kind_of_a_manifest(data: bytes, kind: str) -> None:
    assert kind_of(data, OCI_MANIFEST) == kind
    assert kind_of(data, OCI_MANIFEST.upper() + " ; charset=utf-8") == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (index_of(member()).manifest, "index"),
        (manifest(), "other"),
        (b'{"manifests": []}', "index"),
        (b'{"manifests": [], "layers": null}', "other"),
    ],
)
def test_kind_of_an_index(data: bytes, kind: str) -> None:
    assert kind_of(data, OCI_INDEX) == kind


def test_kinds_of_recorded_images(recorded_images: Mapping[str, Image]) -> None:
    signature = next(name for name in recorded_images if name.endswith(".sig"))
    expected = {"hello:v2": "image", "multi:buildkit": "index", "charts/web:0.1.0": "other", "empty:v1": "other"}
    for name, kind in {**expected, signature: "other", "signed:sbom": "other"}.items():
        found = recorded_images[name]
        assert kind_of(found.manifest, found.media_type) == kind, name
    children = recorded_images["multi:buildkit"].children
    assert [kind_of(child.manifest, child.media_type) for child in children] == ["image", "image", "other"]


JSON_VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["text", CONFIG, OCI_LAYER]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(["config", "layers", "manifests", "mediaType", "artifactType"]), JSON_VALUES),
    st.sampled_from([OCI_INDEX, OCI_MANIFEST, "", "x/y"]),
)
def test_kind_never_raises(document: dict[str, object], media_type: str) -> None:
    assert kind_of(json.dumps(document).encode(), media_type) in ("index", "image", "other")


# Images of an index


def test_images_of_an_index_are_in_order_and_unchanged() -> None:
    first, second = member(ARM, annotations={"a": "b"}), member(AMD, kind=DOCKER_MANIFEST)
    # Half of the platform of an attestation does not make one.
    third = member({**UNKNOWN, "os": "linux"}, annotations={"vnd.docker.reference.type": "other"})
    fourth = member({**UNKNOWN, "architecture": "amd64"})
    attestation = member(UNKNOWN, annotations=ATTESTATION)
    expected = [each.descriptor for each in (first, second, first, third, fourth)]
    assert images_in(index_of(first, attestation, second, first, third, fourth).manifest) == expected


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
def test_attestations_are_omitted(attestation: Member) -> None:
    image = member()
    assert images_in(index_of(attestation, image, attestation).manifest) == [image.descriptor]
    with pytest.raises(TypeRefused, match="no image besides its attestations"):
        images_in(index_of(attestation).manifest)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        *(([member(), member(None, kind=kind)], "contains another index") for kind in (OCI_INDEX, DOCKER_LIST)),
        ([member(kind="application/vnd.example\n" + "x" * 9_000)], r"which is not an image \(application"),
        *(
            ([member(), member(platform)], r"has no platform for sha256:.*buildx build --platform")
            for platform in (None, {}, {"os": "linux"}, {"architecture": "amd64"}, {"architecture": "", "os": "linux"})
        ),
        ([], "contains no image"),
    ],
)
def test_index_that_cannot_become_a_list(members: list[Member], message: str) -> None:
    with pytest.raises(TypeRefused, match=message) as caught:
        images_in(index_of(*members).manifest)
    assert not members or "has no platform" in message or members[-1].image.digest in caught.value.sentence
    assert len(caught.value.sentence) < 400
    assert caught.value.sentence.isprintable()


WRONG_FIELDS: list[dict[str, Any]] = [
    *[{"mediaType": value} for value in (None, 7)],
    *[{"digest": value} for value in (None, [DIGEST], "sha256:x")],
    *[{"size": value} for value in (None, -1, True, 1.5, "7", 1 << 63)],
]
WRONG_PLATFORMS: list[object] = [
    7,
    *({**AMD, **wrong} for wrong in ({"variant": 7}, {"os": ["linux"]}, {"os.features": "x"}, {"features": [7]})),
]


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"no JSON", b"[]", b"[" * 100_000, b"{}"),
        *(b'{"manifests": null}', b'{"manifests": {}}', b'{"manifests": [7]}'),
        *(
            json.dumps({"manifests": [{**descriptor(OCI_MANIFEST, b""), "platform": AMD, **wrong}]}).encode()
            for wrong in [*WRONG_FIELDS, *({"platform": platform} for platform in WRONG_PLATFORMS)]
        ),
        manifest(manifests=[member().descriptor]),
        *(index_of(member(), **{field: None}).manifest for field in ("config", "layers")),
    ],
)
def test_invalid_index(data: bytes) -> None:
    with pytest.raises(ManifestInvalid, match=r"(invalid|ambiguous) .*: push the image again") as raised:
        images_in(data)
    assert not isinstance(raised.value, TypeRefused)


# Schema 2


@settings(max_examples=40)
@given(images(), st.sampled_from([None, DIGEST, SHA512]))
def test_schema_2_of_any_image(image: Image, source: str | None) -> None:
    before = json.loads(image.manifest)
    converted = to_schema2(image.manifest, source)
    after = json.loads(converted.data)
    assert faults(SCHEMA_2, converted.data) == []
    assert contents(after) == contents(before)
    assert [part["size"] for part in after["layers"]] == [part["size"] for part in before["layers"]]
    assert after["config"]["size"] == before["config"]["size"]
    assert converted.media_type == DOCKER_MANIFEST
    assert converted.digest == f"sha256:{hashlib.sha256(converted.data).hexdigest()}"
    assert source_digest_in(converted.data) == source
    assert ("annotations" in after) == (source is not None)
    assert to_schema2(image.manifest, source) == converted


@settings(max_examples=20)
@given(images(docker=True))
def test_schema_2_of_schema_2_is_unchanged(image: Image) -> None:
    assert json.loads(to_schema2(image.manifest, None).data) == json.loads(image.manifest)


def test_schema_2_is_what_docker_would_have_built() -> None:
    layers = [("base", 300), ("app", 100)]
    docker = single(layers)
    converted = to_schema2(single(layers, oci=True).manifest, None)
    assert (converted.data, converted.digest) == (docker.manifest, docker.digest)


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
    converted = to_schema2(manifest(layers=[layer]), None)
    expected = {**descriptor(docker, b"layer"), **({"urls": urls} if "foreign" in docker else {})}
    assert json.loads(converted.data)["layers"] == [expected]


def test_fields_that_only_oci_has_are_omitted() -> None:
    data = manifest(layers=None, annotations={"a": "b"}, subject=LAYER, artifactType="x/y", data="e30=")
    converted = to_schema2(data, DIGEST)
    document = json.loads(converted.data)
    assert set(document) == {"schemaVersion", "mediaType", "config", "layers", "annotations"}
    assert document["annotations"] == {SOURCE_DIGEST: DIGEST}
    assert document["layers"] == []
    assert "schemaVersion" not in repr(converted)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        *(
            (manifest(layers=[LAYER, descriptor(kind, b"layer")]), "is compressed with zstd.*compression=gzip,force")
            for kind in (ZSTD, f"{FOREIGN}+zstd")
        ),
        *(
            (manifest(layers=[descriptor(kind, b"")]), "does not support: build it")
            for kind in (IN_TOTO, f"{OCI_LAYER}+encrypted", "", "%\n" * 500)
        ),
        *(
            (manifest(config=descriptor(kind, b"")), "not a container image.*filter if a replication rule")
            for kind in (HELM_CONFIG, EMPTY_JSON, "application/vnd.docker.plugin.v1+json", "x" * 9_000)
        ),
    ],
)
def test_types_that_docker_does_not_support(data: bytes, message: str) -> None:
    with pytest.raises(TypeRefused, match=message) as caught:
        to_schema2(data, None)
    assert len(caught.value.sentence) < 500
    assert caught.value.sentence.isprintable()


WRONG_CONFIGS: list[object] = [None, [], {**CONFIG, "digest": None}, {**CONFIG, "size": None}]
WRONG_LAYERS: list[object] = [
    *(7, {}, [None]),
    *([{**LAYER, **wrong}] for wrong in ({"mediaType": None}, {"urls": "https://layers.example"}, {"urls": [7]})),
]


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"{}"),
        *map(manifest, WRONG_CONFIGS),
        *(manifest(layers=layers) for layers in WRONG_LAYERS),
        manifest(manifests=[]),
    ],
)
def test_invalid_manifest(data: bytes) -> None:
    with pytest.raises(ManifestInvalid, match=r"(invalid|ambiguous) .*: push the image again") as raised:
        to_schema2(data, None)
    assert not isinstance(raised.value, TypeRefused)


# Lists


@settings(max_examples=25)
@given(indexes(), st.booleans(), st.sampled_from([None, DIGEST, SHA512]))
def test_list_of_any_index(index: Index, unchanged: bool, source: str | None) -> None:
    children = held(index, unchanged=unchanged)
    converted = to_manifest_list(images_in(index.manifest), children, source)
    assert faults(MANIFEST_LIST, converted.data) == []
    by_digest = {child.digest: child for child in children.values()}
    found = []
    for entry in json.loads(converted.data)["manifests"]:
        child = by_digest[entry["digest"]]
        assert (entry["mediaType"], entry["size"]) == (child.media_type, len(child.data))
        found.append((entry["platform"], contents(json.loads(child.data))))
    assert found == index.contents
    assert converted.media_type == DOCKER_LIST
    assert converted.digest == f"sha256:{hashlib.sha256(converted.data).hexdigest()}"
    assert source_digest_in(converted.data) == source
    assert to_manifest_list(images_in(index.manifest), dict(reversed(children.items())), source) == converted
    assert [entry["digest"] for entry in images_in(index.manifest)] == [each.image.digest for each in index.images]


def test_all_platform_fields_of_docker_are_kept() -> None:
    windows = {
        "architecture": "arm64",
        "os": "windows",
        "os.version": "10.0.20348.2113",
        "os.features": ["win32k"],
        "variant": "v8",
        "features": ["größer"],
    }
    index = index_of(member({**windows, "x-unknown": 1}), member({**AMD, "variant": None, "os.features": []}))
    document = json.loads(to_manifest_list(images_in(index.manifest), held(index), None).data)
    assert [entry["platform"] for entry in document["manifests"]] == [windows, AMD]


def test_children_decide_about_a_list() -> None:
    lists = []
    for second in (member(ARM), member(ARM, manifest(layers=[]))):
        index = index_of(member(AMD), second)
        lists.append(to_manifest_list(images_in(index.manifest), held(index), None).digest)
    assert lists[0] != lists[1]
    with pytest.raises(ManifestInvalid, match=f"{second.image.digest}, which the index references, is missing in SWR"):
        to_manifest_list(images_in(index.manifest), held(index_of(member(AMD))), None)
