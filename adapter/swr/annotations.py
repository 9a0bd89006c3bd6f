"""The annotations that link a converted document in SWR to its original, by the digest of the original. Pure.

SWR rejects OCI indexes (`docs/facts/swr.md §6, §10`), so it has the same image as a Docker manifest list or schema 2
(`adapter.manifests.conversion`). Docker's formats have no annotations, but readers ignore unknown fields, so the
annotations are at the top level as in OCI's formats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from adapter.documents import parse_json
from adapter.errors import DigestInvalid
from adapter.references import check_digest, digest_of
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST

SOURCE_DIGEST: Final = "harbor-swr-adapter.source.digest"
"""Key of the annotation in a converted document; the value is the digest of the original."""
CONTENT_DIGEST: Final = "harbor-swr-adapter.content.digest"
"""Key of the annotation whose value is the digest of the rest of the document, whatever its layout is."""

_SOURCE_KEY: Final = SOURCE_DIGEST.encode()


def source_digest_in(document: bytes | Mapping[str, Any]) -> str | None:
    """The digest, sha256 or sha512, of the original of a converted document; None for any other document.

    Only a Docker list or schema 2 can be a converted document: an OCI document with the annotation was made by somebody
    else. Never raises.
    """
    found = _parsed(document) if isinstance(document, bytes) else document
    if not isinstance(found, Mapping) or found.get("mediaType") not in (DOCKER_LIST, DOCKER_MANIFEST):
        return None
    annotations = found.get("annotations")
    source = annotations.get(SOURCE_DIGEST) if isinstance(annotations, Mapping) else None
    return source if isinstance(source, str) and _is_valid(source) else None


def _parsed(data: bytes) -> object:
    if _SOURCE_KEY not in data:  # nearly every document: each tag of a list is checked, and parsing is slow
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


def with_content_digest(document: bytes) -> bytes:
    """A converted document with `CONTENT_DIGEST` added; any other document unchanged."""
    if source_digest_in(document) is None:
        return document
    found = parse_json(document)
    found["annotations"][CONTENT_DIGEST] = _content_digest(found)
    return json.dumps(found, separators=(",", ":")).encode()


def original_digest_of(document: bytes | Mapping[str, Any]) -> str | None:
    """The digest of the original of a converted document, parsed or not; None for any other document, and for one that
    was changed after the conversion. Never raises."""
    source = source_digest_in(document)
    if source is None:
        return None
    found = json.loads(document) if isinstance(document, bytes) else document
    try:
        return source if found["annotations"].get(CONTENT_DIGEST) == _content_digest(found) else None
    except RecursionError:
        return None


def _content_digest(document: Mapping[str, Any]) -> str:
    """Independent of the layout, which SWR's lists of tags may change (`docs/facts/swr.md §4.5`)."""
    annotations = {key: value for key, value in document["annotations"].items() if key != CONTENT_DIGEST}
    content = {**document, "annotations": annotations}
    return digest_of(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
