"""What an SWR holds in the place of what it refused, judged without the adapter: same platforms, same blobs.

Nothing is expected of the documents but that they are Docker's and name what the originals name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from adapter.sandbox.recordings.images import DOCKER_LIST, DOCKER_MANIFEST, digest
from tests.replay.profiles import Profile, is_attestation

SOURCE = "harbor-swr-adapter.source.digest"


class Holder(Protocol):
    """An SWR, as far as it is asked here."""

    def manifest(self, repository: str, reference: str) -> bytes | None: ...

    def blob(self, repository: str, digest: str) -> bytes | None: ...


def wrongs(
    swr: Holder, profile: Profile, repository: str, reference: str, original: bytes, blobs: Mapping[str, bytes]
) -> Iterator[str]:
    """Where what SWR holds for a manifest that it refused is not what it has to be; `blobs` has the recorded bytes."""
    name, source = f"{repository}:{reference}", digest(original)
    if not profile.forgets and swr.blob(repository, source) != original:
        yield f"{name} is not kept under its own digest"
    if reference == source:
        return
    held = swr.manifest(repository, reference)
    if held is None:
        yield f"{name} is not there"
        return
    document, wanted = json.loads(held), json.loads(original)
    kind = DOCKER_LIST if "manifests" in wanted else DOCKER_MANIFEST
    if document.get("mediaType") != kind:
        yield f"{name} is of type {document.get('mediaType')}, not {kind}"
        return
    named = document.get("annotations", {}).get(SOURCE)
    if named != (source if profile.unknown_fields else None):
        yield f"{name} names {named} as its source"
    if kind == DOCKER_MANIFEST:
        yield from _differences(swr, repository, name, document, wanted)
        return
    images = [entry for entry in wanted["manifests"] if not is_attestation(entry)]
    if [entry["platform"] for entry in document["manifests"]] != [entry["platform"] for entry in images]:
        yield f"{name} has other platforms"
        return
    for entry, image in zip(document["manifests"], images, strict=True):
        yield from _child(swr, profile, repository, entry, json.loads(blobs[image["digest"]]))


def _child(
    swr: Holder, profile: Profile, repository: str, entry: Mapping[str, Any], image: Mapping[str, Any]
) -> Iterator[str]:
    name = f"{repository}@{entry['digest']}"
    held = swr.manifest(repository, entry["digest"])
    if held is None:
        yield f"{name} is listed and not there"
        return
    document = json.loads(held)
    kind = profile.child_type
    if (entry["size"], entry["mediaType"], document["mediaType"]) != (len(held), kind, kind):
        yield f"{name} is listed with the wrong type or size"
    yield from _differences(swr, repository, name, document, image)


def _differences(
    swr: Holder, repository: str, name: str, document: Mapping[str, Any], image: Mapping[str, Any]
) -> Iterator[str]:
    got, wanted = ([(x["digest"], x["size"]) for x in [y["config"], *y["layers"]]] for y in (document, image))
    if got != wanted:
        yield f"{name} names {got}, not {wanted}"
    yield from (f"{name} lacks {each}" for each, _ in got if swr.blob(repository, each) is None)


def children(swr: Holder, repository: str, tag: str) -> list[str]:
    """Digests of what the list under the tag names; nothing where there is no list."""
    document = json.loads(swr.manifest(repository, tag) or b"{}")
    return [entry["digest"] for entry in document.get("manifests", ())]


def left_out(swr: Holder, repository: str, tag: str, original: bytes) -> set[str]:
    """Digests of what an index names and the list under the tag does not: attestations, images translated."""
    named = {entry["digest"] for entry in json.loads(original).get("manifests", ())}
    return named - set(children(swr, repository, tag))
