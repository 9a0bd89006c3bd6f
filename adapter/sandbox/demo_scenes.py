"""The scenes of the demo besides pushing: listing, pulling, proxy cache, deletion."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from adapter.sandbox.recording import load
from adapter.sandbox.recordings import shipped
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image, digest
from adapter.sandbox.replay import Replayer, Result
from adapter.sandbox.store import Store

Images = dict[str, Image]

MANY: Final = "source/many"
DELETED: Final = "fresh5/evt"
_PULLED: Final = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")


class Mismatch(Exception):
    """A result is not the expected one; the message contains the difference."""


@dataclass(frozen=True)
class Outcome:
    """The images, the contents of SWR after the scene, and the responses."""

    images: Images
    store: Store
    results: list[Result]


Check = Callable[[Outcome], str]


@dataclass(frozen=True)
class Line:
    """The result of one scene."""

    title: str
    seconds: float
    requests: int
    result: str
    good: bool


def seed(store: Store, images: Images) -> None:
    """Stores what SWR contained when the scenes were recorded, in addition to the results of the pushes before."""
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


def _listed(outcome: Outcome) -> str:
    pages = [each for each in outcome.results if each.exchange.request.path.endswith("/artifacts")]
    found = [artifact["digest"] for page in pages for artifact in json.loads(page.body)]
    expected = {image.digest for name, image in outcome.images.items() if name.startswith("many:")}
    if len(found) != len(set(found)) or set(found) != expected:
        raise Mismatch(f"listed {len(found)} artifacts, {len(set(found) & expected)} of the {len(expected)} expected")
    return f"{len(found)} artifacts on {len(pages)} pages; {_pulled(outcome)}"


def _cached(outcome: Outcome) -> str:
    return f"each blob requested twice; {_pulled(outcome)}"


def _pulled(outcome: Outcome) -> str:
    """The number of pulled manifests and blobs, after a check of their digests."""
    count = {"manifests": 0, "blobs": 0}
    for result in outcome.results:
        match = _PULLED.fullmatch(result.exchange.request.path)
        if match and result.exchange.request.method == "GET":
            expected = result.exchange.response.header("Docker-Content-Digest")
            if digest(result.body) != expected:
                raise Mismatch(f"{match['reference']} has the digest {digest(result.body)}")
            count[match["kind"]] += 1
    parts = [f"{number} {kind if number > 1 else kind[:-1]}" for kind, number in count.items() if number]
    return f"{' and '.join(parts)}, byte-identical"


def _without_tag(outcome: Outcome) -> str:
    if [*outcome.store.tags(DELETED)] != ["v1"]:
        raise Mismatch(f"tags left in SWR: {[*outcome.store.tags(DELETED)]}")
    return "v1b is deleted, v1 of the same digest is kept"


def _without_artifact(outcome: Outcome) -> str:
    if outcome.store.tags(DELETED):
        raise Mismatch(f"tags left in SWR: {[*outcome.store.tags(DELETED)]}")
    return "no tag refers to the artifact"


SCENES: Final[tuple[tuple[str, str, Check], ...]] = (
    ("pull-many-pages", f"pull rule: list {MANY}, pull 10 of its 120 tags", _listed),
    ("proxy-cache-cold", "proxy cache: pull fresh/hello:v1", _cached),
    ("event-delete-tag", f"deletion: the tag {DELETED}:v1b", _without_tag),
    ("event-delete-artifact", f"deletion: the artifact {DELETED}:v1", _without_artifact),
)
"""(recording, title, check of the outcome)"""


def run(url: str, store: Store, images: Images, request_count: Callable[[], int]) -> list[Line]:
    """Replays the scenes against the contract listener. `request_count`: number of requests to SWR so far."""
    lines = []
    for name, title, check in SCENES:
        started, before = time.monotonic(), request_count()
        results = Replayer(url, Blobs(())).replay(load(shipped(name)))
        seconds, requests = time.monotonic() - started, request_count() - before
        try:
            lines.append(Line(title, seconds, requests, _checked(check, Outcome(images, store, results)), good=True))
        except Mismatch as mismatch:
            lines.append(Line(title, seconds, requests, str(mismatch), good=False))
    return lines


def _checked(check: Check, outcome: Outcome) -> str:
    """The result in a few words.

    :raises Mismatch: when the outcome is not the expected one.
    """
    for result in outcome.results:
        expected = result.exchange.response.status
        if result.status != expected:
            actual = result.error or result.skipped or result.status
            raise Mismatch(
                f"{result.exchange.request.method} {result.exchange.request.path}: {actual} instead of {expected}"
            )
    try:
        return check(outcome)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Mismatch(f"cannot read the responses: {type(error).__name__}") from None


def table(lines: Iterable[Line]) -> str:
    """The table as text; `FAILED` marks a failed scene."""
    head = f"{'what Harbor does':52} {'seconds':>8} {'requests to SWR':>16}  result"
    return "\n".join(
        [
            head,
            *(
                f"{x.title:52} {x.seconds:8.2f} {x.requests:16}  {'' if x.good else 'FAILED: '}{x.result}"
                for x in lines
            ),
        ]
    )
