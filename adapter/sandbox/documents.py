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


@dataclass(frozen=True)
class Document:
    """A manifest that was read: its type, the blobs and the manifests it names, its layers' size in bytes."""

    media_type: str
    blobs: tuple[str, ...]
    manifests: tuple[str, ...]
    config: str | None
    size: int
    artifact: bool
    zstd: bool

    @property
    def is_list(self) -> bool:
        return self.media_type in {DOCKER_LIST, OCI_INDEX}


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
    if media_type in {DOCKER_LIST, OCI_INDEX}:
        children = tuple(str(each.get("digest")) for each in _objects(value.get("manifests")))
        return Document(media_type, (), children, None, 0, "artifactType" in value, zstd=False)
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
    )


def refused_type(document: Document, *, oci: str, artifacts: bool, zstd: bool) -> bool:
    """Whether SWR refuses it for its type; what of OCI it refuses is a knob, because the evidence conflicts."""
    if document.media_type == OCI_INDEX and oci != "accept":
        return True
    if document.media_type == OCI_MANIFEST and oci == "refuse-all":
        return True
    return (document.artifact and not artifacts) or (document.zstd and not zstd)
