"""What the recorded portal sent goes in; core must see what it saw then, and the portal must get what it got.

Adding a pair of recordings to the two folders adds a test. Where the door differs from the one that was recorded, the
difference is a rule below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug import Response

from adapter.sandbox.recording import Body, Exchange, Headers, load
from tests.credentials import ACCESS_ID, SECRET_KEY, WRONG_SECRET
from tests.provider.rig import (
    API,
    NAME,
    PUBLIC_URL,
    Client,
    CoreResponse,
    Got,
    PlayedCore,
    Seen,
    reply,
    same_names,
    stored,
)
from tests.swr.scripted import Swr

RECORDINGS = Path(__file__).parent.parent / "recordings" / "harbor-2.15.2"
PAIRS = sorted(file.stem for file in (RECORDINGS / "portal-to-door").glob("*.jsonl"))
SWR = "https://swr.eu-de.otc.t-systems.com"


class Fill:
    """The recorded texts with what is real here in them."""

    def __init__(self, swr: str) -> None:
        self._words = {
            "eu-de@AKEXAMPLE0000000001": ACCESS_ID,
            "SKexample0000000000000000000000000000001": SECRET_KEY,
            '"wrong"': f'"{WRONG_SECRET}"',
            SWR: swr,
            "{adapter}": PUBLIC_URL,
            "{sid}": "session",
            "{_gorilla_csrf}": "cookie",
            "{csrf}": "token",
        }

    def text(self, text: str) -> str:
        for recorded, real in self._words.items():
            text = text.replace(recorded, real)
        return text

    def headers(self, headers: Headers) -> Headers:
        return tuple((name, self.text(value)) for name, value in headers)

    def body(self, body: Body | None) -> bytes:
        return self.text((body.data or b"").decode()).encode() if body else b""


def pair(name: str) -> Iterator[tuple[Exchange, Exchange]]:
    """What went in and what came out of the recorded door, one exchange each."""
    outside, inside = (load(RECORDINGS / side / f"{name}.jsonl") for side in ("portal-to-door", "door-to-core"))
    return zip(outside, inside, strict=True)


def test_every_recording_has_its_other_side() -> None:
    assert sorted(file.stem for file in (RECORDINGS / "door-to-core").glob("*.jsonl")) == PAIRS
    assert len(PAIRS) >= 12


@pytest.mark.parametrize("name", PAIRS)
def test_pair(name: str, portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    replay(name, portal, core, scripted_swr, without=())


@pytest.mark.parametrize("name", PAIRS)
def test_pair_through_nginx(name: str, nginx: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    """As the browser goes: the recording was made behind an nginx on the same machine, whose headers this one adds."""
    replay(name, nginx, core, scripted_swr, without=("X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "Connection"))


def replay(name: str, portal: Client, core: PlayedCore, scripted_swr: Swr, without: tuple[str, ...]) -> None:
    """The whole recording through `portal`, each request without the headers that something on the way adds."""
    fill = Fill(scripted_swr.url)
    known = {each["id"]: each for _, inside in pair(name) for each in registries_in(fill, inside)}
    ours = {number for number, each in known.items() if each["url"] == PUBLIC_URL}
    seen_before(portal, core, fill, name)
    for outside, inside in pair(name):
        core.plays(lambda seen, inside=inside: played(fill, inside, known, seen))  # type: ignore[misc]
        left_out = ("Content-Length", *without)
        headers = [each for each in fill.headers(outside.request.headers) if each[0] not in left_out]
        body = fill.body(outside.request.body) if outside.request.framing else None
        got = portal.send(outside.request.method, outside.request.target, headers, body)
        reached(fill, inside, core.seen)
        arrived(fill, outside, got, ours, scripted_swr.url)


def played(fill: Fill, inside: Exchange, known: dict[int, Any], seen: Seen) -> Response:
    """Core's recorded answer, or that to a look-up of the door's own."""
    if (seen.method, seen.path) == (inside.request.method, inside.request.path):
        headers = [(name, value) for name, value in fill.headers(inside.answer.headers) if name != "Content-Length"]
        body = fill.body(inside.answer.body)
        return CoreResponse(body, inside.answer.status, headers)
    number = seen.path.removeprefix(f"{API}/registries/")
    if seen.method == "GET" and number.isdigit() and int(number) in known:
        return reply(known[int(number)])
    return reply(f"not recorded: {seen.method} {seen.target}".encode(), 599)


def registries_in(fill: Fill, exchange: Exchange) -> Iterator[dict[str, Any]]:
    """The stored endpoints that an answer of core shows."""
    if exchange.request.path.startswith(f"{API}/registries") and exchange.request.method == "GET":
        document = json.loads(fill.body(exchange.answer.body))
        for each in document if isinstance(document, list) else [document]:
            if "url" in each:
                yield each


def seen_before(portal: Client, core: PlayedCore, fill: Fill, name: str) -> None:
    """A summary does not say the region: somebody has looked at the list of endpoints before."""
    summaries = [inside for _, inside in pair(name) if inside.request.path.endswith("/summary")]
    if summaries:
        core.stores(*(stored(json.loads(fill.body(each.answer.body))["registry"]["id"]) for each in summaries))
        assert portal.get("/registries").status == 200


def reached(fill: Fill, inside: Exchange, seen: list[Seen]) -> None:
    """The recorded request, once, and nothing else but look-ups."""
    wanted = inside.request
    others = [each for each in seen if (each.method, each.path) != (wanted.method, wanted.path)]
    assert all(each.method == "GET" and each.path.startswith(f"{API}/registries/") for each in others)
    (request,) = [each for each in seen if each not in others]
    assert request.target == asked(wanted.target)
    left_out = ("content-length",)
    assert same_names(request.headers, *left_out) == same_names(fill.headers(wanted.headers), *left_out)
    body = fill.body(wanted.body)
    assert (request.json() if request.body else b"") == (json.loads(body) if body else b"")


def asked(target: str) -> str:
    """Difference: a filter for our name becomes one that core can answer."""
    return target.replace(f"q={quote(f'type={NAME}', safe='')}", f"q={quote(f'url={PUBLIC_URL}', safe='')}")


def arrived(fill: Fill, outside: Exchange, got: Got, ours: set[int], swr: str) -> None:
    recorded = outside.answer
    assert got.status == recorded.status
    # The server dates its answers itself, and is none of the recorded ones; Harbor's nginx adds the last two.
    left_out = ("date", "server", "connection", "content-length", "x-frame-options", "content-security-policy")
    assert same_names(got.headers, *left_out) == same_names(fill.headers(recorded.headers), *left_out)
    assert got.header("Content-Length") == str(len(got.body))
    if wanted := fill.body(recorded.body):
        assert got.json() == shown(outside.request.path, json.loads(wanted), ours, swr)
    else:
        assert got.body == b""


def shown(path: str, document: Any, ours: set[int], swr: str) -> Any:
    """Differences: every region is offered, without a credential pattern; an endpoint's capabilities have our type."""
    if path == f"{API}/replication/adapterinfos":
        regions = {
            "eu-de": swr,
            "eu-nl": "https://swr.eu-nl.otc.t-systems.com",
            "eu-ch2": "https://swr.eu-ch2.sc.otc.t-systems.com",
        }
        endpoints = [{"key": region, "value": url} for region, url in regions.items()]
        assert document[NAME]["endpoint_pattern"]["endpoints"] == endpoints[:2]
        pattern = {"endpoint_type": "EndpointPatternTypeList", "endpoints": endpoints}
        return {**document, NAME: {"endpoint_pattern": pattern}}
    if path in {f"{API}/registries/{number}/info" for number in ours}:
        return {**document, "type": NAME}
    return document
