from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.references import digest_of
from adapter.swr import annotations as swr_annotations
from adapter.swr.annotations import (
    CONTENT_DIGEST,
    SOURCE_DIGEST,
    original_digest_of,
    source_digest_in,
    with_content_digest,
)
from adapter.swr.media_types import DOCKER_LIST, OCI_INDEX

ORIGINAL = digest_of(b"the original")
ENTRY = {"mediaType": "a/b", "size": 7, "digest": digest_of(b"an image"), "platform": {"os": "linux"}}
LIST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": DOCKER_LIST,
    "manifests": [ENTRY],
    "annotations": {SOURCE_DIGEST: ORIGINAL},
}


def encoded(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


@pytest.fixture
def marked() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(with_content_digest(encoded(LIST)))
    return found


def test_a_translation_stands_for_its_original(marked: dict[str, Any]) -> None:
    assert original_digest_of(encoded(marked)) == source_digest_in(encoded(marked)) == ORIGINAL
    assert with_content_digest(encoded(LIST)) == with_content_digest(encoded(LIST))
    del marked["annotations"][CONTENT_DIGEST]
    assert marked == LIST


def test_however_it_is_laid_out(marked: dict[str, Any]) -> None:
    """SWR's lists of tags carry it as a text."""
    for text in (json.dumps(marked, indent=4), json.dumps(marked, sort_keys=True), json.dumps(marked)):
        assert original_digest_of(text.encode()) == ORIGINAL


@pytest.mark.parametrize(
    "change",
    [
        {"manifests": []},
        {"manifests": [ENTRY, ENTRY]},
        {"manifests": [{**ENTRY, "digest": digest_of(b"another")}]},
        {"manifests": [{**ENTRY, "platform": {"os": "windows"}}]},
        {"schemaVersion": 3},
        {"subject": ENTRY},
    ],
)
def test_one_that_was_changed_since_stands_for_itself(marked: dict[str, Any], change: dict[str, Any]) -> None:
    assert original_digest_of(encoded({**marked, **change})) is None


def test_nor_does_one_with_other_annotations(marked: dict[str, Any]) -> None:
    for notes in (
        {"another": "note"},
        {SOURCE_DIGEST: digest_of(b"another")},
        {CONTENT_DIGEST: ""},
        {CONTENT_DIGEST: 7},
    ):
        assert original_digest_of(encoded({**marked, "annotations": marked["annotations"] | notes})) is None
    assert original_digest_of(encoded(LIST)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        encoded({**LIST, "annotations": {}}),
        encoded({**LIST, "mediaType": OCI_INDEX}),
        encoded({**LIST, "annotations": {SOURCE_DIGEST: "sha256:1"}}),
        b'{"a":' * 100_000 + SOURCE_DIGEST.encode(),
    ],
)
def test_what_is_no_translation(data: bytes) -> None:
    assert original_digest_of(data) is None
    assert with_content_digest(data) == data


def test_a_document_too_deep_to_be_compared(marked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """How deep that is depends on Python, and on who asks."""

    def too_deep(_: object) -> str:
        raise RecursionError

    monkeypatch.setattr(swr_annotations, "_content_digest", too_deep)
    assert original_digest_of(encoded(marked)) is None
