"""How a document in SWR tells which original it stands for: an annotation with the original's digest. Pure.

SWR refuses OCI indexes (`docs/facts/swr.md §6, §10`), so the same image lies there as a Docker manifest list or schema
2 (`adapter.manifests.conversion`). Docker's formats know no annotations, but their readers pass over unknown fields, so
they stand at the top level as in OCI's formats.
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
"""Key of the annotation in a translated document; the value is the digest of the original."""

_IN_BYTES: Final = SOURCE_DIGEST.encode()


def source_digest_in(document: bytes | Mapping[str, Any]) -> str | None:
    """The digest, sha256 or sha512, of the original that a document of SWR stands for; None for any other document.

    Only a Docker list or schema 2 can be a translation: an OCI document with the annotation is somebody's own.
    Never raises, whatever the document is.
    """
    found = _parsed(document) if isinstance(document, bytes) else document
    if not isinstance(found, Mapping) or found.get("mediaType") not in (DOCKER_LIST, DOCKER_MANIFEST):
        return None
    annotations = found.get("annotations")
    source = annotations.get(SOURCE_DIGEST) if isinstance(annotations, Mapping) else None
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


CONTENT_DIGEST: Final = "harbor-swr-adapter.content.digest"
"""Key of the annotation whose value is the digest of all the rest of the document, however it is laid out."""


def with_content_digest(document: bytes) -> bytes:
    """A translation, with its imprint where it names its original; any other document as it is."""
    if source_digest_in(document) is None:
        return document
    found = parse_json(document)
    found["annotations"][CONTENT_DIGEST] = _content(found)
    return json.dumps(found, separators=(",", ":")).encode()


def original_digest_of(document: bytes | Mapping[str, Any]) -> str | None:
    """The digest of the original that a document of SWR, parsed or not, stands for; None for any other, and for one
    that was changed after it was translated. Never raises."""
    source = source_digest_in(document)
    if source is None:
        return None
    found = json.loads(document) if isinstance(document, bytes) else document
    try:
        return source if found["annotations"].get(CONTENT_DIGEST) == _content(found) else None
    except RecursionError:
        return None


def _content(document: Mapping[str, Any]) -> str:
    """SWR's lists of tags may lay a document out anew (`docs/facts/swr.md §4.5`), so its layout does not count."""
    annotations = {key: value for key, value in document["annotations"].items() if key != CONTENT_DIGEST}
    counted = {**document, "annotations": annotations}
    return digest_of(json.dumps(counted, sort_keys=True, separators=(",", ":")).encode())
