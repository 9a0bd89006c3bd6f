"""What must have reached SWR after a recording was played, told from the answers that the player got."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from adapter.sandbox.player import Result, parse_query
from adapter.sandbox.recordings.images import digest
from tests.replay.scenarios import Contents, Gathering, State


class Swr(Protocol):
    """What the tests need of an SWR, whichever it is. Addresses are origins without a slash at the end."""

    registry: str
    api: str

    def reset(self, mood: str, start: State) -> None: ...

    def contents(self) -> Contents: ...

    def manifest(self, repository: str, reference: str) -> bytes | None: ...

    def blob(self, repository: str, digest: str) -> bytes | None: ...

    def requests(self) -> list[tuple[str, str, int]]:
        """(method, path, status) of everything that was asked since the reset."""
        ...


def blob_pushed(result: Result) -> tuple[str, str] | None:
    """(repository, digest) of a blob whose upload was answered as complete."""
    request = result.exchange.request
    match = re.fullmatch("/v2/(.+)/blobs/uploads/[^/]*", request.path)
    if result.status != 201 or request.method != "PUT" or not match:
        return None
    return match[1], dict(parse_query(request.query))[b"digest"].decode()


def manifest_pushed(result: Result) -> tuple[str, str, bytes] | None:
    """(repository, reference, bytes) of a manifest that was answered as stored."""
    request = result.exchange.request
    match = re.fullmatch("/v2/(.+)/manifests/([^/]+)", request.path)
    if result.status != 201 or request.method != "PUT" or not match or not request.body or not request.body.data:
        return None
    return match[1], match[2], request.body.data


def expected(start: State, results: Iterable[Result]) -> Contents:
    """The start, and what was answered with 201 since: nothing else may be complete in SWR."""
    gathering = Gathering(start)
    for result in results:
        if blob := blob_pushed(result):
            gathering.blob(*blob)
        if manifest := manifest_pushed(result):
            repository, reference, data = manifest
            gathering.manifest(repository, reference, digest(data))
    return gathering.contents()


def damages(swr: Swr, blobs: Mapping[str, bytes], results: Iterable[Result]) -> Iterator[str]:
    """Manifests that were answered 201, but are not the recorded bytes in SWR, or lack a blob."""
    for manifest in filter(None, map(manifest_pushed, results)):
        repository, reference, data = manifest
        if swr.manifest(repository, reference) != data:
            yield f"{repository}:{reference} is not the manifest that was pushed"
        document = json.loads(data)
        for part in [document["config"], *document["layers"]] if "config" in document else []:
            if swr.blob(repository, part["digest"]) != blobs[part["digest"]]:
                yield f"{repository}:{reference} lacks {part['digest']}, or has it damaged"
        for child in document.get("manifests", ()):
            if swr.manifest(repository, child["digest"]) != blobs[child["digest"]]:
                yield f"{repository}:{reference} lacks its child {child['digest']}"
