"""What must have reached SWR after a recording was played, told from the answers that the player got."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from adapter.sandbox.recordings.images import digest
from adapter.sandbox.replay import Result, mount_source
from adapter.sandbox.replay_targets import mounted_digest, parse_query
from tests.contract.http import Door
from tests.replay import converted, listings
from tests.replay.profiles import DEFAULT_PROFILE, PROFILES, Profile
from tests.replay.scenarios import USUAL_PAGE, Contents, Gathering, State

USUAL = PROFILES[DEFAULT_PROFILE]


class Swr(Protocol):
    """What the tests need of an SWR, whichever it is. Addresses are origins without a slash at the end."""

    registry: str
    api: str

    def reset(self, profile: str, start: State, page: int = USUAL_PAGE) -> None: ...

    def contents(self) -> Contents: ...

    def manifest(self, repository: str, reference: str) -> bytes | None: ...

    def blob(self, repository: str, digest: str) -> bytes | None: ...

    def cut_chunk(self, after: int) -> None:
        """Ends the connection of the next PATCH after so many bytes of its body; the upload stays as it was."""
        ...

    def forget_uploads(self) -> None:
        """Every open upload is gone."""
        ...

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


def media_type_of(result: Result) -> str:
    """What a manifest was pushed as."""
    return result.exchange.request.header("Content-Type") or ""


def blob_mounted(result: Result) -> tuple[str, str] | None:
    """(repository, digest) of a blob that was answered as mounted: Harbor takes any 2xx for that."""
    wanted = mounted_digest(result.exchange.request)
    match = re.fullmatch("/v2/(.+)/blobs/uploads/", result.exchange.request.path)
    if not wanted or not match or result.status is None or not 200 <= result.status < 300:
        return None
    return match[1], wanted.decode()


def sources_without_blob(swr: Swr, result: Result) -> Iterator[str]:
    """The complaint about a look-up that names a repository which does not hold the blob."""
    request = result.exchange.request
    query = dict(parse_query(request.query)).get(b"q", b"").decode()
    found = query.removeprefix("blob_digest=")
    name = mount_source(found.encode(), [result])
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
    match = re.fullmatch(listings.TAG, request.path)
    if request.method != "DELETE" or not match or result.status != 200:
        return None
    return listings.repository_of(match), match["tag"]


class Expected:
    """The start, and what was answered since as stored, mounted or deleted: nothing else may have changed in SWR.

    In the place of a manifest that the mood refuses: its bytes as a blob, and below its tag what SWR holds there; what
    that does not name is a blob too, since SWR may remove what no tag leads to (docs/facts/swr.md §10). It is deleted
    by the digest that it was pushed with.
    """

    def __init__(self, start: State, profile: Profile = USUAL, swr: Swr | None = None) -> None:
        self._gathering = Gathering(start)
        self._profile, self._swr = profile, swr
        self._translations: dict[tuple[str, str], str] = {}
        self._deleted: set[tuple[str, str]] = set()

    def add(self, results: Iterable[Result]) -> None:
        """Takes note of answers; SWR must still hold what they stored."""
        for result in results:
            if blob := blob_pushed(result) or blob_mounted(result):
                self._gathering.blob(*blob)
            if manifest := manifest_pushed(result):
                self._manifest(*manifest, media_type_of(result))
            if tag := tag_deleted(result):
                self._gathering.tag_gone(*tag)
            if gone := manifest_deleted(result):
                found = self._translations.get(gone, gone[1])
                self._gathering.manifest_gone(gone[0], found)
                self._deleted |= {gone, (gone[0], found)}

    def _manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> None:
        pushed = digest(data)
        if self._swr is None or not self._profile.refuses(media_type, data):
            self._gathering.manifest(repository, reference, pushed)
            return
        self._gathering.blob(repository, pushed)
        if reference == pushed:
            return
        found = digest(self._swr.manifest(repository, reference) or b"")
        self._translations[repository, pushed] = found
        self._gathering.manifest(repository, reference, found)
        for child in converted.children(self._swr, repository, reference):
            self._gathering.manifest(repository, child, child)
        for child in converted.left_out(self._swr, repository, reference, data):
            self._gathering.blob(repository, child)

    def contents(self) -> Contents:
        return self._gathering.contents()

    def without_deleted(self, contents: Contents) -> Contents:
        """The contents without untagged manifests that were deleted: SWR deletes tags (docs/facts/swr.md §4.5), and
        what becomes of a manifest that has none left is SWR's own business."""
        kept = {
            repository: frozenset(
                each
                for each in digests
                if (repository, each) not in self._deleted or each in contents.tags.get(repository, {}).values()
            )
            for repository, digests in contents.manifests.items()
        }
        return replace(contents, manifests={repository: digests for repository, digests in kept.items() if digests})


def expected(start: State, results: Iterable[Result], profile: Profile = USUAL, swr: Swr | None = None) -> Contents:
    """What SWR must hold after one recording."""
    after = Expected(start, profile, swr)
    after.add(results)
    return after.contents()


def standing(results: Iterable[Result]) -> list[Result]:
    """Those whose manifest was not deleted by a later one."""
    kept = [*results]
    gone = set(filter(None, map(manifest_deleted, kept)))
    pushed = [(result, manifest_pushed(result)) for result in kept]
    return [result for result, manifest in pushed if not manifest or (manifest[0], digest(manifest[2])) not in gone]


def within(contents: Contents, limits: Contents) -> bool:
    """Whether an SWR that forgets has the same tags and nothing too much; what a tag leads to, `damages` sees."""
    return contents.tags == limits.tags and all(
        digests <= allowed.get(repository, frozenset())
        for found, allowed in ((contents.manifests, limits.manifests), (contents.blobs, limits.blobs))
        for repository, digests in found.items()
    )


def damages(swr: Swr, blobs: Mapping[str, bytes], results: Iterable[Result], profile: Profile = USUAL) -> Iterator[str]:
    """Manifests that were answered 201, but are not the recorded bytes in SWR, or stand for them, or lack a blob."""
    for result in results:
        if not (manifest := manifest_pushed(result)):
            continue
        repository, reference, data = manifest
        if profile.refuses(media_type_of(result), data):
            yield from converted.wrongs(swr, profile, repository, reference, data, blobs)
        elif not profile.forgets or reference != digest(data):
            yield from _damages(swr, blobs, repository, reference, data)


def _damages(swr: Swr, blobs: Mapping[str, bytes], repository: str, reference: str, data: bytes) -> Iterator[str]:
    if swr.manifest(repository, reference) != data:
        yield f"{repository}:{reference} is not the manifest that was pushed"
    document = json.loads(data)
    for part in [document["config"], *document["layers"]] if "config" in document else []:
        if swr.blob(repository, part["digest"]) != blobs[part["digest"]]:
            yield f"{repository}:{reference} lacks {part['digest']}, or has it damaged"
    for child in document.get("manifests", ()):
        if swr.manifest(repository, child["digest"]) != blobs[child["digest"]]:
            yield f"{repository}:{reference} lacks its child {child['digest']}"


def other_answers(door: Door, results: Iterable[Result], profile: Profile) -> Iterator[str]:
    """Manifests that come back otherwise than they were announced, by PUT and by HEAD, or not at all.

    What SWR forgets cannot come back; what is under a tag comes as something, and as what HEAD announces.
    """
    for result in results:
        if not (manifest := manifest_pushed(result)):
            continue
        repository, reference, data = manifest
        path = f"/v2/{repository}/manifests/{reference}"
        head, get = door.ask("HEAD", path), door.ask("GET", path)
        by_digest = reference == digest(data)
        if by_digest and profile.forgets and get.status == 404:
            continue
        if (head.status, get.status) != (200, 200):
            yield f"{path}: HEAD {head.status}, GET {get.status}"
            continue
        names = ("Docker-Content-Digest", "Content-Type", "Content-Length")
        if [head.header(name) for name in names] != [get.header(name) for name in names]:
            yield f"{path}: HEAD announces {head.header('Docker-Content-Digest')}, GET another one"
        if digest(get.body) != get.header("Docker-Content-Digest"):
            yield f"{path} hashes to {digest(get.body)}"
        if by_digest and get.body != data:
            yield f"{path} is not what was pushed"
        if result.header("Docker-Content-Digest") != digest(get.body) and not profile.forgets:
            yield f"{path} was answered as {result.header('Docker-Content-Digest')} when it was pushed"
