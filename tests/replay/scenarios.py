"""The recordings and the initial state of SWR for each of them, read from the folders of recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from adapter.sandbox.recording import Body, Exchange, RecordedResponse, load
from adapter.sandbox.recordings.images import Image, digest
from tests.replay.profiles import DEFAULT_PROFILE, PROFILES

RECORDINGS = Path(__file__).parent.parent / "recordings"
MAIN_VERSION = RECORDINGS / "harbor-2.15.2"
CONTRACT = MAIN_VERSION / "contract"
OTHER_VERSIONS = (RECORDINGS / "harbor-2.9.5", RECORDINGS / "harbor-2.16-dev")
DEFAULT_PAGE = 100


@dataclass(frozen=True)
class Difference:
    """How a response must differ from the recorded one: first digits of its status, and words that it must contain."""

    status: str
    says: tuple[str, ...] = ()

    def allows(self, status: int) -> bool:
        return str(status).startswith(self.status.rstrip("x"))


@dataclass(frozen=True)
class Stored:
    """An image in SWR, with a tag or only by digest."""

    repository: str
    tag: str | None
    image: Image


@dataclass(frozen=True)
class State:
    """Contents of SWR: organizations, images, and blobs without a manifest, by repository."""

    organizations: tuple[str, ...] = ()
    images: tuple[Stored, ...] = ()
    blobs: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    def manifests(self) -> Iterator[tuple[str, str, Image]]:
        """(repository, reference, image); the children of an index come first, by digest."""
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
    """A recording to replay against an SWR with one profile; `differs` is by number of the exchange.

    `page`: maximum entries per page of SWR. `open_peer`: the recorded peer required no credentials.
    `first`: the scenario to replay before, because what it stores depends on the profile.
    """

    file: Path
    profile: str
    differs: Mapping[int, Difference]
    page: int = DEFAULT_PAGE
    open_peer: bool = False
    first: Scenario | None = None

    def __str__(self) -> str:
        profile = "" if self.profile == DEFAULT_PROFILE else f"-{self.profile}"
        return f"{self.file.stem}{profile}" + ("" if self.page == DEFAULT_PAGE else f"-by-{self.page}")

    def recording(self) -> tuple[Exchange, ...]:
        recording = load(self.file)
        return challenged(recording) if self.open_peer else recording

    @property
    def parts(self) -> tuple[Scenario, ...]:
        """The scenarios in the order of their replay."""
        return (self.first, self) if self.first else (self,)

    def state(self, images: Mapping[str, Image]) -> State:
        return state(_states(self.file.parent).get(self.file.stem, {}), images)

    def sources(self) -> Iterator[tuple[str, str]]:
        """(repository, digest) of the blobs that the recorded peer found in another repository."""
        for exchange in (exchange for part in self.parts for exchange in load(part.file)):
            query = parse_qs(exchange.request.query).get("q", [""])[0]
            if query.startswith("blob_digest=") and exchange.response.body and exchange.response.body.data:
                for each in json.loads(exchange.response.body.data):
                    yield each["name"], query.removeprefix("blob_digest=")


def scenarios(folder: Path = CONTRACT) -> list[Scenario]:
    """Every recording in the folder, once for each of its profiles; alone, or as the first part of another.

    :raises ValueError: when states.json has an entry without a recording.
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
    """The profiles of the entry; `*` stands for all profiles that the entry does not list."""
    named: dict[str, Any] = entry.get("profiles", {DEFAULT_PROFILE: {}})
    all_profiles = {**dict.fromkeys(PROFILES, named["*"]), **named} if "*" in named else named
    for profile, changed in all_profiles.items():
        if profile == "*":
            continue
        differences = {int(n): Difference(str(d["status"]), tuple(d.get("says", ()))) for n, d in changed.items()}
        for page in entry.get("pages", [DEFAULT_PAGE]):
            yield Scenario(file, profile, differences, page, entry.get("peer") == "open")


def state(entry: Mapping[str, Any], images: Mapping[str, Image]) -> State:
    """The state of an entry of states.json.

    :raises KeyError: for an unknown image.
    """
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
    """Contents of an SWR by repository: digests by tag, digests of manifests, digests of blobs."""

    tags: Mapping[str, Mapping[str, str]]
    manifests: Mapping[str, frozenset[str]]
    blobs: Mapping[str, frozenset[str]]


class Gathering:
    """Collects the expected contents of an SWR."""

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

    def remove_tag(self, repository: str, tag: str) -> None:
        self._tags.get(repository, {}).pop(tag, None)

    def remove_manifest(self, repository: str, found: str) -> None:
        """Removes the manifest and its tags."""
        self._manifests.get(repository, set()).discard(found)
        self._tags[repository] = {t: d for t, d in self._tags.get(repository, {}).items() if d != found}

    def contents(self) -> Contents:
        return Contents(
            {repository: dict(tags) for repository, tags in self._tags.items() if tags},
            {repository: frozenset(digests) for repository, digests in self._manifests.items() if digests},
            {repository: frozenset(digests) for repository, digests in self._blobs.items() if digests},
        )


# Responses of a peer that challenges with Basic

RECORDED_AUTHORIZATION = (
    "Authorization",
    "Basic {basic:eu-de@AKEXAMPLE0000000001:SKexample0000000000000000000000000000001}",
)
UNAUTHORIZED_BODY = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
CHALLENGE = RecordedResponse(
    401, (("Www-Authenticate", 'Basic realm="registry"'),), Body(len(UNAUTHORIZED_BODY), "", UNAUTHORIZED_BODY)
)


def challenged(recording: Iterable[Exchange]) -> tuple[Exchange, ...]:
    """The recording of a peer without credentials, as it would be for a peer that challenges with Basic.

    Harbor probes `/v2/` without credentials; after a 401 it sends credentials with each request (docs/facts/harbor.md
    D.1). A `GET /v2/` right after a probe is the check of the endpoint.
    """
    changed: list[Exchange] = []
    probed = False
    for exchange in recording:
        probe = exchange.request.path == "/v2/" and not probed
        if probe:
            changed.append(replace(exchange, response=CHALLENGE))
        else:
            request = replace(exchange.request, headers=(*exchange.request.headers, RECORDED_AUTHORIZATION))
            changed.append(replace(exchange, request=request))
        probed = probe
    return tuple(changed)
