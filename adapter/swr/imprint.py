"""Whether a translation in SWR is still as the adapter made it: a digest of its content stands in it. Pure.

Tools that edit an image in place (add a platform, swap a layer) carry annotations along, and with them the name of an
original that the image is not any more. Such a document stands for itself alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from adapter.documents import parse_json
from adapter.references import digest_of
from adapter.swr.translated import source_in

IMPRINT: Final = "harbor-swr-adapter.content.digest"
"""Key of the annotation whose value is the digest of all the rest of the document, however it is laid out."""


def imprinted(document: bytes) -> bytes:
    """A translation, with its imprint where it names its original; any other document as it is."""
    if source_in(document) is None:
        return document
    found = parse_json(document)
    found["annotations"][IMPRINT] = _content(found)
    return json.dumps(found, separators=(",", ":")).encode()


def original_of(document: bytes | Mapping[str, Any]) -> str | None:
    """The digest of the original that a document of SWR, parsed or not, stands for; None for any other, and for one
    that was changed after it was translated. Never raises."""
    source = source_in(document)
    if source is None:
        return None
    found = json.loads(document) if isinstance(document, bytes) else document
    try:
        return source if found["annotations"].get(IMPRINT) == _content(found) else None
    except RecursionError:
        return None


def _content(document: Mapping[str, Any]) -> str:
    """SWR's lists of tags may lay a document out anew (`docs/facts/swr.md §4.5`), so its layout does not count."""
    annotations = {key: value for key, value in document["annotations"].items() if key != IMPRINT}
    counted = {**document, "annotations": annotations}
    return digest_of(json.dumps(counted, sort_keys=True, separators=(",", ":")).encode())
