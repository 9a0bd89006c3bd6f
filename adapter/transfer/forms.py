"""What of a manifest decides where it is stored, read once when it is pushed; small, however large the manifest. Pure.

A parsed document takes many times the memory of its bytes, and parsing one holds up every other thread: so it is parsed
once, looked at here, and let go before SWR is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapter.errors import ManifestInvalid
from adapter.swr.manifest_types import OCI_INDEX, OCI_MANIFEST
from adapter.transfer.translate import Kind, as_descriptor, kind_of


@dataclass(frozen=True)
class Form:
    """`media_type`: the OCI type that the document is by its own form, None for Docker's formats and for what is none.

    `kind`: what it is, `other` where `media_type` is None.
    """

    media_type: str | None
    kind: Kind


def form_of(document: Mapping[str, Any]) -> Form:
    """The form of a parsed manifest. Never raises."""
    media_type = oci_type_of(document)
    return Form(media_type, "other" if media_type is None else kind_of(document, media_type))


def oci_type_of(document: Mapping[str, Any]) -> str | None:
    """An OCI index or manifest by form, every descriptor included; None for anything else.

    Blobs of all kinds have digests. An image's configuration has a `config` too, and a layer may be any JSON. What is
    an index and a manifest at once is none: clients would differ about it (CVE-2021-41190).
    """
    version, own = document.get("schemaVersion"), document.get("mediaType")
    if version != 2 or isinstance(version, float):
        return None
    if own in (None, OCI_INDEX) and not {"config", "layers"} & document.keys():
        return OCI_INDEX if _are_descriptors(document.get("manifests")) else None
    if own in (None, OCI_MANIFEST) and "manifests" not in document:
        # Go writes a list that was never made as null.
        layers = [] if document.get("layers") is None else document["layers"]
        return OCI_MANIFEST if _are_descriptors([document.get("config")]) and _are_descriptors(layers) else None
    return None


def _are_descriptors(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_descriptor, value))


def _is_descriptor(value: object) -> bool:
    try:
        return bool(as_descriptor(value, "it"))
    except ManifestInvalid:
        return False
