"""The form of a manifest: what decides where a manifest is stored. Small, however large the manifest is. Pure.

A parsed document takes many times the memory of its bytes, and parsing blocks all other threads. So a manifest is
parsed once when it is pushed, its form is taken, and the parsed document is dropped before a request to SWR.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter.errors import ManifestInvalid
from adapter.manifests.conversion import Kind, is_attestation, is_convertible, kind_of
from adapter.manifests.descriptors import check_descriptor, printable
from adapter.swr.media_types import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    is_attestation_manifest,
    type_of,
)

_EMPTY: Final = "application/vnd.oci.empty.v1+json"
"""Type of the configuration of an artifact that needs none (OCI image spec, "Guidance for an empty descriptor")."""


@dataclass(frozen=True)
class Form:
    """`media_type`: the type of an original that may be preserved (`original_type_of`), else None. `own`: the type that
    the document states itself.

    `kind`: what the document is, `other` if `media_type` is None; `artifact`: for `other`, the type that describes it
    best. `key`: represents everything for which SWR may reject the manifest. `convertible`: Docker has a format for
    it.
    """

    media_type: str | None
    own: str
    kind: Kind
    key: str
    convertible: bool = False
    artifact: str | None = None


def form_of(document: Mapping[str, Any]) -> Form:
    """The form of a parsed manifest. Never raises."""
    media_type, own = original_type_of(document), type_of(document)
    if media_type is None:
        return Form(None, own, "other", "")
    kind = kind_of(document, media_type)
    artifact = _artifact(document) if kind == "other" else None
    return Form(media_type, own, kind, _key(kind, media_type, document), is_convertible(document, kind), artifact)


def _key(kind: Kind, media_type: str, document: Mapping[str, Any]) -> str:
    """Has a fixed length, whatever types a caller invents."""
    entries = document.get("manifests") or document.get("layers") or []
    features = [
        media_type,
        _string(document.get("artifactType")),
        document.get("subject") is not None,
        any(map(is_attestation, entries))
        if media_type in INDEX_TYPES
        else (document.get("config") or {}).get("mediaType"),
        sorted({f"{entry['mediaType']} {_string(entry.get('artifactType'))}" for entry in entries}),
    ]
    return f"{kind}:{hashlib.sha256(json.dumps(features).encode()).hexdigest()[:32]}"


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _artifact(document: Mapping[str, Any]) -> str | None:
    """None for an image that has only layers of unknown image types."""
    parts = [document["config"], *(document.get("layers") or [])]
    types = [*filter(None, [_string(document.get("artifactType"))]), *(part["mediaType"] for part in parts)]
    artifact_types = [str(each) for each in types if ".image." not in str(each)]
    found = next((each for each in artifact_types if each != _EMPTY), artifact_types[0] if artifact_types else None)
    return None if found is None else printable(found)


def original_type_of(document: Mapping[str, Any]) -> str | None:
    """The media type of an original that may be preserved: an OCI index or manifest, a Docker list that contains
    attestations, or an attestation with Docker's types. None for anything else.

    Decided by the fields and every descriptor, because blobs of all kinds have digests: the configuration of an image
    has a `config` too, and a layer may be any JSON. A document that is an index and a manifest at once is neither,
    because clients would differ about it (CVE-2021-41190).
    """
    version, own = document.get("schemaVersion"), document.get("mediaType")
    if version != 2 or isinstance(version, float):
        return None
    if own in (None, OCI_INDEX) and not {"config", "layers"} & document.keys():
        return OCI_INDEX if _are_descriptors(document.get("manifests")) else None
    if own == DOCKER_LIST and not {"config", "layers"} & document.keys():
        entries = document.get("manifests")
        return DOCKER_LIST if _are_descriptors(entries) and any(map(is_attestation, entries or [])) else None
    attested = own == DOCKER_MANIFEST and is_attestation_manifest(document)
    if (own in (None, OCI_MANIFEST) or attested) and "manifests" not in document:
        # Go writes an empty list that was never made as null.
        layers = [] if document.get("layers") is None else document["layers"]
        found = DOCKER_MANIFEST if attested else OCI_MANIFEST
        return found if _are_descriptors([document.get("config")]) and _are_descriptors(layers) else None
    return None


def _are_descriptors(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_descriptor, value))


def _is_descriptor(value: object) -> bool:
    try:
        return bool(check_descriptor(value, "the entry"))
    except ManifestInvalid:
        return False
