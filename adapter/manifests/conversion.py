"""OCI's documents as Docker's: what SWR takes where it refuses OCI (`docs/facts/swr.md §6, §10`). Pure.

An index becomes a manifest list and an image's manifest schema 2. Configuration and layers stay the blobs that they
are, named by the same digests in the same order: only the types of Docker's formats stand beside them
(https://github.com/opencontainers/image-spec/blob/main/media-types.md "Compatibility Matrix",
https://distribution.github.io/distribution/spec/manifest-v2-2/). The same input gives the same bytes, so that a
repeated push finds in SWR what it left there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from adapter.errors import DigestInvalid, ManifestInvalid, TypeRefused
from adapter.references import check_digest, digest_of
from adapter.swr.annotations import SOURCE_DIGEST
from adapter.swr.media_types import BUILD_FLAGS, DOCKER_LIST, DOCKER_MANIFEST, LISTS, OCI_MANIFEST, parsed

Kind = Literal["index", "image", "other"]
Raw = bytes | Mapping[str, Any]
"""A manifest as it came, or parsed already: who needs more than one thing of it parses it once."""

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

_OF_IMAGES: Final = frozenset({"config", "layers"})
"""Fields that no index has: where one stands beside `manifests`, clients differ about what it is (CVE-2021-41190)."""

_TEXTS: Final = ("architecture", "os", "os.version", "variant")
_LISTS: Final = ("os.features", "features")
_LARGEST: Final = (1 << 63) - 1
_SHOWN: Final = 100

_GZIP: Final = (
    "compress its layers with gzip: docker buildx build --provenance=false --sbom=false "
    "--output type=image,oci-mediatypes=false,compression=gzip,force-compression=true,push=true"
)


@dataclass(frozen=True)
class Document:
    """A manifest as it goes to a registry, with the digest that it goes by; `names`: the manifests that it was seen to
    name, where somebody looked."""

    media_type: str
    digest: str
    data: bytes = field(repr=False)
    names: tuple[str, ...] = field(default=(), repr=False, compare=False)


def kind_of(data: Raw, media_type: str) -> Kind:
    """What an OCI document is: an index, a container image, or another artifact: an attestation, a chart, a signature.

    Configurations alone do not tell: BuildKit's attestations and cosign's signatures have an image's. Layers and
    `artifactType` do. What cannot be read is `other`. Never raises; Docker's types are not asked for.
    """
    wanted = media_type.partition(";")[0].strip().lower()
    try:
        document = _read(data)
        if wanted in LISTS and isinstance(document.get("manifests"), list):
            return "index"
        if wanted != OCI_MANIFEST or document.get("artifactType") or _config(document)["mediaType"] not in _CONFIGS:
            return "other"
        types = {layer["mediaType"] for layer in _layers(document)}
    except ManifestInvalid:
        return "other"
    return "image" if types <= _LAYERS.keys() | _ZSTD else "other"


def images_in(index: Raw) -> list[Mapping[str, Any]]:
    """The descriptors of an index's images, in order and as they stand there; attestations are left out.

    Raises `TypeRefused` where no list can be made of it: an index in the index, something that is no image or names no
    platform, no image at all; `ManifestInvalid` for what is no index.
    """
    manifests = _read(index).get("manifests")
    if not isinstance(manifests, list):
        raise ManifestInvalid("the index is damaged: it has no list of manifests")
    found = [as_descriptor(entry, "a manifest in the index") for entry in manifests]
    images = [entry for entry in found if not is_attestation(entry)]
    for image in images:
        _check_image(image)
    if not images:
        raise TypeRefused(
            "the index holds no image besides its attestations, and SWR takes images only; push the image itself"
        )
    return images


def is_translatable(document: Mapping[str, Any], kind: Kind) -> bool:
    """Whether Docker's formats have a form for an index or an image."""
    try:
        if kind == "index":
            return bool(images_in(document))
        return kind == "image" and all(layer["mediaType"] in _LAYERS for layer in _layers(document))
    except ManifestInvalid:
        return False


def _check_image(descriptor: Mapping[str, Any]) -> None:
    digest, media_type = descriptor["digest"], descriptor["mediaType"]
    if media_type in LISTS:
        raise TypeRefused(
            f"the index holds another index, {digest}, and the Docker list that SWR accepts in its place holds images "
            "only: push an index that references the images of all platforms itself"
        )
    if media_type not in (OCI_MANIFEST, DOCKER_MANIFEST):
        raise TypeRefused(
            f"the index holds {digest}, which is no image but {_shown(media_type)}, and SWR takes images only; "
            "push it under a tag of its own"
        )
    platform = _platform(descriptor)
    if not platform and descriptor.get("artifactType"):
        # OCI distribution spec, "Referrers Tag Schema".
        raise TypeRefused(
            "the index lists artifacts such as signatures, and SWR rejects it: leave out its tag with a filter if a "
            "replication rule pushes it, else keep the artifacts in a registry that accepts OCI referrers"
        )
    if not platform.get("architecture") or not platform.get("os"):
        raise TypeRefused(
            f"the index names no platform for {digest}, and clients of SWR choose by it; "
            "build the index with docker buildx build --platform linux/amd64,linux/arm64, which names them"
        )


def is_attestation(descriptor: Mapping[str, Any]) -> bool:
    """By BuildKit's annotation, else by the platform that it gives to attestations."""
    annotations, platform = descriptor.get("annotations"), descriptor.get("platform")
    key, value = _ATTESTATION
    if isinstance(annotations, dict) and annotations.get(key) == value:
        return True
    return isinstance(platform, dict) and platform.get("architecture") == platform.get("os") == "unknown"


def to_schema2(manifest: Raw, source: str | None) -> Document:
    """The manifest of an OCI image as Docker's schema 2: same configuration, same layers in order.

    `source`, a digest, becomes the annotation `SOURCE_DIGEST`; what OCI knows beside it
    (annotations, subject) is left out.
    Whether the manifest is an image is told by its configuration and layers alone, since an index may say so of it.
    Raises `TypeRefused` for what Docker's format has no type for: zstd layers, other configurations and layers;
    `ManifestInvalid` for what is no manifest.
    """
    document = _read(manifest)
    config = _config(document)
    if config["mediaType"] not in _CONFIGS:
        raise TypeRefused(
            f"this is no container image: its configuration is of type {_shown(config['mediaType'])}, and SWR takes "
            "images only; leave it out with a filter if a replication rule pushes it"
        )
    translated = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {**_named(config), "mediaType": _CONFIG},
        "layers": [_layer(layer) for layer in _layers(document)],
    }
    return _document(translated, source)


def _layer(layer: Mapping[str, Any]) -> dict[str, Any]:
    own = layer["mediaType"]
    if own in _ZSTD:
        raise TypeRefused(
            f"layer {layer['digest']} is compressed with zstd, for which the Docker format that SWR takes has no type; "
            + _GZIP
        )
    translated = _LAYERS.get(own)
    if translated is None:
        raise TypeRefused(
            f"layer {layer['digest']} is of type {_shown(own)}, which the Docker format that SWR takes does not know; "
            + BUILD_FLAGS
        )
    urls = _texts(layer, "urls")
    if not translated.startswith(_FOREIGN):
        return {**_named(layer), "mediaType": translated}
    if not urls:
        # Docker fetches foreign layers from their URLs only; OCI's may be in the registry like any other.
        return {**_named(layer), "mediaType": translated.replace(_FOREIGN, _LAYER)}
    return {**_named(layer), "mediaType": translated, "urls": urls}


def to_list(images: Sequence[Mapping[str, Any]], children: Mapping[str, Document], source: str | None) -> Document:
    """The images of an index (`images_in`) as a Docker manifest list, in order, each with its platform.

    `children` has, for each image's digest in the index, the document that SWR holds for it; `source`, a digest,
    becomes the annotation `SOURCE_DIGEST`. Raises `ManifestInvalid` for an image without a child.
    """
    entries = []
    for image in images:
        child = children.get(image["digest"])
        if child is None:
            raise ManifestInvalid(f"the index names {image['digest']}, which is not there; push it first")
        entries.append(
            {
                "mediaType": child.media_type,
                "size": len(child.data),
                "digest": child.digest,
                "platform": _platform(image),
            }
        )
    return _document({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries}, source)


def _document(translated: dict[str, Any], source: str | None) -> Document:
    if source is not None:
        translated["annotations"] = {SOURCE_DIGEST: source}
    data = json.dumps(translated, separators=(",", ":")).encode()
    return Document(translated["mediaType"], digest_of(data), data)


def _read(data: Raw) -> Mapping[str, Any]:
    document = parsed(data) if isinstance(data, bytes) else data
    if document is None:
        raise ManifestInvalid("the manifest is damaged: it is no JSON object")
    if "manifests" in document and not _OF_IMAGES.isdisjoint(document):
        raise ManifestInvalid("the manifest is an index and an image at once: clients would differ about it")
    return document


def _config(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return as_descriptor(document.get("config"), "the configuration")


def _layers(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    layers = document.get("layers")
    if layers is None:  # as Go writes an empty list that was never made
        return []
    if not isinstance(layers, list):
        raise ManifestInvalid("the manifest is damaged: its layers are no list")
    return [as_descriptor(layer, "a layer") for layer in layers]


def as_descriptor(found: object, what: str) -> Mapping[str, Any]:
    """What was found where a document must have a descriptor: its type, digest and size are what they must be.

    `what` it is of, for the sentence. Raises `ManifestInvalid`.
    """
    if not isinstance(found, dict) or not isinstance(found.get("mediaType"), str):
        raise ManifestInvalid(f"the manifest is damaged: {what} has no media type")
    digest, size = found.get("digest"), found.get("size")
    try:
        check_digest(digest if isinstance(digest, str) else "")
    except DigestInvalid as error:
        raise ManifestInvalid(f"the manifest is damaged: of {what}, {error.sentence}") from None
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST:
        raise ManifestInvalid(f"the manifest is damaged: {what}, {digest}, has no size")
    return found


def _named(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """What Docker's descriptors have in common."""
    return {"mediaType": descriptor["mediaType"], "size": descriptor["size"], "digest": descriptor["digest"]}


def _platform(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that Docker's list knows, without those that say nothing. Raises `ManifestInvalid`."""
    platform = descriptor.get("platform")
    if platform is None:
        return {}
    if not isinstance(platform, dict):
        raise ManifestInvalid(f"the index is damaged: the platform of {descriptor['digest']} is not an object")
    found: dict[str, Any] = {}
    for key in _TEXTS:
        value = platform.get(key)
        if value is not None and not isinstance(value, str):
            raise ManifestInvalid(f"the index is damaged: {key} of {descriptor['digest']} is no text")
        if value:
            found[key] = value
    for key in _LISTS:
        if texts := _texts(platform, key):
            found[key] = texts
    return found


def _texts(holder: Mapping[str, Any], key: str) -> list[str]:
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ManifestInvalid(f"the manifest is damaged: {key} is no list of texts")
    return value


def _shown(text: str) -> str:
    """A text of the caller's for a sentence."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN])
    return printable + ("..." if len(text) > _SHOWN else "")
