"""Checks converted manifests in SWR without code of the adapter: Docker types, original platforms and blobs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from adapter.sandbox.recordings.images import DOCKER_LIST, DOCKER_MANIFEST, digest
from tests.replay.profiles import Profile, is_attestation
from tests.replay.swr import StoredSwr

SOURCE = "harbor-swr-adapter.source.digest"


def errors(
    swr: StoredSwr, profile: Profile, repository: str, reference: str, original: bytes, blobs: Mapping[str, bytes]
) -> Iterator[str]:
    """Errors in what SWR contains for a manifest that it rejected; `blobs` has the recorded bytes."""
    name, source = f"{repository}:{reference}", digest(original)
    if not profile.collects_garbage and swr.blob(repository, source) != original:
        yield f"{name} is not preserved under its digest"
    if reference == source:
        return
    stored = swr.manifest(repository, reference)
    if stored is None:
        yield f"{name} is missing"
        return
    document, wanted = json.loads(stored), json.loads(original)
    kind = DOCKER_LIST if "manifests" in wanted else DOCKER_MANIFEST
    if document.get("mediaType") != kind:
        yield f"{name} is of type {document.get('mediaType')}, not {kind}"
        return
    source_annotation = document.get("annotations", {}).get(SOURCE)
    if source_annotation != (source if profile.unknown_fields else None):
        yield f"{name} has the source annotation {source_annotation}"
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
    swr: StoredSwr, profile: Profile, repository: str, entry: Mapping[str, Any], image: Mapping[str, Any]
) -> Iterator[str]:
    name = f"{repository}@{entry['digest']}"
    stored = swr.manifest(repository, entry["digest"])
    if stored is None:
        yield f"{name} is listed and missing"
        return
    document = json.loads(stored)
    kind = profile.child_type
    if (entry["size"], entry["mediaType"], document["mediaType"]) != (len(stored), kind, kind):
        yield f"{name} is listed with the wrong type or size"
    yield from _differences(swr, repository, name, document, image)


def _differences(
    swr: StoredSwr, repository: str, name: str, document: Mapping[str, Any], image: Mapping[str, Any]
) -> Iterator[str]:
    got, wanted = ([(x["digest"], x["size"]) for x in [y["config"], *y["layers"]]] for y in (document, image))
    if got != wanted:
        yield f"{name} references {got} instead of {wanted}"
    yield from (f"{name} has no blob {each}" for each, _ in got if swr.blob(repository, each) is None)


def children(swr: StoredSwr, repository: str, tag: str) -> list[str]:
    """Digests that the list with this tag references; empty if there is no list."""
    document = json.loads(swr.manifest(repository, tag) or b"{}")
    return [entry["digest"] for entry in document.get("manifests", ())]


def left_out(swr: StoredSwr, repository: str, tag: str, original: bytes) -> set[str]:
    """Digests that an index references and the list with this tag does not: attestations, converted images."""
    named = {entry["digest"] for entry in json.loads(original).get("manifests", ())}
    return named - set(children(swr, repository, tag))
