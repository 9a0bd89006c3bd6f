"""The scenes of the demo find wrong results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.sandbox.demo_scenes import DELETED, SCENES, Mismatch, Outcome, run, seed
from adapter.sandbox.recording import load
from adapter.sandbox.recordings import shipped
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image
from adapter.sandbox.replay import Result
from adapter.sandbox.store import Store
from tests.services import free_ports

CHECKS = {name: check for name, _, check in SCENES}


@pytest.fixture(scope="module")
def images(recorded_images: Mapping[str, Image]) -> dict[str, Image]:
    """The images, with only three of `many`."""
    left_out = {f"many:t{number:03d}" for number in range(3, 120)}
    return {name: image for name, image in recorded_images.items() if name not in left_out}


@pytest.fixture
def store(tmp_path: Path, images: dict[str, Image]) -> Store:
    store = Store(tmp_path)
    seed(store, images)
    return store


def played(name: str, store: Store, images: dict[str, Image]) -> Outcome:
    """The expected outcome of a recording."""
    blobs = Blobs(images.values())
    digests = [image.digest for name, image in images.items() if name.startswith("many:")]
    results = []
    for exchange in load(shipped(name)):
        recorded = exchange.response
        body = blobs.get(recorded.header("Docker-Content-Digest") or "", b"")
        if exchange.request.path.endswith("/artifacts"):
            body = json.dumps([{"digest": each} for each in digests]).encode()
            digests = []
        results.append(Result(exchange, exchange.request.target, recorded.status, recorded.headers, body))
    if name == "pull-many-pages":
        results = [each for each in results if "/manifests/t00" not in each.exchange.request.path]
    return Outcome(images, store, results)


def test_expected_outcomes_pass(store: Store, images: dict[str, Image]) -> None:
    assert CHECKS["pull-many-pages"](played("pull-many-pages", store, images)).startswith("3 artifacts on 2 pages")
    assert "1 manifest and 6 blobs, byte-identical" in CHECKS["proxy-cache-cold"](
        played("proxy-cache-cold", store, images)
    )
    store.delete_tag(DELETED, "v1b")
    assert "v1b is deleted" in CHECKS["event-delete-tag"](played("event-delete-tag", store, images))
    store.delete_tag(DELETED, "v1")
    assert "no tag" in CHECKS["event-delete-artifact"](played("event-delete-artifact", store, images))


@pytest.mark.parametrize("change", [lambda found: found[1:], lambda found: [*found, found[0]], lambda _: [{}]])
def test_missing_or_repeated_artifacts_fail(store: Store, images: dict[str, Image], change: object) -> None:
    right = played("pull-many-pages", store, images)
    results = [
        replace(each, body=json.dumps(change(json.loads(each.body))).encode())  # type: ignore[operator]
        if each.exchange.request.target.endswith("artifacts?page_size=100&with_label=true&with_accessory=true")
        else each
        for each in right.results
    ]
    with pytest.raises((Mismatch, KeyError)):
        CHECKS["pull-many-pages"](replace(right, results=results))


def test_damaged_blob_fails(store: Store, images: dict[str, Image]) -> None:
    right = played("proxy-cache-cold", store, images)
    results = [*right.results[:-1], replace(right.results[-1], body=b"damaged")]
    with pytest.raises(Mismatch, match="has the digest"):
        CHECKS["proxy-cache-cold"](replace(right, results=results))


@pytest.mark.parametrize("gone", [[], ["v1", "v1b"], ["v1"]])
def test_deletion_of_other_tags_fails(store: Store, images: dict[str, Image], gone: list[str]) -> None:
    for tag in gone:
        store.delete_tag(DELETED, tag)
    with pytest.raises(Mismatch, match="tags left in SWR"):
        CHECKS["event-delete-tag"](played("event-delete-tag", store, images))
    if len(gone) < 2:
        with pytest.raises(Mismatch, match="tags left in SWR"):
            CHECKS["event-delete-artifact"](played("event-delete-artifact", store, images))


def test_listener_that_is_not_there_fails(store: Store, images: dict[str, Image]) -> None:
    (port,) = free_ports(1)
    lines = run(f"http://127.0.0.1:{port}", store, images, lambda: 0)
    assert [line.good for line in lines] == [False] * 4
    assert all("ConnectionRefusedError" in line.result for line in lines)
