from __future__ import annotations

import json

import pytest

from adapter import errors
from adapter.errors import AdapterError
from adapter.swr.media_types import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    accepts,
    declared_type,
    is_about_form,
    type_in,
)

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json"}


GENERIC = [
    "application/json",
    "Application/JSON; charset=utf-8",
    " application/octet-stream",
    "text/plain",
    "text/html",
]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        *((each, each) for each in (DOCKER_MANIFEST, OCI_INDEX, f"{OCI_MANIFEST}; charset=utf-8")),
        *((each, None) for each in (None, "", *GENERIC)),
    ],
)
def test_a_generic_content_type_is_ignored(header: str | None, expected: str | None) -> None:
    assert declared_type(header) == expected


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": CONFIG}, DOCKER_MANIFEST),
        ({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []}, DOCKER_LIST),
        ({"schemaVersion": 2, "manifests": []}, OCI_INDEX),
        ({"schemaVersion": 2, "config": CONFIG, "layers": []}, OCI_MANIFEST),
        ({"mediaType": "line\nbreak/x", "config": CONFIG}, OCI_MANIFEST),
        ({"mediaType": 7, "manifests": []}, OCI_INDEX),
        ({}, "application/octet-stream"),
        *((each, "application/octet-stream") for each in (b"[]", b"\xff", b"[" * 100_000)),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_type_of_a_document_is_found(document: object, kind: str) -> None:
    assert type_in(document if isinstance(document, bytes) else json.dumps(document).encode()) == kind


@pytest.mark.parametrize(
    ("error", "about"),
    [
        (errors.ManifestInvalid("", swr_code="MANIFEST_INVALID"), True),
        (errors.TypeRefused("", swr_code="MANIFEST_INVALID"), True),
        (errors.InvalidRequest("", swr_code="SVCSTG.SWR.4000068"), True),
        (errors.ManifestInvalid(""), True),
        (errors.ManifestInvalid("", swr_code="MANIFEST_BLOB_UNKNOWN"), False),
        *((kind(""), False) for kind in (errors.NameInvalid, errors.TagInvalid, errors.DigestInvalid)),
        *((kind(""), False) for kind in (errors.Denied, errors.TooLarge, errors.Unavailable, errors.ManifestUnknown)),
    ],
)
def test_an_error_about_the_format_is_recognized(error: AdapterError, about: bool) -> None:
    assert is_about_form(error) is about


@pytest.mark.parametrize(
    "header",
    [
        *(OCI_INDEX, f"{DOCKER_LIST}, {OCI_INDEX.upper()};q=0.5", "text/html,*/*;q=0.1", "application/*"),
        *(f"application/*;q=0.0, {OCI_INDEX};q=0.1", f"{OCI_INDEX};charset=utf-8;q=0.3"),
    ],
)
def test_an_accept_header_accepts_a_type(header: str) -> None:
    assert accepts(header, OCI_INDEX)


@pytest.mark.parametrize(
    "header",
    [DOCKER_LIST, "", "text/*", f"*/*, {OCI_INDEX};q=0", "application/*;q=0, */*", f"{OCI_INDEX};q=nonsense"],
)
def test_an_accept_header_excludes_a_type(header: str) -> None:
    assert not accepts(header, OCI_INDEX)
