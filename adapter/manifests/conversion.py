"""Converts OCI manifests to Docker's formats, for an SWR that rejects OCI (`docs/facts/swr.md §6, §10`). Pure.

An index becomes a manifest list, the manifest of an image becomes manifest schema 2. Configuration and layers stay the
same blobs, under the same digests, in the same order; only their media types become Docker's
(https://github.com/opencontainers/image-spec/blob/main/media-types.md "Compatibility Matrix",
https://distribution.github.io/distribution/spec/manifest-v2-2/). The same input results in the same bytes, so that a
repeated push finds in SWR what the first one stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from adapter.errors import ManifestInvalid, TypeRefused
from adapter.manifests.descriptors import (
    Raw,
    check_descriptor,
    config_of,
    layers_of,
    platform_of,
    printable,
    read_manifest,
    strings_of,
)
from adapter.references import digest_of
from adapter.swr.annotations import SOURCE_DIGEST
from adapter.swr.media_types import BUILD_ADVICE, DOCKER_LIST, DOCKER_MANIFEST, INDEX_TYPES, OCI_MANIFEST

Kind = Literal["index", "image", "other"]

_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
_CONFIGS: Final = frozenset({"application/vnd.oci.image.config.v1+json", _CONFIG})

_OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_OCI_FOREIGN: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
_FOREIGN: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar"

_LAYERS: Final = {
    _OCI_LAYER: _LAYER,
    f"{_OCI_LAYER}+gzip": f"{_LAYER}.gzip",
    _OCI_FOREIGN: _FOREIGN,
    f"{_OCI_FOREIGN}+gzip": f"{_FOREIGN}.gzip",
    _LAYER: _LAYER,
    f"{_LAYER}.gzip": f"{_LAYER}.gzip",
    _FOREIGN: _FOREIGN,
    f"{_FOREIGN}.gzip": f"{_FOREIGN}.gzip",
}
_ZSTD: Final = frozenset({f"{_OCI_LAYER}+zstd", f"{_OCI_FOREIGN}+zstd", f"{_LAYER}.zstd"})

_ATTESTATION: Final = ("vnd.docker.reference.type", "attestation-manifest")
"""https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md"""

GZIP_ADVICE: Final = (
    "compress its layers with gzip (docker buildx build --provenance=false --sbom=false "
    "--output type=image,oci-mediatypes=false,compression=gzip,force-compression=true,push=true)"
)


@dataclass(frozen=True)
class Document:
    """A manifest as it is sent to a registry, with its digest.

    `children`: digests of the manifests that it references, if the caller has read them.
    """

    media_type: str
    digest: str
    data: bytes = field(repr=False)
    children: tuple[str, ...] = field(default=(), repr=False, compare=False)


def kind_of(data: Raw, media_type: str) -> Kind:
    """What an OCI document is: an index, a container image, or another artifact (attestation, chart, signature).

    The type of the configuration does not suffice: the attestations of BuildKit and the signatures of cosign have that
    of an image. The types of the layers and `artifactType` decide. `other` for what cannot be read, and for Docker's
    types of an image. Never raises.
    """
    wanted = media_type.partition(";")[0].strip().lower()
    try:
        document = read_manifest(data)
        if wanted in INDEX_TYPES and isinstance(document.get("manifests"), list):
            return "index"
        if wanted != OCI_MANIFEST or document.get("artifactType") or config_of(document)["mediaType"] not in _CONFIGS:
            return "other"
        types = {layer["mediaType"] for layer in layers_of(document)}
    except ManifestInvalid:
        return "other"
    return "image" if types <= _LAYERS.keys() | _ZSTD else "other"


def images_in(index: Raw) -> list[Mapping[str, Any]]:
    """The descriptors of an index's images, in order and unchanged, without its attestations.

    Raises `TypeRefused` for an index that cannot become a list: it contains another index, something other than an
    image, an image without a platform, or no image; `ManifestInvalid` for a document that is not an index.
    """
    manifests = read_manifest(index).get("manifests")
    if not isinstance(manifests, list):
        raise ManifestInvalid("the index is invalid (manifests is not a list): push the image again")
    found = [check_descriptor(entry, "an entry of manifests") for entry in manifests]
    images = [entry for entry in found if not is_attestation(entry)]
    for image in images:
        _check_image(image)
    if not images:
        raise TypeRefused(
            "the index contains no image besides its attestations, and SWR accepts only images: push the image itself"
        )
    return images


def is_convertible(document: Mapping[str, Any], kind: Kind) -> bool:
    """Whether Docker has a format for this index or image."""
    try:
        if kind == "index":
            return bool(images_in(document))
        return kind == "image" and all(layer["mediaType"] in _LAYERS for layer in layers_of(document))
    except ManifestInvalid:
        return False


def _check_image(descriptor: Mapping[str, Any]) -> None:
    digest, media_type = descriptor["digest"], descriptor["mediaType"]
    if media_type in INDEX_TYPES:
        raise TypeRefused(
            f"the index contains another index, {digest}, and the Docker list that SWR accepts instead can contain "
            "only images: push one index that references all images directly"
        )
    if media_type not in (OCI_MANIFEST, DOCKER_MANIFEST):
        raise TypeRefused(
            f"the index contains {digest}, which is not an image ({printable(media_type)}), and SWR accepts only "
            "images: build the index without this manifest"
        )
    platform = platform_of(descriptor)
    if not platform and descriptor.get("artifactType"):
        # OCI distribution spec, "Referrers Tag Schema".
        raise TypeRefused(
            "the index lists artifacts such as signatures, and SWR rejects it: exclude its tag with a filter if a "
            "replication rule pushes it, else keep the artifacts in a registry that accepts OCI referrers"
        )
    if not platform.get("architecture") or not platform.get("os"):
        raise TypeRefused(
            f"the index has no platform for {digest}, by which clients of SWR select an image: build the index with "
            "docker buildx build --platform linux/amd64,linux/arm64"
        )


def is_attestation(descriptor: Mapping[str, Any]) -> bool:
    """Whether the descriptor has BuildKit's annotation, or the platform that BuildKit sets for attestations."""
    annotations, platform = descriptor.get("annotations"), descriptor.get("platform")
    key, value = _ATTESTATION
    if isinstance(annotations, dict) and annotations.get(key) == value:
        return True
    return isinstance(platform, dict) and platform.get("architecture") == platform.get("os") == "unknown"


def to_schema2(manifest: Raw, source: str | None) -> Document:
    """The manifest of an OCI image as Docker's schema 2: same configuration, same layers in the same order.

    `source`, the digest of the original, becomes the annotation `SOURCE_DIGEST`. Fields that only OCI has (annotations,
    subject) are omitted. Only the types of configuration and layers are checked, because an index may call the document
    an image. Raises `TypeRefused` for types that Docker's format does not have: zstd layers, other layers, other
    configurations; `ManifestInvalid` for a document that is not a manifest.
    """
    document = read_manifest(manifest)
    config = config_of(document)
    if config["mediaType"] not in _CONFIGS:
        raise TypeRefused(
            f"this is not a container image (its configuration has type {printable(config['mediaType'])}), and SWR "
            "accepts only images: exclude it with a filter if a replication rule pushes it"
        )
    converted = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {**_basic_fields(config), "mediaType": _CONFIG},
        "layers": [_to_docker_layer(layer) for layer in layers_of(document)],
    }
    return _document(converted, source)


def _to_docker_layer(layer: Mapping[str, Any]) -> dict[str, Any]:
    own = layer["mediaType"]
    if own in _ZSTD:
        raise TypeRefused(
            f"layer {layer['digest']} is compressed with zstd, which the Docker format that SWR accepts does not "
            f"support: {GZIP_ADVICE}"
        )
    docker = _LAYERS.get(own)
    if docker is None:
        raise TypeRefused(
            f"layer {layer['digest']} has type {printable(own)}, which the Docker format that SWR accepts does not "
            f"support: {BUILD_ADVICE}"
        )
    urls = strings_of(layer, "urls")
    if not docker.startswith(_FOREIGN):
        return {**_basic_fields(layer), "mediaType": docker}
    if not urls:
        # Docker downloads foreign layers only from their URLs; those of OCI may be in the registry like any layer.
        return {**_basic_fields(layer), "mediaType": docker.replace(_FOREIGN, _LAYER)}
    return {**_basic_fields(layer), "mediaType": docker, "urls": urls}


def to_manifest_list(
    images: Sequence[Mapping[str, Any]], children: Mapping[str, Document], source: str | None
) -> Document:
    """The images of an index (`images_in`) as a Docker manifest list, in order, each with its platform.

    `children` has, for the digest of each image in the index, the document that SWR has for it; `source`, the digest of
    the original, becomes the annotation `SOURCE_DIGEST`. Raises `ManifestInvalid` for an image without a child.
    """
    entries = []
    for image in images:
        child = children.get(image["digest"])
        if child is None:
            raise ManifestInvalid(f"{image['digest']}, which the index references, is missing in SWR: push it first")
        entries.append(
            {
                "mediaType": child.media_type,
                "size": len(child.data),
                "digest": child.digest,
                "platform": platform_of(image),
            }
        )
    return _document({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries}, source)


def _document(converted: dict[str, Any], source: str | None) -> Document:
    if source is not None:
        converted["annotations"] = {SOURCE_DIGEST: source}
    data = json.dumps(converted, separators=(",", ":")).encode()
    return Document(converted["mediaType"], digest_of(data), data)


def _basic_fields(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that all descriptors of Docker have."""
    return {"mediaType": descriptor["mediaType"], "size": descriptor["size"], "digest": descriptor["digest"]}
