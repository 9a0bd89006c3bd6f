"""What SWR accepts as a manifest (docs/facts/swr.md §6, §10). Pure."""

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
"""All that Docker's formats have (distribution spec, "Image Manifest V2, Schema 2")."""


@dataclass(frozen=True)
class Document:
    """A manifest that was read: its type, the blobs and the manifests it names, its layers' size in bytes.

    `foreign`: blobs that may be elsewhere. `artifact`: no image. Of a list: it names `attestations`, `oci_children`.
    `unknown_fields`: a Docker document has fields that Docker's formats have not.
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
class Taste:
    """What of a manifest SWR takes; all of it knobs, because the evidence conflicts or is missing."""

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
    """Raises ValueError if the bytes are no manifest of the type that Content-Type, or else the manifest, names."""
    value = json.loads(data)
    if not isinstance(value, dict) or value.get("schemaVersion") != 2:
        raise ValueError("not a manifest of schema 2")
    named = content_type.partition(";")[0].strip()
    media_type = named if named and named != "application/json" else str(value.get("mediaType", ""))
    if not media_type or value.get("mediaType", media_type) != media_type:
        raise ValueError("the media types differ")
    fields = DOCKER_FIELDS.get(media_type)
    strange = fields is not None and _strange(value, fields)
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
            unknown_fields=strange,
            artifact_type=value.get("artifactType"),
        )
    config = value.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("digest"), str):
        raise ValueError("no config")
    layers = _objects(value.get("layers"))
    named_blobs = [config, *(layer for layer in layers if not layer.get("urls"))]
    return Document(
        media_type,
        tuple(str(each.get("digest")) for each in named_blobs),
        (),
        config["digest"],
        sum(int(each.get("size", 0)) for each in [config, *layers]),
        "artifactType" in value or config.get("mediaType") not in IMAGE_CONFIGS,
        any("zstd" in str(layer.get("mediaType")) for layer in layers),
        tuple(str(layer.get("digest")) for layer in layers if layer.get("urls")),
        unknown_fields=strange,
        artifact_type=value.get("artifactType"),
    )


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    """BuildKit gives what it says about an image the platform `unknown/unknown`."""
    platform = entry.get("platform")
    return isinstance(platform, dict) and (platform.get("os"), platform.get("architecture")) == ("unknown", "unknown")


def _strange(value: object, fields: Fields) -> bool:
    """Whether an object, or one below it, has other fields than these."""
    if isinstance(value, list):
        return any(_strange(each, fields) for each in value)
    if not isinstance(value, dict):
        return False
    return not set(value) <= set(fields) or any(_strange(below, fields[name]) for name, below in value.items())


def refused(document: Document, taste: Taste) -> bool:
    """Whether SWR refuses it for what it is."""
    if document.media_type == OCI_INDEX and taste.oci != "accept":
        return True
    if document.media_type == OCI_MANIFEST and taste.oci == "refuse-all":
        return True
    if document.media_type == DOCKER_LIST and (
        (document.attestations and not taste.attestations) or (document.oci_children and not taste.oci_children)
    ):
        return True
    if document.media_type == OCI_INDEX and document.attestations and not taste.index_attestations:
        return True
    return (
        (document.artifact_type is not None and document.artifact_type == taste.refused_artifact)
        or (document.artifact and not taste.artifacts)
        or (document.zstd and not taste.zstd)
        or (document.unknown_fields and not taste.unknown_fields)
    )
