"""Manifests as SWR reads them, and which of them SWR accepts (docs/facts/swr.md §6, §10). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE_CONFIGS = frozenset(
    {"application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"}
)


Fields = Mapping[str, "Fields"]

_HEAD: Fields = {"schemaVersion": {}, "mediaType": {}}
_DESCRIPTOR: Fields = {"mediaType": {}, "size": {}, "digest": {}}
_PLATFORM: Fields = {key: {} for key in ("architecture", "os", "os.version", "os.features", "variant", "features")}
DOCKER_FIELDS: Mapping[str, Fields] = {
    DOCKER_MANIFEST: {**_HEAD, "config": _DESCRIPTOR, "layers": {**_DESCRIPTOR, "urls": {}}},
    DOCKER_LIST: {**_HEAD, "manifests": {**_DESCRIPTOR, "platform": _PLATFORM}},
}
"""All fields of the Docker formats (distribution spec, "Image Manifest V2, Schema 2")."""


@dataclass(frozen=True)
class Document:
    """A parsed manifest: its media type, the blobs and manifests that it references, its size in bytes.

    `foreign`: blobs that may be stored elsewhere. `artifact`: the manifest is not an image.
    `attestations`, `oci_children`: a list references such manifests.
    `unknown_fields`: a Docker manifest has fields that the Docker formats do not have.
    """

    media_type: str
    blobs: tuple[str, ...]
    manifests: tuple[str, ...]
    config: str | None
    size: int
    artifact: bool
    zstd: bool
    foreign: tuple[str, ...] = ()
    attestations: bool = False
    oci_children: bool = False
    unknown_fields: bool = False
    artifact_type: str | None = None

    @property
    def is_list(self) -> bool:
        return self.media_type in {DOCKER_LIST, OCI_INDEX}


@dataclass(frozen=True)
class ManifestPolicy:
    """Which manifests SWR accepts. All fields are knobs, because the evidence conflicts or is missing."""

    oci: str
    artifacts: bool
    zstd: bool
    attestations: bool
    oci_children: bool
    unknown_fields: bool
    index_attestations: bool
    refused_artifact: str


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def read(data: bytes, content_type: str) -> Document:
    """Parses a manifest. Its media type is that of Content-Type, else the `mediaType` of the manifest.

    :raises ValueError: when the bytes are not a manifest of this type.
    """
    value = json.loads(data)
    if not isinstance(value, dict) or value.get("schemaVersion") != 2:
        raise ValueError("not a manifest of schema 2")
    announced = content_type.partition(";")[0].strip()
    media_type = announced if announced and announced != "application/json" else str(value.get("mediaType", ""))
    if not media_type or value.get("mediaType", media_type) != media_type:
        raise ValueError("the media types differ")
    fields = DOCKER_FIELDS.get(media_type)
    unknown_fields = fields is not None and _has_other_fields(value, fields)
    if media_type in {DOCKER_LIST, OCI_INDEX}:
        entries = _objects(value.get("manifests"))
        return Document(
            media_type,
            (),
            tuple(str(each.get("digest")) for each in entries),
            None,
            0,
            "artifactType" in value,
            zstd=False,
            attestations=any(map(_is_attestation, entries)),
            oci_children=any(each.get("mediaType") == OCI_MANIFEST for each in entries),
            unknown_fields=unknown_fields,
            artifact_type=value.get("artifactType"),
        )
    config = value.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("digest"), str):
        raise ValueError("no config")
    layers = _objects(value.get("layers"))
    required_blobs = [config, *(layer for layer in layers if not layer.get("urls"))]
    return Document(
        media_type,
        tuple(str(each.get("digest")) for each in required_blobs),
        (),
        config["digest"],
        sum(int(each.get("size", 0)) for each in [config, *layers]),
        "artifactType" in value or config.get("mediaType") not in IMAGE_CONFIGS,
        any("zstd" in str(layer.get("mediaType")) for layer in layers),
        tuple(str(layer.get("digest")) for layer in layers if layer.get("urls")),
        unknown_fields=unknown_fields,
        artifact_type=value.get("artifactType"),
    )


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    """BuildKit gives an attestation the platform `unknown/unknown`."""
    platform = entry.get("platform")
    return isinstance(platform, dict) and (platform.get("os"), platform.get("architecture")) == ("unknown", "unknown")


def _has_other_fields(value: object, fields: Fields) -> bool:
    """Whether an object, or an object inside it, has fields that are not in `fields`."""
    if isinstance(value, list):
        return any(_has_other_fields(each, fields) for each in value)
    if not isinstance(value, dict):
        return False
    return not set(value) <= set(fields) or any(_has_other_fields(below, fields[name]) for name, below in value.items())


def is_rejected(document: Document, policy: ManifestPolicy) -> bool:
    """Whether SWR rejects the manifest because of its type or content."""
    if document.media_type == OCI_INDEX and policy.oci != "accept":
        return True
    if document.media_type == OCI_MANIFEST and policy.oci == "refuse-all":
        return True
    if document.media_type == DOCKER_LIST and (
        (document.attestations and not policy.attestations) or (document.oci_children and not policy.oci_children)
    ):
        return True
    if document.media_type == OCI_INDEX and document.attestations and not policy.index_attestations:
        return True
    return (
        (document.artifact_type is not None and document.artifact_type == policy.refused_artifact)
        or (document.artifact and not policy.artifacts)
        or (document.zstd and not policy.zstd)
        or (document.unknown_fields and not policy.unknown_fields)
    )
