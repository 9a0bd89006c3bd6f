"""What Harbor does with a blob or a manifest, as calls that end with one answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.contract.http import Answer, Body, Door, digest_of, pieces, with_query
from tests.faults.harness import TIMEOUT, Harness

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
PIECE = 100_000
"""Bytes of a chunk of the transfer coding."""


def _upload(door: Door, repository: str) -> Answer:
    return door.ask("POST", f"/v2/{repository}/blobs/uploads/", b"", timeout=TIMEOUT)


def finish(door: Door, location: str, data: bytes, *, coded: bool = False) -> Answer:
    """One PUT with all of the blob, with Content-Length or with chunked transfer coding."""
    body: Body = pieces(data, PIECE) if coded else data
    return door.ask("PUT", with_query(location, digest=digest_of(data)), body, timeout=TIMEOUT)


def monolithic(door: Door, repository: str, data: bytes) -> Answer:
    """POST, and one PUT with Content-Length."""
    started = _upload(door, repository)
    return finish(door, started.header("Location"), data) if started.status == 202 else started


def coded(door: Door, repository: str, data: bytes) -> Answer:
    """POST, and one PUT with chunked transfer coding."""
    started = _upload(door, repository)
    return finish(door, started.header("Location"), data, coded=True) if started.status == 202 else started


def in_one_post(door: Door, repository: str, data: bytes) -> Answer:
    """The whole upload as one request."""
    target = with_query(f"/v2/{repository}/blobs/uploads/", digest=digest_of(data))
    return door.ask("POST", target, data, timeout=TIMEOUT)


def document(size: int) -> bytes:
    """A manifest of so many bytes about nothing that must be there: the knob `check_references` is off."""
    digest = digest_of(b"")
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 0, "digest": digest}
    value = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [], "filler": ""}
    value["filler"] = "x" * (size - len(json.dumps(value)))
    return json.dumps(value).encode()


def manifest(door: Door, repository: str, data: bytes) -> Answer:
    """PUT of a manifest by its digest."""
    target = f"/v2/{repository}/manifests/{digest_of(data)}"
    return door.ask("PUT", target, data, {"Content-Type": MANIFEST_TYPE}, timeout=TIMEOUT)


def get(door: Door, repository: str, digest: str) -> Answer:
    """All of a blob."""
    return door.ask("GET", f"/v2/{repository}/blobs/{digest}", timeout=TIMEOUT)


def blob(harness: Harness, repository: str, data: bytes) -> bytes | None:
    return harness.swr.store.read_blob(repository, digest_of(data)) if harness.blobs(repository) else None


def kept_manifest(harness: Harness, repository: str, data: bytes) -> bytes | None:
    found = harness.swr.store.manifest(repository, digest_of(data))
    return None if found is None else found.data


@dataclass(frozen=True)
class Verb:
    """`method` is that of the request on which a fault acts, after `passed` of the kind; `part` is its body."""

    name: str
    play: Callable[[Door, str, bytes], Answer]
    data: bytes = field(repr=False)
    method: str = "PUT"
    passed: int = 0
    part: Callable[[bytes], bytes] = bytes
    held: Callable[[Harness, str, bytes], bytes | None] = blob

    def __str__(self) -> str:
        return self.name

    @property
    def size(self) -> int:
        """Bytes of the body on which a fault acts."""
        return len(self.part(self.data))
