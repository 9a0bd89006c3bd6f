"""What must have reached SWR after a recording was played, told from the answers that the player got."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from adapter.sandbox.player import Result, named_source
from adapter.sandbox.recordings.images import digest
from adapter.sandbox.targets import asked_mount, parse_query
from tests.replay import listed
from tests.replay.scenarios import USUAL_PAGE, Contents, Gathering, State


class Swr(Protocol):
    """What the tests need of an SWR, whichever it is. Addresses are origins without a slash at the end."""

    registry: str
    api: str

    def reset(self, mood: str, start: State, page: int = USUAL_PAGE) -> None: ...

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


def blob_mounted(result: Result) -> tuple[str, str] | None:
    """(repository, digest) of a blob that was answered as mounted: Harbor takes any 2xx for that."""
    wanted = asked_mount(result.exchange.request)
    match = re.fullmatch("/v2/(.+)/blobs/uploads/", result.exchange.request.path)
    if not wanted or not match or result.status is None or not 200 <= result.status < 300:
        return None
    return match[1], wanted.decode()


def sources_without_blob(swr: Swr, result: Result) -> Iterator[str]:
    """The complaint about a look-up that names a repository which does not hold the blob."""
    request = result.exchange.request
    query = dict(parse_query(request.query)).get(b"q", b"").decode()
    found = query.removeprefix("blob_digest=")
    name = named_source(found.encode(), [result])
    if name is not None and swr.blob(name, found) is None:
        yield f"{result.exchange}: {name} is named, which has no {found}"


def manifest_deleted(result: Result) -> tuple[str, str] | None:
    """(repository, digest) of a manifest that was answered as deleted, its tags with it."""
    request = result.exchange.request
    match = re.fullmatch("/v2/(.+)/manifests/(sha256:[^/]+)", request.path)
    return (match[1], match[2]) if request.method == "DELETE" and match and result.status == 202 else None


def tag_deleted(result: Result) -> tuple[str, str] | None:
    """(repository, tag) of a tag that was answered as deleted."""
    request = result.exchange.request
    match = re.fullmatch(listed.TAG, request.path)
    if request.method != "DELETE" or not match or result.status != 200:
        return None
    return listed.repository_of(match), match["tag"]


def expected(start: State, results: Iterable[Result]) -> Contents:
    """The start, and what was answered since as stored, mounted or deleted: nothing else may have changed in SWR."""
    gathering = Gathering(start)
    for result in results:
        if blob := blob_pushed(result) or blob_mounted(result):
            gathering.blob(*blob)
        if manifest := manifest_pushed(result):
            repository, reference, data = manifest
            gathering.manifest(repository, reference, digest(data))
        if tag := tag_deleted(result):
            gathering.tag_gone(*tag)
        if gone := manifest_deleted(result):
            gathering.manifest_gone(*gone)
    return gathering.contents()


def without(contents: Contents, results: Iterable[Result]) -> Contents:
    """The contents without untagged manifests that were deleted: SWR deletes tags (docs/facts/swr.md §4.5), and what
    becomes of a manifest that has none left is its own business."""
    gone = set(filter(None, map(manifest_deleted, results)))
    kept = {
        repository: frozenset(
            each
            for each in digests
            if (repository, each) not in gone or each in contents.tags.get(repository, {}).values()
        )
        for repository, digests in contents.manifests.items()
    }
    return replace(contents, manifests={repository: digests for repository, digests in kept.items() if digests})


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
