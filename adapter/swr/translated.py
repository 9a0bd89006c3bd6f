"""How a document in SWR tells which original it stands for: an annotation with the original's digest. Pure.

SWR refuses OCI indexes (`docs/facts/swr.md §6, §10`), so the same image lies there as a Docker manifest list or schema
2 (`adapter.transfer.translate`). Docker's formats know no annotations, but their readers pass over unknown fields, so
they stand at the top level as in OCI's formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapter.documents import parse_json
from adapter.errors import DigestInvalid
from adapter.references import check_digest
from adapter.swr.manifest_types import DOCKER_LIST, DOCKER_MANIFEST

SOURCE: Final = "harbor-swr-adapter.source.digest"
"""Key of the annotation in a translated document; the value is the digest of the original."""

_IN_BYTES: Final = SOURCE.encode()


def source_in(document: bytes | Mapping[str, Any]) -> str | None:
    """The digest, sha256 or sha512, of the original that a document of SWR stands for; None for any other document.

    Only a Docker list or schema 2 can be a translation: an OCI document with the annotation is somebody's own.
    Never raises, whatever the document is.
    """
    found = _parsed(document) if isinstance(document, bytes) else document
    if not isinstance(found, Mapping) or found.get("mediaType") not in (DOCKER_LIST, DOCKER_MANIFEST):
        return None
    annotations = found.get("annotations")
    source = annotations.get(SOURCE) if isinstance(annotations, Mapping) else None
    return source if isinstance(source, str) and _is_valid(source) else None


def _parsed(data: bytes) -> object:
    if _IN_BYTES not in data:  # nearly every document, and each tag of a listing is looked at: spare them the parser
        return None
    try:
        return parse_json(data)
    except (ValueError, RecursionError):
        return None


def _is_valid(digest: str) -> bool:
    try:
        check_digest(digest)
    except DigestInvalid:
        return False
    return True
