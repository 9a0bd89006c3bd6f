"""Requests to SWR: a push costs at most a tenth more than a direct one, plus two."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.sandbox.recordings.images import Image, digest
from tests.contract.conftest import SECRETS
from tests.contract.http import Door, asked
from tests.contract.test_manifests import put
from tests.credentials import basic
from tests.running import RunningSandbox


def replicate(door: Door, repository: str, tag: str, image: Image) -> bool:
    """Copies an image as Harbor does; whether anything had to be sent."""
    head = door.ask("HEAD", f"/v2/{repository}/manifests/{tag}")
    if head.status == 200 and head.header("Docker-Content-Digest") == image.digest:
        return False
    for blob in image.blobs:
        if door.ask("HEAD", f"/v2/{repository}/blobs/{digest(blob)}").status == 404:
            door.push(repository, blob)
    assert put(door, repository, tag, image).status == 201
    return True


@pytest.mark.parametrize("secret", SECRETS)
def test_new_and_unchanged_image(
    door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image], secret: str
) -> None:
    client, image = Door(door.url, basic(secret=secret)), recorded_images["other:v1"]
    assert replicate(client, repository, "v1", image)
    pushed = len(asked(swr))
    assert pushed <= 1.1 * (3 * len(image.blobs) + 2) + 2
    assert len(image.blobs) >= 4
    assert not replicate(client, repository, "v1", image)
    assert len(asked(swr)) - pushed <= 2


def test_upload_costs_two_requests_and_its_preparation_two(door: Door, swr: RunningSandbox, repository: str) -> None:
    """The preparation of each run is version, labels and the look-up of the organization."""
    for target in ("/api/version", "/api/v2.0/labels?scope=g", "/api/v2.0/projects?q=name%3D%7B%27team%27%7D"):
        assert door.ask("GET", target).status == 200
    assert len(asked(swr)) <= 2
    door.push(repository, b"first")
    before = len(swr.journal())
    door.push(repository, b"layer")
    assert [entry["method"] for entry in swr.journal()[before:]] == ["POST", "PUT"]
