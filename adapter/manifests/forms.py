"""What of a manifest decides where it is stored, read once when it is pushed; small, however large the manifest. Pure.

A parsed document takes many times the memory of its bytes, and parsing one holds up every other thread: so it is parsed
once, looked at here, and let go before SWR is asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter.errors import ManifestInvalid
from adapter.manifests.conversion import Kind, as_descriptor, is_attestation, is_translatable, kind_of
from adapter.swr.media_types import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    LISTS,
    OCI_INDEX,
    OCI_MANIFEST,
    is_attestation_manifest,
    type_of,
)

_SHOWN: Final = 100
_EMPTY: Final = "application/vnd.oci.empty.v1+json"
"""Of a configuration that an artifact has because it must have one (OCI image spec, "Guidance for an empty
descriptor")."""


@dataclass(frozen=True)
class Form:
    """`media_type`: the OCI type that the document is by its own form, or Docker's of an attestation or of a list that
    names some; None for what is to be stored as it is or not at all. `own`: the type that it gives itself.

    `kind`: what it is, `other` where `media_type` is None; `artifact`: for that, the type that says most of it.
    `key`: what of it SWR may reject; documents that differ in none of this have the same one. `translatable`: Docker's
    formats have a form for it.
    """

    media_type: str | None
    own: str
    kind: Kind
    key: str
    translatable: bool = False
    artifact: str | None = None


def form_of(document: Mapping[str, Any]) -> Form:
    """The form of a parsed manifest. Never raises."""
    media_type, own = original_type_of(document), type_of(document)
    if media_type is None:
        return Form(None, own, "other", "")
    kind = kind_of(document, media_type)
    artifact = _artifact(document) if kind == "other" else None
    return Form(media_type, own, kind, _key(kind, media_type, document), is_translatable(document, kind), artifact)


def _key(kind: Kind, media_type: str, document: Mapping[str, Any]) -> str:
    """Of a fixed length, whatever types a caller makes up."""
    entries = document.get("manifests") or document.get("layers") or []
    told = [
        media_type,
        _text(document.get("artifactType")),
        document.get("subject") is not None,
        any(map(is_attestation, entries)) if media_type in LISTS else (document.get("config") or {}).get("mediaType"),
        sorted({f"{entry['mediaType']} {_text(entry.get('artifactType'))}" for entry in entries}),
    ]
    return f"{kind}:{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _artifact(document: Mapping[str, Any]) -> str | None:
    """None for an image whose layers are of a kind of their own."""
    parts = [document["config"], *(document.get("layers") or [])]
    types = [*filter(None, [_text(document.get("artifactType"))]), *(part["mediaType"] for part in parts)]
    telling = [str(each) for each in types if ".image." not in str(each)]
    found = next((each for each in telling if each != _EMPTY), telling[0] if telling else None)
    return None if found is None else "".join(letter if letter.isprintable() else "?" for letter in found[:_SHOWN])


def original_type_of(document: Mapping[str, Any]) -> str | None:
    """An OCI index or manifest, a Docker list that names attestations, or an attestation with Docker's types, by form,
    every descriptor included; None for anything else.

    Blobs of all kinds have digests. An image's configuration has a `config` too, and a layer may be any JSON. What is
    an index and a manifest at once is none: clients would differ about it (CVE-2021-41190).
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
        # Go writes a list that was never made as null.
        layers = [] if document.get("layers") is None else document["layers"]
        found = DOCKER_MANIFEST if attested else OCI_MANIFEST
        return found if _are_descriptors([document.get("config")]) and _are_descriptors(layers) else None
    return None


def _are_descriptors(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_descriptor, value))


def _is_descriptor(value: object) -> bool:
    try:
        return bool(as_descriptor(value, "it"))
    except ManifestInvalid:
        return False
