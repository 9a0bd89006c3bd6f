"""A translation that is right is not complained of, and each way in which it can be wrong is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from adapter.sandbox.recordings.images import DOCKER_LIST, DOCKER_MANIFEST, Image, digest, dump
from tests.replay.holdings import Holdings
from tests.replay.profiles import PROFILES, Profile
from tests.replay.translated import SOURCE, children, left_out, wrongs

NAME = "fresh/multi"
ALL = PROFILES["refuse-all"]


def docker(image: Image) -> dict[str, Any]:
    """Schema 2 over the image's blobs; the types of layers are not looked at."""
    return {**json.loads(image.manifest), "mediaType": DOCKER_MANIFEST}


class Right:
    """An SWR that refuses all of OCI, with the index of BuildKit translated, and one OCI image."""

    def __init__(self, images: Mapping[str, Image]) -> None:
        self.index, self.single = images["multi:buildkit"], images["hello:v2"]
        self.held = Holdings()
        self.known = {child.digest: child.manifest for child in self.index.children}
        for image in (self.index, *self.index.children, self.single):
            self.keep(image.manifest, *image.blobs)
        self.entries = [self.entry(docker(child)) for child in self.index.children[:2]]
        platforms = [each["platform"] for each in json.loads(self.index.manifest)["manifests"]]
        for entry, platform in zip(self.entries, platforms, strict=False):
            entry["platform"] = platform
        self.put("buildkit", self.list())
        self.put("v2", {**docker(self.single), "annotations": {SOURCE: self.single.digest}})

    def keep(self, *blobs: bytes) -> None:
        for data in blobs:
            self.held.blobs[NAME, digest(data)] = data

    def put(self, reference: str, document: Mapping[str, Any]) -> None:
        self.held.put_manifest(NAME, reference, dump(dict(document)), document["mediaType"])

    def entry(self, document: Mapping[str, Any]) -> dict[str, Any]:
        data = dump(dict(document))
        self.held.put_manifest(NAME, digest(data), data, document["mediaType"])
        return {"mediaType": document["mediaType"], "size": len(data), "digest": digest(data)}

    def list(self, **other: object) -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": self.entries}
        return {**document, "annotations": {SOURCE: self.index.digest}, **other}

    def complaints(self, profile: Profile = ALL) -> Iterator[str]:
        for reference, original in (("buildkit", self.index), ("v2", self.single), (self.index.digest, self.index)):
            yield from wrongs(Asked(self.held), profile, NAME, reference, original.manifest, self.known)


class Asked:
    """`Holdings` answer with more than the bytes."""

    def __init__(self, held: Holdings) -> None:
        self._held = held

    def manifest(self, repository: str, reference: str) -> bytes | None:
        found = self._held.manifest(repository, reference)
        return found[1] if found else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        return self._held.blobs.get((repository, digest))


@pytest.fixture
def right(recorded_images: Mapping[str, Image]) -> Right:
    return Right(recorded_images)


def test_nothing_is_wrong(right: Right) -> None:
    assert [*right.complaints()] == []
    assert children(Asked(right.held), NAME, "buildkit") == [entry["digest"] for entry in right.entries]
    assert children(Asked(right.held), NAME, "v2") == children(Asked(right.held), NAME, "none") == []


def test_what_a_list_does_not_name(right: Right) -> None:
    swr, index = Asked(right.held), right.index
    assert left_out(swr, NAME, "buildkit", index.manifest) == {child.digest for child in index.children}
    oci_children(right)
    assert left_out(swr, NAME, "buildkit", index.manifest) == {index.children[2].digest}
    assert left_out(swr, NAME, "v2", right.single.manifest) == set()


def other_order(right: Right) -> None:
    right.put("buildkit", right.list(manifests=right.entries[::-1]))


def one_too_few(right: Right) -> None:
    right.put("buildkit", right.list(manifests=right.entries[:1]))


def other_layers(right: Right) -> None:
    child = right.index.children[0]
    document = docker(child)
    right.entries[0] |= right.entry({**document, "layers": document["layers"][::-1]})
    right.put("buildkit", right.list())


def swapped_children(right: Right) -> None:
    first, second = right.entries
    right.put(
        "buildkit",
        right.list(
            manifests=[{**second, "platform": first["platform"]}, {**first, "platform": second["platform"]}],
        ),
    )


def wrong_size(right: Right) -> None:
    right.put("buildkit", right.list(manifests=[{**right.entries[0], "size": 1}, right.entries[1]]))


def child_that_is_gone(right: Right) -> None:
    del right.held.manifests[NAME, right.entries[0]["digest"]]


def layer_that_is_gone(right: Right) -> None:
    del right.held.blobs[NAME, digest(right.index.children[0].blobs[1])]


def original_that_is_gone(right: Right) -> None:
    del right.held.blobs[NAME, right.index.digest]


def tag_that_is_gone(right: Right) -> None:
    del right.held.tags[NAME, "buildkit"]


def no_annotation(right: Right) -> None:
    right.put("buildkit", {key: value for key, value in right.list().items() if key != "annotations"})


def oci_children(right: Right) -> None:
    for entry, child in zip(right.entries, right.index.children, strict=False):
        entry |= right.entry(json.loads(child.manifest))
    right.put("buildkit", right.list())


def no_docker_list(right: Right) -> None:
    right.put("buildkit", right.list(mediaType="application/vnd.oci.image.index.v1+json"))


def single_without_a_layer(right: Right) -> None:
    document = docker(right.single)
    right.put("v2", {**document, "layers": document["layers"][1:], "annotations": {SOURCE: right.single.digest}})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (other_order, "has other platforms"),
        (one_too_few, "has other platforms"),
        (other_layers, "names"),
        (swapped_children, "names"),
        (wrong_size, "wrong type or size"),
        (child_that_is_gone, "is listed and not there"),
        (layer_that_is_gone, "lacks"),
        (original_that_is_gone, "is not kept"),
        (tag_that_is_gone, "is not there"),
        (no_annotation, "names None as its source"),
        (oci_children, "wrong type or size"),
        (no_docker_list, "is of type"),
        (single_without_a_layer, "names"),
    ],
)
def test_what_is_wrong(right: Right, damage: Callable[[Right], None], says: str) -> None:
    damage(right)
    assert any(says in complaint for complaint in right.complaints())


def test_what_a_mood_allows(right: Right) -> None:
    no_annotation(right)
    assert [*right.complaints(PROFILES["strict-all"])] == [f"{NAME}:v2 names {right.single.digest} as its source"]
    right.put("buildkit", right.list())
    original_that_is_gone(right)
    assert [*right.complaints(PROFILES["forgetful-all"])] == []
    oci_children(right)
    assert [x for x in right.complaints(PROFILES["refuse-index"]) if "type" in x] == []
