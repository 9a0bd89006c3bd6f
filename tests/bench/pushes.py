"""Requests to SWR per image: through the adapter, and as the client of Harbor would push directly.

Both replay recorded traffic of a stock Harbor against the sandbox and count the requests in its journal. A direct push
sends the same requests to `/v2` with bearer tokens, one for each scope, which Harbor reuses if they contain their time
of issue (docs/facts/harbor.md D.1), and no requests to the Harbor API. Management API requests are counted separately:
Harbor causes them once per run, and a direct push has none.
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
from tests.bench.environment import Environment
from tests.bench.scale import Scale
from tests.bench.table import Bound, Line, Outcome
from tests.credentials import ACCESS_ID, ACCESS_KEY, LOGIN_KEY, PROJECT, SECRET_KEY, basic
from tests.running import TENANT, RunningSandbox, running_adapter, running_sandbox

RECORDINGS = Path(__file__).parent.parent / "recordings" / "harbor-2.15.2" / "contract"
REPOSITORY, TAGS = "fresh/hello", ("v1", "v2")
RECORDED = ("eu-de@AKEXAMPLE0000000001", "SKexample0000000000000000000000000000001")
NO_MORE = Bound(most=1, unit="×")
WRITES = frozenset({"POST", "PUT", "PATCH"})


class PushFailedError(Exception):
    """The push to be counted failed."""


def _reset(swr: RunningSandbox, known: dict[str, Image], *, there: bool) -> None:
    """Creates the organization and, if `there`, the images."""
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
    """The requests to `/v2`, with the tokens that Harbor would request first."""
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
    """Numbers of requests to the registry and to the management API of SWR."""

    registry: int
    management: int

    @classmethod
    def of(cls, journal: list[dict[str, Any]]) -> Count:
        management = sum("/v2/manage/" in entry["path"] for entry in journal)
        return cls(len(journal) - management, management)


def _replay(replayer: Replayer, recording: Iterable[Exchange]) -> None:
    for result in replayer.replay(recording):
        probe = result.exchange.request.path == "/v2/"  # the two challenges differ
        # The organization exists before the push, so 409 is correct.
        there = (result.status, result.exchange.request.path) == (409, "/api/v2.0/projects")
        expected = result.status == result.exchange.response.status or probe or there
        if result.error or result.skipped or not expected:
            raise PushFailedError(f"{result.exchange}: {result.error or result.skipped or result.status}")


def count(name: str, *, there: bool) -> tuple[Count, Count]:
    """Counts through a new adapter without caches, and directly."""
    recording, known = load(RECORDINGS / f"{name}.jsonl"), images()
    blobs = Blobs(known.values())
    with running_sandbox() as swr:
        with running_adapter({PROJECT: {"registry": swr.registry, "api": swr.api}}) as adapter:
            _reset(swr, known, there=there)
            _replay(Replayer(adapter.contract, blobs, credentials={RECORDED: (ACCESS_ID, SECRET_KEY)}), recording)
            through = Count.of(swr.journal())
        _reset(swr, known, there=there)
        # `directly` requests tokens during the replay, so the recording must not be read ahead.
        _replay(Replayer(swr.registry, blobs), directly(swr, recording))
        return through, Count.of(swr.journal())


def requests(name: str, recording: str, *, there: bool) -> Callable[[Environment, Scale], Outcome]:
    """The row: requests for each of the two recorded images."""

    def measured(environment: Environment, scale: Scale) -> Outcome:
        through, direct = count(recording, there=there)
        shown = f"{through.registry / len(TAGS):g} + {through.management} a run"
        beside = f"direct {direct.registry / len(TAGS):g}"
        ratio = through.registry / direct.registry
        line = Line(name, "requests an image", shown, beside, ratio, NO_MORE, "×")
        return Outcome((line,), "the registry's own protocol: three requests a blob, two a manifest, and the tokens")

    return measured
