from __future__ import annotations

import json

import pytest

from adapter import errors
from adapter.errors import AdapterError
from adapter.references import RepositoryName
from adapter.swr.error_response import ErrorResponse
from adapter.swr.media_types import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    accepts,
    declared_type,
    is_about_form,
    refusal_error,
    type_in,
)

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json"}


@pytest.mark.parametrize("kind", [DOCKER_MANIFEST, OCI_INDEX, f"{OCI_MANIFEST}; charset=utf-8"])
def test_a_type_that_says_something_is_believed(kind: str) -> None:
    assert declared_type(kind) == kind


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        " application/octet-stream",
        "text/plain",
        "text/html",
    ],
)
def test_one_that_says_nothing_is_not(kind: str | None) -> None:
    assert declared_type(kind) is None


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
        ([], "application/octet-stream"),
    ],
)
def test_a_document_tells_its_type(document: object, kind: str) -> None:
    assert type_in(json.dumps(document).encode()) == kind


def test_what_is_no_document_has_none() -> None:
    assert type_in(b"\xff") == "application/octet-stream"
    assert type_in(b"[" * 100_000) == "application/octet-stream"


@pytest.mark.parametrize(
    ("code", "message", "refused"),
    [
        ("MANIFEST_INVALID", "", True),
        ("SVCSTG.SWR.4000068", "", True),
        ("SVCSTG.SWR.4000069", "", True),
        ("UNKNOWN", "Invalid image, fail to parse 'manifest.json'", True),
        ("UNKNOWN", "something else", False),
        ("MANIFEST_BLOB_UNKNOWN", "", False),
    ],
)
def test_how_a_type_is_refused(code: str, message: str, refused: bool) -> None:
    error = refusal_error(ErrorResponse(400, code, message), RepositoryName("org", "app"), "v1", OCI_INDEX, b"{}")
    assert isinstance(error, errors.TypeRefused) is refused


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
def test_a_refusal_may_be_about_a_document_s_form(error: AdapterError, about: bool) -> None:
    assert is_about_form(error) is about


@pytest.mark.parametrize(
    ("accept", "passes"),
    [
        (OCI_INDEX, True),
        (f"{DOCKER_LIST}, {OCI_INDEX.upper()};q=0.5", True),
        ("text/html,*/*;q=0.1", True),
        ("application/*", True),
        (DOCKER_LIST, False),
        ("", False),
        ("text/*", False),
        (f"*/*, {OCI_INDEX};q=0", False),
        (f"application/*;q=0.0, {OCI_INDEX};q=0.1", True),
        ("application/*;q=0, */*", False),
        (f"{OCI_INDEX};charset=utf-8;q=0.3", True),
        (f"{OCI_INDEX};q=nonsense", False),
    ],
)
def test_what_an_accept_header_lets_pass(accept: str, passes: bool) -> None:
    assert accepts(accept, OCI_INDEX) is passes
