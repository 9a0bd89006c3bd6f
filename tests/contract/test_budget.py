"""What a push costs at SWR: at most a tenth more than a direct one, and two."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.sandbox.recordings.images import Image, digest
from tests.contract.http import Door, asked
from tests.contract.test_manifests import seed
from tests.credentials import LOGIN_KEY, SECRET_KEY, basic
from tests.running import RunningAdapter, RunningSandbox

SECRETS = [pytest.param(SECRET_KEY, id="SK"), pytest.param(LOGIN_KEY, id="login key")]


def allowed(blobs: int) -> float:
    return 1.1 * (3 * blobs + 2) + 2


def replicate(door: Door, repository: str, tag: str, image: Image) -> bool:
    """As Harbor does it for one artifact; whether anything had to be sent."""
    target = f"/v2/{repository}/manifests/{tag}"
    head = door.ask("HEAD", target)
    if head.status == 200 and head.header("Docker-Content-Digest") == image.digest:
        return False
    for blob in image.blobs:
        if door.ask("HEAD", f"/v2/{repository}/blobs/{digest(blob)}").status == 404:
            door.push(repository, blob)
    assert door.ask("PUT", target, image.manifest, {"Content-Type": image.media_type}).status == 201
    return True


@pytest.fixture
def image(recorded_images: Mapping[str, Image]) -> Image:
    return recorded_images["other:v1"]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_new_image(
    usual_adapter: RunningAdapter, swr: RunningSandbox, repository: str, image: Image, secret: str
) -> None:
    door = Door(usual_adapter.contract, basic(secret=secret))
    assert replicate(door, repository, "v1", image)
    assert len(asked(swr)) <= allowed(len(image.blobs))
    assert len(image.blobs) >= 4


@pytest.mark.parametrize("secret", SECRETS)
def test_an_unchanged_image(
    usual_adapter: RunningAdapter, swr: RunningSandbox, repository: str, image: Image, secret: str
) -> None:
    seed(swr, repository, image)
    swr.store.put_manifest(repository, "v1", image.manifest, image.media_type)
    assert not replicate(Door(usual_adapter.contract, basic(secret=secret)), repository, "v1", image)
    assert len(asked(swr)) <= 2


def test_a_second_image_of_a_repository_costs_no_more_than_a_direct_push(
    door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
) -> None:
    replicate(door, repository, "v1", recorded_images["hello:v1"])
    before = len(asked(swr))
    image = recorded_images["tools/deep/nested:1.0"]
    assert replicate(door, repository, "v2", image)
    shared = len(set(map(digest, image.blobs)) & set(map(digest, recorded_images["hello:v1"].blobs)))
    assert len(asked(swr)) - before <= 3 * len(image.blobs) + 2 - 2 * shared


def test_the_parts_of_a_blob(door: Door, swr: RunningSandbox, repository: str) -> None:
    door.push(repository, b"warm")
    before = len(swr.journal())
    door.push(repository, b"layer")
    assert [entry["method"] for entry in swr.journal()[before:]] == ["POST", "PUT"]


def test_preparing_a_push_is_cheap(door: Door, swr: RunningSandbox) -> None:
    """Version, labels and the organization's look-up, as at the start of each run."""
    for target in ("/api/version", "/api/v2.0/labels?scope=g", "/api/v2.0/projects?q=name%3D%7B%27team%27%7D"):
        assert door.ask("GET", target).status == 200
    assert len(asked(swr)) <= 2
