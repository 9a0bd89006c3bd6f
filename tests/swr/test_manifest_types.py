from __future__ import annotations

import json

import pytest

from adapter.swr.manifest_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, said, type_in

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json"}


@pytest.mark.parametrize("kind", [DOCKER_MANIFEST, OCI_INDEX, f"{OCI_MANIFEST}; charset=utf-8"])
def test_a_type_that_says_something_is_believed(kind: str) -> None:
    assert said(kind) == kind


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
    assert said(kind) is None


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
