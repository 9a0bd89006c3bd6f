"""The recordings, each with the state that SWR is in when it begins: data only, read from the folder of recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapter.sandbox.recording import Exchange, load
from adapter.sandbox.recordings.images import Image, digest

CONTRACT = Path(__file__).parent.parent / "recordings" / "harbor-2.15.2" / "contract"
USUAL_MOOD = "refuse-index"


@dataclass(frozen=True)
class Difference:
    """How an answer must differ from the recorded one: the first digits of its status, and words that it must say."""

    status: str
    says: tuple[str, ...] = ()

    def allows(self, status: int) -> bool:
        return str(status).startswith(self.status.rstrip("x"))


@dataclass(frozen=True)
class Stored:
    """An image that SWR holds under a tag."""

    repository: str
    tag: str
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
            yield stored.repository, stored.tag, stored.image

    def all_blobs(self) -> Iterator[tuple[str, bytes]]:
        yield from self.blobs
        for repository, _, image in self.manifests():
            for data in image.blobs:
                yield repository, data


@dataclass(frozen=True)
class Scenario:
    """A recording to be played in front of an SWR in one mood; `differs` is by the number of the exchange."""

    file: Path
    mood: str
    differs: Mapping[int, Difference]

    def __str__(self) -> str:
        return self.file.stem if self.mood == USUAL_MOOD else f"{self.file.stem}-{self.mood}"

    def recording(self) -> tuple[Exchange, ...]:
        return load(self.file)

    def state(self, images: Mapping[str, Image]) -> State:
        return state(_states(self.file.parent).get(self.file.stem, {}), images)


def scenarios(folder: Path = CONTRACT) -> list[Scenario]:
    """Every recording in the folder, once for each mood that is asked of it.

    :raises ValueError: when the folder's states name a recording that is not there.
    """
    files = sorted(folder.glob("*.jsonl"))
    states = _states(folder)
    if unknown := sorted(set(states) - {file.stem for file in files}):
        raise ValueError(f"states.json has an entry without a recording: {', '.join(unknown)}")
    return [each for file in files for each in _moods(file, states.get(file.stem, {}))]


def _states(folder: Path) -> dict[str, dict[str, Any]]:
    file = folder / "states.json"
    states: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    return states


def _moods(file: Path, entry: Mapping[str, Any]) -> Iterator[Scenario]:
    for mood, differs in entry.get("moods", {USUAL_MOOD: {}}).items():
        yield Scenario(
            file, mood, {int(n): Difference(str(d["status"]), tuple(d.get("says", ()))) for n, d in differs.items()}
        )


def state(entry: Mapping[str, Any], images: Mapping[str, Image]) -> State:
    """The state that an entry of states.json describes. Raises KeyError for an image that there is not."""
    stored = (Stored(each["repository"], each["tag"], images[each["image"]]) for each in entry.get("images", ()))
    return State(tuple(entry.get("organizations", ())), tuple(stored), tuple(_loose(entry.get("blobs", ()), images)))


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

    def contents(self) -> Contents:
        return Contents(
            {repository: dict(tags) for repository, tags in self._tags.items()},
            {repository: frozenset(digests) for repository, digests in self._manifests.items()},
            {repository: frozenset(digests) for repository, digests in self._blobs.items()},
        )
