"""Garbage collection after each push to a tag, and by the control API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapter.sandbox.garbage_collection import collect_garbage
from adapter.sandbox.store import Store
from tests.sandbox.client import CONFIG, DOCKER, DOCKER_LIST, Sandbox, descriptor, digest_of, image, seed

REPOSITORY = "fresh/hello"
LOOSE = b"a blob that no manifest names"


def listed(child: bytes) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [descriptor(child, DOCKER)]}).encode()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A tagged list with its child, an image without a tag, and an unreferenced blob."""
    store = Store(tmp_path)
    child, untagged = image(CONFIG, b"child"), image(CONFIG, b"untagged")
    for blob in (CONFIG, b"child", b"untagged", LOOSE):
        store.put_blob(REPOSITORY, blob)
    store.put_manifest(REPOSITORY, digest_of(child), child, DOCKER)
    store.put_manifest(REPOSITORY, "list", listed(child), DOCKER_LIST)
    store.put_manifest(REPOSITORY, digest_of(untagged), untagged, DOCKER)
    return store


UNTAGGED = digest_of(image(CONFIG, b"untagged"))


@pytest.mark.parametrize(
    ("what", "gone"),
    [
        ("nothing", []),
        ("blobs", [digest_of(LOOSE)]),
        ("manifests", [UNTAGGED]),
        ("both", [UNTAGGED, digest_of(b"untagged"), digest_of(LOOSE)]),
    ],
)
def test_garbage_is_deleted_and_the_rest_kept(store: Store, what: str, gone: list[str]) -> None:
    manifests, blobs = store.manifests(REPOSITORY), store.blobs(REPOSITORY)
    assert collect_garbage(store, REPOSITORY, what) == sorted(gone)
    assert [*store.manifests(REPOSITORY), *store.blobs(REPOSITORY)] == [
        x for x in [*manifests, *blobs] if x not in gone
    ]
    assert list(store.tags(REPOSITORY)) == ["list"]
    assert collect_garbage(store, REPOSITORY, what) == []


def test_damaged_manifest_references_nothing(store: Store) -> None:
    store.put_manifest(REPOSITORY, "list", b"damaged", DOCKER)
    assert digest_of(b"child") in collect_garbage(store, REPOSITORY, "both")
    assert store.blobs(REPOSITORY) == []


def test_foreign_layer_is_referenced(store: Store) -> None:
    value = json.loads(image(CONFIG, LOOSE))
    value["layers"][0]["urls"] = ["https://elsewhere.example"]
    store.put_manifest(REPOSITORY, "foreign", json.dumps(value).encode(), DOCKER)
    assert collect_garbage(store, REPOSITORY, "blobs") == []


def test_push_to_a_tag_collects_garbage(sandbox: Sandbox) -> None:
    """But not a push by digest: the other children of an index follow."""
    seed(sandbox.store, REPOSITORY, "v1")
    loose = sandbox.store.put_blob(REPOSITORY, LOOSE)
    data, token = image(CONFIG, b"layer"), sandbox.bearer(REPOSITORY)
    for reference, forgets, held in (
        ("v2", "nothing", True),
        ("v2", "manifests", True),
        (digest_of(data), "both", True),
        ("v2", "blobs", False),
    ):
        sandbox.set(forget=forgets)
        assert sandbox.put_manifest(REPOSITORY, reference, data, token).status == 201
        assert sandbox.store.has_blob(REPOSITORY, loose) == held, forgets


def test_forget_request_collects_garbage(sandbox: Sandbox) -> None:
    """Also in repositories without a manifest."""
    digest = seed(sandbox.store, "fresh/other")
    loose = sandbox.store.put_blob(REPOSITORY, LOOSE)
    told = sandbox.control("POST", "forget", {"what": "blobs"})
    assert (told.status, told.json) == (200, {REPOSITORY: [loose]})
    assert sandbox.control("POST", "forget", {"what": "manifests"}).json == {"fresh/other": [digest]}
    seed(sandbox.store, "fresh/other", "v1")
    assert sandbox.control("POST", "forget", {"what": "both"}).json == {}
