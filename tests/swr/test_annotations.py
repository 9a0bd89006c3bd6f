from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.references import digest_of
from adapter.swr import annotations as swr_annotations
from adapter.swr.annotations import (
    CONTENT_DIGEST,
    SOURCE_DIGEST,
    original_digest_of,
    source_digest_in,
    with_content_digest,
)
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

SHA256 = "sha256:" + "a" * 64
SHA512 = "sha512:" + "b" * 128
ENTRY = {"mediaType": "a/b", "size": 7, "digest": digest_of(b"an image"), "platform": {"os": "linux"}}


def document(source: object = SHA256, media_type: object = DOCKER_LIST, **fields: Any) -> dict[str, Any]:
    notes = {SOURCE_DIGEST: source}
    return {"schemaVersion": 2, "mediaType": media_type, "manifests": [ENTRY], "annotations": notes, **fields}


def encoded(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


@pytest.mark.parametrize("media_type", [DOCKER_LIST, DOCKER_MANIFEST])
@pytest.mark.parametrize("source", [SHA256, SHA512])
def test_source_digest_of_a_converted_manifest_is_found(media_type: str, source: str) -> None:
    converted = document(source, media_type)
    assert source_digest_in(converted) == source
    assert source_digest_in(json.dumps(converted, indent=3).encode()) == source


SOURCES: list[object] = [
    "",
    "sha256:",
    SHA256[:-1],
    SHA256.upper(),
    SHA256 + "\n",
    f" {SHA256}",
    "md5:" + "a" * 32,
    None,
    7,
    [],
]
ANNOTATIONS: list[object] = [None, [], SOURCE_DIGEST, {}, {SOURCE_DIGEST.upper(): SHA256}, [[SOURCE_DIGEST, SHA256]]]


@pytest.mark.parametrize(
    "found",
    [
        *(document(media_type=each) for each in (OCI_INDEX, OCI_MANIFEST, "", None, 7)),
        *(document(source) for source in SOURCES),
        *(document(annotations=each) for each in ANNOTATIONS),
        document(annotations={}, manifests=[{"mediaType": DOCKER_MANIFEST, "annotations": {SOURCE_DIGEST: SHA256}}]),
    ],
)
def test_source_digest_of_another_document_is_none(found: dict[str, Any]) -> None:
    assert source_digest_in(found) is None
    assert source_digest_in(encoded(found)) is None
    assert original_digest_of(encoded(found)) is None
    assert with_content_digest(encoded(found)) == encoded(found)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        SOURCE_DIGEST.encode(),
        encoded(SOURCE_DIGEST),
        encoded([document()]),
        encoded(document())[:-1],
        b"[" * 100_000 + SOURCE_DIGEST.encode(),
        b'{"a":' * 100_000 + SOURCE_DIGEST.encode(),
        b'{"n":' + b"9" * 5_000 + b',"' + SOURCE_DIGEST.encode() + b'":1}',
    ],
)
def test_source_digest_of_invalid_data_is_none(data: bytes) -> None:
    assert source_digest_in(data) is original_digest_of(data) is None
    assert with_content_digest(data) == data


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from([SOURCE_DIGEST, SHA256, DOCKER_LIST]),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["mediaType", "annotations", SOURCE_DIGEST]) | st.text(), inner)
        ),
    )
)
def test_source_digest_of_any_json_raises_nothing(found: Any) -> None:
    source = source_digest_in(json.dumps(found).encode())
    assert source in (None, SHA256)
    assert not isinstance(found, dict) or source_digest_in(found) == source


# With the digest of its content


@pytest.fixture
def marked() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(with_content_digest(encoded(document())))
    return found


def test_original_digest_does_not_depend_on_the_layout(marked: dict[str, Any]) -> None:
    """SWR's tag lists contain the manifest as a string."""
    for data in (encoded(marked), json.dumps(marked, indent=4).encode(), json.dumps(marked, sort_keys=True).encode()):
        assert original_digest_of(data) == source_digest_in(data) == SHA256
    del marked["annotations"][CONTENT_DIGEST]
    assert marked == document()


@pytest.mark.parametrize(
    "change",
    [
        {"manifests": []},
        {"manifests": [ENTRY, ENTRY]},
        {"manifests": [{**ENTRY, "digest": digest_of(b"another")}]},
        {"manifests": [{**ENTRY, "platform": {"os": "windows"}}]},
        {"schemaVersion": 3},
        {"subject": ENTRY},
        {"annotations": {"another": "note"}},
        {"annotations": {SOURCE_DIGEST: digest_of(b"another")}},
        {"annotations": {CONTENT_DIGEST: ""}},
        {"annotations": {CONTENT_DIGEST: 7}},
    ],
)
def test_original_digest_of_a_changed_document_is_none(marked: dict[str, Any], change: dict[str, Any]) -> None:
    if "annotations" in change:
        change = {"annotations": marked["annotations"] | change["annotations"]}
    assert original_digest_of(encoded({**marked, **change})) is None
    assert original_digest_of(encoded(document())) is None


def test_original_digest_of_a_document_too_deep_to_compare_is_none(
    marked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The depth at which Python raises depends on its version and on the caller."""

    def too_deep(_: object) -> str:
        raise RecursionError

    monkeypatch.setattr(swr_annotations, "_content_digest", too_deep)
    assert original_digest_of(encoded(marked)) is None
