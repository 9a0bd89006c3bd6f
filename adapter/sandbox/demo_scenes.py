"""What Harbor does with an SWR besides pushing, shown: listing, pulling, a proxy cache, deletions."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from adapter.sandbox.player import Player, Result
from adapter.sandbox.recording import load
from adapter.sandbox.recordings import shipped
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image, digest
from adapter.sandbox.store import Store

Images = dict[str, Image]

MANY: Final = "source/many"
DELETED: Final = "fresh5/evt"
_PULLED: Final = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")


class NotAsItWas(Exception):
    """Something is not what it has to be; the text says what."""


@dataclass(frozen=True)
class Played:
    """What there was, what SWR has now, and the answers in between."""

    images: Images
    store: Store
    results: list[Result]


Judge = Callable[[Played], str]


@dataclass(frozen=True)
class Line:
    """One scene, played."""

    what: str
    seconds: float
    requests: int
    result: str
    good: bool


def seed(store: Store, images: Images) -> None:
    """What SWR held when these scenes were recorded, beside what the pushes before them have left."""
    for tag in ("v1", "v1b"):
        _put(store, DELETED, tag, images["evt:v1"])
    for name, image in images.items():
        repository, _, tag = name.partition(":")
        if repository == "many":
            _put(store, MANY, tag, image)


def _put(store: Store, repository: str, tag: str, image: Image) -> None:
    organization = repository.partition("/")[0]
    if store.organization(organization) is None:
        store.create_organization(organization)
    for blob in image.blobs:
        store.put_blob(repository, blob)
    store.put_manifest(repository, tag, image.manifest, image.media_type)


def _listed(played: Played) -> str:
    pages = [each for each in played.results if each.exchange.request.path.endswith("/artifacts")]
    found = [artifact["digest"] for page in pages for artifact in json.loads(page.body)]
    wanted = {image.digest for name, image in played.images.items() if name.startswith("many:")}
    if len(found) != len(set(found)) or set(found) != wanted:
        raise NotAsItWas(f"{len(found)} artifacts are listed, {len(set(found) & wanted)} of {len(wanted)}")
    return f"{len(found)} artifacts on {len(pages)} pages; {_pulled(played)}"


def _cached(played: Played) -> str:
    return f"each blob asked for twice; {_pulled(played)}"


def _pulled(played: Played) -> str:
    """How much was pulled, each part of it hashed."""
    count = {"manifests": 0, "blobs": 0}
    for result in played.results:
        match = _PULLED.fullmatch(result.exchange.request.path)
        if match and result.exchange.request.method == "GET":
            wanted = result.exchange.answer.header("Docker-Content-Digest")
            if digest(result.body) != wanted:
                raise NotAsItWas(f"{match['reference']} hashes to {digest(result.body)}")
            count[match["kind"]] += 1
    parts = [f"{number} {kind if number > 1 else kind[:-1]}" for kind, number in count.items() if number]
    return f"{' and '.join(parts)}, byte for byte the same"


def _without_tag(played: Played) -> str:
    if [*played.store.tags(DELETED)] != ["v1"]:
        raise NotAsItWas(f"SWR has {[*played.store.tags(DELETED)]}")
    return "v1b is gone, v1 of the same digest is still there"


def _without_artifact(played: Played) -> str:
    if played.store.tags(DELETED):
        raise NotAsItWas(f"SWR has {[*played.store.tags(DELETED)]}")
    return "no tag carries it any more"


SCENES: Final[tuple[tuple[str, str, Judge], ...]] = (
    ("pull-many-pages", f"pull rule: list {MANY}, pull 10 of its 120 tags", _listed),
    ("proxy-cache-cold", "proxy cache: pull fresh/hello:v1", _cached),
    ("event-delete-tag", f"deletion: the tag {DELETED}:v1b", _without_tag),
    ("event-delete-artifact", f"deletion: the artifact {DELETED}:v1", _without_artifact),
)
"""(recording, what is done in it, what has to come of it)"""


def play(url: str, store: Store, images: Images, spent: Callable[[], int]) -> list[Line]:
    """Plays the scenes against the contract door. `spent` tells how many requests SWR got so far."""
    lines = []
    for name, what, judge in SCENES:
        begun, before = time.monotonic(), spent()
        results = Player(url, Blobs(())).play(load(shipped(name)))
        seconds, requests = time.monotonic() - begun, spent() - before
        try:
            lines.append(Line(what, seconds, requests, _judged(judge, Played(images, store, results)), good=True))
        except NotAsItWas as wrong:
            lines.append(Line(what, seconds, requests, str(wrong), good=False))
    return lines


def _judged(judge: Judge, played: Played) -> str:
    """Raises `NotAsItWas`."""
    for result in played.results:
        wanted = result.exchange.answer.status
        if result.status != wanted:
            got = result.error or result.skipped or result.status
            raise NotAsItWas(f"{result.exchange.request.method} {result.exchange.request.path}: {got}, not {wanted}")
    try:
        return judge(played)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotAsItWas(f"the answers cannot be read: {type(error).__name__}") from None


def table(lines: Iterable[Line]) -> str:
    """As text; a line that is not good says so."""
    head = f"{'what Harbor does':52} {'seconds':>8} {'requests to SWR':>16}  result"
    return "\n".join(
        [
            head,
            *(f"{x.what:52} {x.seconds:8.2f} {x.requests:16}  {'' if x.good else 'FAILED: '}{x.result}" for x in lines),
        ]
    )
