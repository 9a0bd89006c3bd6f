"""The recordings, each with the state that SWR is in when it begins: data only, read from the folders of recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from adapter.sandbox.recording import Exchange, load
from adapter.sandbox.recordings.images import Image, digest
from tests.replay.challenges import challenged
from tests.replay.profiles import DEFAULT_PROFILE, PROFILES

RECORDINGS = Path(__file__).parent.parent / "recordings"
FOLDER = RECORDINGS / "harbor-2.15.2"
CONTRACT, MOUNTS, DOCKER_REGISTRY, TRANSLATED = (
    FOLDER / name for name in ("contract", "contract-mounts", "docker-registry", "contract-translated")
)
OTHER_VERSIONS = (RECORDINGS / "harbor-2.9.5", RECORDINGS / "harbor-2.16-dev")
USUAL_PAGE = 100


@dataclass(frozen=True)
class Difference:
    """How an answer must differ from the recorded one: the first digits of its status, and words that it must say."""

    status: str
    says: tuple[str, ...] = ()

    def allows(self, status: int) -> bool:
        return str(status).startswith(self.status.rstrip("x"))


@dataclass(frozen=True)
class Stored:
    """An image that SWR holds under a tag, or under its digest alone."""

    repository: str
    tag: str | None
    image: Image


@dataclass(frozen=True)
class State:
    """What SWR holds: organizations, whole images, and blobs that no manifest names, by repository."""

    organizations: tuple[str, ...] = ()
    images: tuple[Stored, ...] = ()
    blobs: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    def manifests(self) -> Iterator[tuple[str, str, Image]]:
        """(repository, reference, image), an index after its children, which stand under their digests."""
        for stored in self.images:
            for child in stored.image.children:
                yield stored.repository, child.digest, child
            yield stored.repository, stored.tag or stored.image.digest, stored.image

    def all_blobs(self) -> Iterator[tuple[str, bytes]]:
        yield from self.blobs
        for repository, _, image in self.manifests():
            for data in image.blobs:
                yield repository, data


@dataclass(frozen=True)
class Scenario:
    """A recording to be played in front of an SWR in one mood; `differs` is by the number of the exchange.

    `page`: entries that SWR puts on a page at most. `open_peer`: the recorded peer asked for no credentials.
    `first`: what is played before it, since what that leaves depends on the mood.
    """

    file: Path
    profile: str
    differs: Mapping[int, Difference]
    page: int = USUAL_PAGE
    open_peer: bool = False
    first: Scenario | None = None

    def __str__(self) -> str:
        profile = "" if self.profile == DEFAULT_PROFILE else f"-{self.profile}"
        return f"{self.file.stem}{profile}" + ("" if self.page == USUAL_PAGE else f"-by-{self.page}")

    def recording(self) -> tuple[Exchange, ...]:
        recording = load(self.file)
        return challenged(recording) if self.open_peer else recording

    @property
    def parts(self) -> tuple[Scenario, ...]:
        """In the order in which they are played."""
        return (self.first, self) if self.first else (self,)

    def state(self, images: Mapping[str, Image]) -> State:
        return state(_states(self.file.parent).get(self.file.stem, {}), images)

    def sources(self) -> Iterator[tuple[str, str]]:
        """(repository, digest) of the blobs that the recorded peer had elsewhere when it was asked for them."""
        for exchange in (exchange for part in self.parts for exchange in load(part.file)):
            query = parse_qs(exchange.request.query).get("q", [""])[0]
            if query.startswith("blob_digest=") and exchange.response.body and exchange.response.body.data:
                for each in json.loads(exchange.response.body.data):
                    yield each["name"], query.removeprefix("blob_digest=")


def scenarios(folder: Path = CONTRACT) -> list[Scenario]:
    """Every recording in the folder, once for each mood that is asked of it; alone, or as the first part of another.

    :raises ValueError: when the folder's states name a recording that is not there.
    """
    files = sorted(folder.glob("*.jsonl"))
    states = _states(folder)
    if unknown := sorted(set(states) - {file.stem for file in files}):
        raise ValueError(f"states.json has an entry without a recording: {', '.join(unknown)}")
    found = [each for file in files for each in _profiles(file, states.get(file.stem, {}))]
    by_name = {(each.file.stem, each.profile): each for each in found}
    after = {name: entry["after"] for name, entry in states.items() if "after" in entry}
    ones = [replace(each, first=by_name.get((after.get(each.file.stem, ""), each.profile))) for each in found]
    parts = {(each.first.file, each.profile) for each in ones if each.first}
    return [each for each in ones if (each.file, each.profile) not in parts]


def _states(folder: Path) -> dict[str, dict[str, Any]]:
    file = folder / "states.json"
    states: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    return {name: {**states.get(entry.get("as", name), {}), **entry} for name, entry in states.items()}


def _profiles(file: Path, entry: Mapping[str, Any]) -> Iterator[Scenario]:
    """Those that the entry names; `*` stands for all that it does not name."""
    named: dict[str, Any] = entry.get("moods", {DEFAULT_PROFILE: {}})
    every = {**dict.fromkeys(PROFILES, named["*"]), **named} if "*" in named else named
    for profile, differs in every.items():
        if profile == "*":
            continue
        wanted = {int(n): Difference(str(d["status"]), tuple(d.get("says", ()))) for n, d in differs.items()}
        for page in entry.get("pages", [USUAL_PAGE]):
            yield Scenario(file, profile, wanted, page, entry.get("peer") == "open")


def state(entry: Mapping[str, Any], images: Mapping[str, Image]) -> State:
    """The state that an entry of states.json describes. Raises KeyError for an image that there is not."""
    stored = tuple(each for image in entry.get("images", ()) for each in _stored(image, images))
    return State(tuple(entry.get("organizations", ())), stored, tuple(_loose(entry.get("blobs", ()), images)))


def _stored(entry: Mapping[str, str], images: Mapping[str, Image]) -> Iterator[Stored]:
    if "every" not in entry:
        yield Stored(entry["repository"], entry.get("tag"), images[entry["image"]])
        return
    for name, image in images.items():
        repository, _, tag = name.partition(":")
        if repository == entry["every"]:
            yield Stored(entry["repository"], tag, image)


def _loose(entries: Iterable[Mapping[str, Any]], images: Mapping[str, Image]) -> Iterator[tuple[str, bytes]]:
    for entry in entries:
        image = images[entry["image"]]
        chosen = [image.children[at] for at in entry["children"]] if "children" in entry else [image]
        for each in chosen:
            for data in each.blobs:
                yield entry["repository"], data


@dataclass(frozen=True)
class Contents:
    """What an SWR holds complete: by repository, the digest under each tag, digests of manifests, digests of blobs."""

    tags: Mapping[str, Mapping[str, str]]
    manifests: Mapping[str, frozenset[str]]
    blobs: Mapping[str, frozenset[str]]


class Gathering:
    """Collects the contents that an SWR should have."""

    def __init__(self, start: State) -> None:
        self._tags: dict[str, dict[str, str]] = {}
        self._manifests: dict[str, set[str]] = {}
        self._blobs: dict[str, set[str]] = {}
        for repository, data in start.all_blobs():
            self.blob(repository, digest(data))
        for repository, reference, image in start.manifests():
            self.manifest(repository, reference, image.digest)

    def blob(self, repository: str, found: str) -> None:
        self._blobs.setdefault(repository, set()).add(found)

    def manifest(self, repository: str, reference: str, found: str) -> None:
        self._manifests.setdefault(repository, set()).add(found)
        if reference != found:
            self._tags.setdefault(repository, {})[reference] = found

    def tag_gone(self, repository: str, tag: str) -> None:
        self._tags.get(repository, {}).pop(tag, None)

    def manifest_gone(self, repository: str, found: str) -> None:
        """With its tags."""
        self._manifests.get(repository, set()).discard(found)
        self._tags[repository] = {t: d for t, d in self._tags.get(repository, {}).items() if d != found}

    def contents(self) -> Contents:
        return Contents(
            {repository: dict(tags) for repository, tags in self._tags.items() if tags},
            {repository: frozenset(digests) for repository, digests in self._manifests.items() if digests},
            {repository: frozenset(digests) for repository, digests in self._blobs.items() if digests},
        )
