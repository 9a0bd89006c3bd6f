"""Expected contents of SWR after a replay, derived from the responses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from adapter.sandbox.recordings.images import digest
from adapter.sandbox.replay import Result, mount_source
from adapter.sandbox.replay_targets import mounted_digest, parse_query
from tests.contract.http import Door
from tests.replay import converted, listings
from tests.replay.profiles import DEFAULT_PROFILE, PROFILES, Profile
from tests.replay.scenarios import Contents, Gathering, State
from tests.replay.swr import StoredSwr

DEFAULT = PROFILES[DEFAULT_PROFILE]


def blob_pushed(result: Result) -> tuple[str, str] | None:
    """(repository, digest) of a blob whose upload was completed."""
    request = result.exchange.request
    match = re.fullmatch("/v2/(.+)/blobs/uploads/[^/]*", request.path)
    if result.status != 201 or request.method != "PUT" or not match:
        return None
    return match[1], dict(parse_query(request.query))[b"digest"].decode()


def manifest_pushed(result: Result) -> tuple[str, str, bytes] | None:
    """(repository, reference, bytes) of a manifest that was stored."""
    request = result.exchange.request
    match = re.fullmatch("/v2/(.+)/manifests/([^/]+)", request.path)
    if result.status != 201 or request.method != "PUT" or not match or not request.body or not request.body.data:
        return None
    return match[1], match[2], request.body.data


def media_type_of(result: Result) -> str:
    """The media type that a manifest was pushed with."""
    return result.exchange.request.header("Content-Type") or ""


def blob_mounted(result: Result) -> tuple[str, str] | None:
    """(repository, digest) of a blob that was mounted: for Harbor any 2xx means so."""
    mounted = mounted_digest(result.exchange.request)
    match = re.fullmatch("/v2/(.+)/blobs/uploads/", result.exchange.request.path)
    if not mounted or not match or result.status is None or not 200 <= result.status < 300:
        return None
    return match[1], mounted.decode()


def lookup_errors(swr: StoredSwr, result: Result) -> Iterator[str]:
    """An error if a search for a blob returned a repository that does not contain the blob."""
    request = result.exchange.request
    query = dict(parse_query(request.query)).get(b"q", b"").decode()
    found = query.removeprefix("blob_digest=")
    name = mount_source(found.encode(), [result])
    if name is not None and swr.blob(name, found) is None:
        yield f"{result.exchange}: {name} does not contain {found}"


def manifest_deleted(result: Result) -> tuple[str, str] | None:
    """(repository, digest) of a manifest that was deleted with its tags."""
    request = result.exchange.request
    match = re.fullmatch("/v2/(.+)/manifests/(sha256:[^/]+)", request.path)
    return (match[1], match[2]) if request.method == "DELETE" and match and result.status == 202 else None


def tag_deleted(result: Result) -> tuple[str, str] | None:
    """(repository, tag) of a tag that was deleted."""
    request = result.exchange.request
    match = re.fullmatch(listings.TAG, request.path)
    if request.method != "DELETE" or not match or result.status != 200:
        return None
    return listings.repository_of(match), match["tag"]


class Expected:
    """The initial state with everything that was stored, mounted and deleted since: nothing else may change in SWR.

    For a manifest that the profile rejects: its bytes are a blob, and its tag is the converted manifest in SWR. The
    children that the converted manifest does not reference are blobs too, because SWR may remove manifests without a
    tag (docs/facts/swr.md §10). Such a manifest is deleted by the digest that it was pushed with.
    """

    def __init__(self, start: State, profile: Profile = DEFAULT, swr: StoredSwr | None = None) -> None:
        self._gathering = Gathering(start)
        self._profile, self._swr = profile, swr
        self._converted: dict[tuple[str, str], str] = {}
        self._deleted: set[tuple[str, str]] = set()

    def add(self, results: Iterable[Result]) -> None:
        """Adds the effects of the results; SWR must still contain what they stored."""
        for result in results:
            if blob := blob_pushed(result) or blob_mounted(result):
                self._gathering.blob(*blob)
            if manifest := manifest_pushed(result):
                self._manifest(*manifest, media_type_of(result))
            if tag := tag_deleted(result):
                self._gathering.remove_tag(*tag)
            if deleted := manifest_deleted(result):
                found = self._converted.get(deleted, deleted[1])
                self._gathering.remove_manifest(deleted[0], found)
                self._deleted |= {deleted, (deleted[0], found)}

    def _manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> None:
        pushed = digest(data)
        if self._swr is None or not self._profile.rejects(media_type, data):
            self._gathering.manifest(repository, reference, pushed)
            return
        self._gathering.blob(repository, pushed)
        if reference == pushed:
            return
        found = digest(self._swr.manifest(repository, reference) or b"")
        self._converted[repository, pushed] = found
        self._gathering.manifest(repository, reference, found)
        for child in converted.children(self._swr, repository, reference):
            self._gathering.manifest(repository, child, child)
        for child in converted.left_out(self._swr, repository, reference, data):
            self._gathering.blob(repository, child)

    def contents(self) -> Contents:
        return self._gathering.contents()

    def without_deleted(self, contents: Contents) -> Contents:
        """The contents without untagged manifests that were deleted: SWR deletes only tags (docs/facts/swr.md §4.5), so
        the manifest may remain."""
        kept = {
            repository: frozenset(
                each
                for each in digests
                if (repository, each) not in self._deleted or each in contents.tags.get(repository, {}).values()
            )
            for repository, digests in contents.manifests.items()
        }
        return replace(contents, manifests={repository: digests for repository, digests in kept.items() if digests})


def expected(
    start: State, results: Iterable[Result], profile: Profile = DEFAULT, swr: StoredSwr | None = None
) -> Contents:
    """Expected contents of SWR after one recording."""
    after = Expected(start, profile, swr)
    after.add(results)
    return after.contents()


def current(results: Iterable[Result]) -> list[Result]:
    """The results without pushes of manifests that were deleted later."""
    kept = [*results]
    gone = set(filter(None, map(manifest_deleted, kept)))
    pushed = [(result, manifest_pushed(result)) for result in kept]
    return [result for result, manifest in pushed if not manifest or (manifest[0], digest(manifest[2])) not in gone]


def within(contents: Contents, limits: Contents) -> bool:
    """Whether an SWR that collects garbage has these tags and nothing else; `damages` checks what a tag leads to."""
    return contents.tags == limits.tags and all(
        digests <= allowed.get(repository, frozenset())
        for found, allowed in ((contents.manifests, limits.manifests), (contents.blobs, limits.blobs))
        for repository, digests in found.items()
    )


def damages(
    swr: StoredSwr, blobs: Mapping[str, bytes], results: Iterable[Result], profile: Profile = DEFAULT
) -> Iterator[str]:
    """Manifests that were reported as stored, but in SWR are changed, wrongly converted or incomplete."""
    for result in results:
        if not (manifest := manifest_pushed(result)):
            continue
        repository, reference, data = manifest
        if profile.rejects(media_type_of(result), data):
            yield from converted.errors(swr, profile, repository, reference, data, blobs)
        elif not profile.collects_garbage or reference != digest(data):
            yield from _damages(swr, blobs, repository, reference, data)


def _damages(swr: StoredSwr, blobs: Mapping[str, bytes], repository: str, reference: str, data: bytes) -> Iterator[str]:
    if swr.manifest(repository, reference) != data:
        yield f"{repository}:{reference} differs from the pushed manifest"
    document = json.loads(data)
    for part in [document["config"], *document["layers"]] if "config" in document else []:
        if swr.blob(repository, part["digest"]) != blobs[part["digest"]]:
            yield f"{repository}:{reference} has no intact blob {part['digest']}"
    for child in document.get("manifests", ()):
        if swr.manifest(repository, child["digest"]) != blobs[child["digest"]]:
            yield f"{repository}:{reference} has no intact child {child['digest']}"


def pull_errors(door: Door, results: Iterable[Result], profile: Profile) -> Iterator[str]:
    """Manifests that cannot be pulled, or not as PUT and HEAD announced them.

    A manifest by digest can be missing if SWR collects garbage. A tag must be there, and as HEAD announces it.
    """
    for result in results:
        if not (manifest := manifest_pushed(result)):
            continue
        repository, reference, data = manifest
        path = f"/v2/{repository}/manifests/{reference}"
        head, get = door.ask("HEAD", path), door.ask("GET", path)
        by_digest = reference == digest(data)
        if by_digest and profile.collects_garbage and get.status == 404:
            continue
        if (head.status, get.status) != (200, 200):
            yield f"{path}: HEAD {head.status}, GET {get.status}"
            continue
        names = ("Docker-Content-Digest", "Content-Type", "Content-Length")
        if [head.header(name) for name in names] != [get.header(name) for name in names]:
            yield f"{path}: HEAD announces {head.header('Docker-Content-Digest')}, GET another manifest"
        if digest(get.body) != get.header("Docker-Content-Digest"):
            yield f"{path} has the digest {digest(get.body)}"
        if by_digest and get.body != data:
            yield f"{path} differs from what was pushed"
        if result.header("Docker-Content-Digest") != digest(get.body) and not profile.collects_garbage:
            yield f"{path} was announced as {result.header('Docker-Content-Digest')} when it was pushed"
