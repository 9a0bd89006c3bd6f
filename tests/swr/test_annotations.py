from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.swr.annotations import SOURCE_DIGEST, source_digest_in
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

SHA256 = "sha256:" + "a" * 64
SHA512 = "sha512:" + "b" * 128


def document(source: object = SHA256, media_type: object = DOCKER_LIST) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": media_type, "manifests": [], "annotations": {SOURCE_DIGEST: source}}


@pytest.mark.parametrize("media_type", [DOCKER_LIST, DOCKER_MANIFEST])
@pytest.mark.parametrize("source", [SHA256, SHA512])
def test_a_translation_tells_its_source(media_type: str, source: str) -> None:
    translated = document(source, media_type)
    assert source_digest_in(translated) == source
    assert source_digest_in(json.dumps(translated).encode()) == source
    assert source_digest_in(json.dumps(translated, indent=3).encode()) == source


@pytest.mark.parametrize("media_type", [OCI_INDEX, OCI_MANIFEST, "", None, [], 7])
def test_only_dockers_documents_are_translations(media_type: object) -> None:
    assert source_digest_in(document(media_type=media_type)) is None


@pytest.mark.parametrize(
    "source", ["", "sha256:", SHA256[:-1], SHA256.upper(), SHA256 + "\n", f" {SHA256}", "md5:" + "a" * 32, None, 7, []]
)
def test_what_is_no_digest_is_no_source(source: object) -> None:
    assert source_digest_in(document(source)) is None
    assert source_digest_in(json.dumps(document(source)).encode()) is None


@pytest.mark.parametrize(
    "annotations", [None, [], SOURCE_DIGEST, {}, {SOURCE_DIGEST.upper(): SHA256}, [[SOURCE_DIGEST, SHA256]]]
)
def test_without_the_annotation_there_is_no_source(annotations: object) -> None:
    assert source_digest_in({**document(), "annotations": annotations}) is None
    assert source_digest_in(json.dumps({**document(), "annotations": annotations}).encode()) is None


def test_the_annotation_counts_at_the_top_alone() -> None:
    child = {"mediaType": DOCKER_MANIFEST, "annotations": {SOURCE_DIGEST: SHA256}}
    assert source_digest_in({"mediaType": DOCKER_LIST, "manifests": [child]}) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        SOURCE_DIGEST.encode(),
        json.dumps(SOURCE_DIGEST).encode(),
        json.dumps([document()]).encode(),
        json.dumps(document()).encode()[:-1],
        b"[" * 100_000 + SOURCE_DIGEST.encode(),
        b'{"n":' + b"9" * 5_000 + b',"' + SOURCE_DIGEST.encode() + b'":1}',
    ],
)
def test_what_cannot_be_read_has_no_source(data: bytes) -> None:
    assert source_digest_in(data) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from([SOURCE_DIGEST, SHA256, DOCKER_LIST]),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["mediaType", "annotations", SOURCE_DIGEST]) | st.text(), inner)
        ),
    )
)
def test_anything_is_looked_at(found: Any) -> None:
    data = json.dumps(found).encode()
    source = source_digest_in(data)
    assert source in (None, SHA256)
    assert not isinstance(found, dict) or source_digest_in(found) == source
