"""Requests that reach SWR for an image: through the adapter, and as Harbor's own client would push it directly.

Both are the recorded traffic of a stock Harbor, played in front of the sandbox, whose journal is counted. Directly,
Harbor sends the same requests to `/v2` with bearer tokens, one for each scope, which it keeps when they tell when they
were issued (docs/facts/harbor.md D.1); what only the adapter's Harbor API is asked falls away. Calls of the management
API are counted apart: Harbor asks for them once a run, however many images it has, and a direct push has none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from adapter.sandbox.recording import Exchange, load
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image, images
from adapter.sandbox.replay import Replayer
from tests.bench.scale import Scale
from tests.bench.stage import Stage
from tests.bench.table import Bound, Line, Outcome
from tests.credentials import ACCESS_ID, ACCESS_KEY, LOGIN_KEY, PROJECT, SECRET_KEY, basic
from tests.running import TENANT, RunningSandbox, running_adapter, running_sandbox

RECORDINGS = Path(__file__).parent.parent / "recordings" / "harbor-2.15.2" / "contract"
REPOSITORY, TAGS = "fresh/hello", ("v1", "v2")
RECORDED = ("eu-de@AKEXAMPLE0000000001", "SKexample0000000000000000000000000000001")
NO_MORE = Bound(most=1, unit="×")
WRITES = frozenset({"POST", "PUT", "PATCH"})


class PushFailed(Exception):
    """The push that was to be counted did not go through."""


def _reset(swr: RunningSandbox, known: dict[str, Image], *, there: bool) -> None:
    """The organization is there, and the images when they are to be unchanged."""
    swr.reset()
    swr.store.create_organization(REPOSITORY.partition("/")[0], TENANT, ACCESS_KEY)
    for tag in TAGS if there else ():
        image = known[f"hello:{tag}"]
        for data in image.blobs:
            swr.store.put_blob(REPOSITORY, data)
        swr.store.put_manifest(REPOSITORY, tag, image.manifest, image.media_type)


def _bearer(swr: RunningSandbox, actions: str) -> str:
    query = urlencode({"service": "dockyard", "scope": f"repository:{REPOSITORY}:{actions}"})
    with contextlib.closing(http.client.HTTPConnection(swr.registry.removeprefix("http://"), timeout=20)) as connection:
        headers = {"Authorization": basic(ACCESS_ID, LOGIN_KEY)}
        connection.request("GET", f"/swr/auth/v2/registry/auth/?{query}", headers=headers)
        return "Bearer " + str(json.load(connection.getresponse())["token"])


def directly(swr: RunningSandbox, recording: Iterable[Exchange]) -> Iterator[Exchange]:
    """What the recording sends to `/v2`, with the tokens that Harbor would ask for first."""
    tokens: dict[str, str] = {}
    for exchange in recording:
        request = exchange.request
        if not request.path.startswith("/v2/"):
            continue
        headers = tuple(each for each in request.headers if each[0] != "Authorization")
        if len(headers) < len(request.headers):
            actions = "pull,push" if request.method in WRITES else "pull"
            if actions not in tokens:
                tokens[actions] = _bearer(swr, actions)
            headers = (*headers, ("Authorization", tokens[actions]))
        yield dataclasses.replace(exchange, request=dataclasses.replace(request, headers=headers))


@dataclass(frozen=True)
class Count:
    """Requests that reached SWR, and how many of them went to the management API."""

    registry: int
    management: int

    @classmethod
    def of(cls, journal: list[dict[str, Any]]) -> Count:
        management = sum("/v2/manage/" in entry["path"] for entry in journal)
        return cls(len(journal) - management, management)


def _play(player: Replayer, recording: Iterable[Exchange]) -> None:
    for result in player.replay(recording):
        probe = result.exchange.request.path == "/v2/"  # both challenge, each in its way
        # Here the organization was there before: that Harbor is told so is right.
        there = (result.status, result.exchange.request.path) == (409, "/api/v2.0/projects")
        right = result.status == result.exchange.response.status or probe or there
        if result.error or result.skipped or not right:
            raise PushFailed(f"{result.exchange}: {result.error or result.skipped or result.status}")


def count(name: str, *, there: bool) -> tuple[Count, Count]:
    """Through the adapter, and directly. An adapter of its own, so that nothing is remembered from before."""
    recording, known = load(RECORDINGS / f"{name}.jsonl"), images()
    blobs = Blobs(known.values())
    with running_sandbox() as swr:
        with running_adapter({PROJECT: {"registry": swr.registry, "api": swr.api}}) as adapter:
            _reset(swr, known, there=there)
            _play(Replayer(adapter.contract, blobs, credentials={RECORDED: (ACCESS_ID, SECRET_KEY)}), recording)
            through = Count.of(swr.journal())
        _reset(swr, known, there=there)
        # Tokens are asked for in the order of play: the recording must not be read ahead.
        _play(Replayer(swr.registry, blobs), directly(swr, recording))
        return through, Count.of(swr.journal())


def requests(name: str, recording: str, *, there: bool) -> Callable[[Stage, Scale], Outcome]:
    """The row: requests for each of the recording's two images."""

    def measured(stage: Stage, scale: Scale) -> Outcome:
        through, direct = count(recording, there=there)
        shown = f"{through.registry / len(TAGS):g} + {through.management} a run"
        beside = f"direct {direct.registry / len(TAGS):g}"
        ratio = through.registry / direct.registry
        line = Line(name, "requests an image", shown, beside, ratio, NO_MORE, "×")
        return Outcome((line,), "the registry's own protocol: three requests a blob, two a manifest, and the tokens")

    return measured
