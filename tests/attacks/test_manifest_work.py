"""What a manifest costs this process, whatever is in it: how often it is parsed and hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from adapter.references import digest_of
from adapter.sandbox.recordings.images import Image, dump
from tests.manifests.driver import Adapter
from tests.running import TENANT, RunningSandbox

PADDING = "x" * 100_000


class Work:
    """Bytes parsed and hashed since the last look, of documents that hold the padding."""

    def __init__(self) -> None:
        self.parsed = self.hashed = 0

    def taken(self) -> tuple[int, int]:
        counts, self.parsed, self.hashed = (self.parsed, self.hashed), 0, 0
        return counts


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    counted, loads, new = Work(), json.loads, hashlib.new

    def parse(data: Any, **options: Any) -> Any:
        counted.parsed += len(data) > len(PADDING)
        return loads(data, **options)

    def hashing(algorithm: str, data: bytes = b"") -> Any:
        counted.hashed += len(data) > len(PADDING)
        return new(algorithm, data)

    monkeypatch.setattr("adapter.documents.json.loads", parse)
    monkeypatch.setattr("adapter.references.hashlib.new", hashing)
    return counted


@pytest.fixture
def swr(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    sandbox.reset()
    sandbox.store.create_organization("team", TENANT)
    yield sandbox
    sandbox.reset()


def padded(image: Image) -> Image:
    document = json.loads(image.manifest) | {"padding": PADDING}
    return Image(dump(document), image.media_type, image.blobs, image.children)


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_manifest_is_parsed_and_hashed_once(
    swr: RunningSandbox, work: Work, recorded_images: dict[str, Image], by: str
) -> None:
    """The sandbox is a process of its own, so all of this is the adapter's."""
    adapter, image = Adapter(swr), padded(recorded_images["hello:v1"])
    adapter.upload(image)
    reference = image.digest if by == "digest" else "v1"
    work.taken()
    adapter.put(reference, image)
    # The driver itself, in place of the contract's route, parses and hashes it the one time.
    assert work.taken() == (1, 1)
    found = adapter.manifests.pull(adapter.repository, reference, "*/*", head=False)
    assert work.taken() == (1, 1)
    assert found.digest == digest_of(image.manifest)


def test_a_translated_one_twice(swr: RunningSandbox, work: Work, recorded_images: dict[str, Image]) -> None:
    """Where it is pushed once more for what it holds; where it is read, SWR's document and the original once each."""
    adapter, index = Adapter(swr), padded(recorded_images["multi:buildkit"])
    adapter.upload(index)
    work.taken()
    assert adapter.put("v1", index).warning is not None
    assert work.taken()[0] <= 2
    for _ in range(2):
        assert adapter.head("v1", "*/*") == index.digest
        assert work.taken() <= (1, 1)
