"""Recorded requests of a portal: core must receive what it received then, and the portal what it received then.

A pair of recordings in the two folders is a test, without code. `expected_query` and `expected_document` are the
intended differences from the adapter that was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from adapter.sandbox.recording import Body, Exchange, Headers, load
from tests.credentials import ACCESS_ID, SECRET_KEY, WRONG_SECRET
from tests.docker.nginx import VARIANTS, Variant, running_nginx
from tests.provider.harness import (
    API,
    AUTHORIZATION_LOOKUP,
    NAME,
    PUBLIC_URL,
    Client,
    CoreResponse,
    Received,
    Reply,
    ScriptedCore,
    comparable,
    reply,
    stored,
)
from tests.running import RunningAdapter
from tests.swr.scripted import Swr

RECORDINGS = Path(__file__).parent.parent / "recordings" / "harbor-2.15.2"
PAIRS = sorted(file.stem for file in (RECORDINGS / "portal-to-door").glob("*.jsonl"))
SWR = "https://swr.eu-de.otc.t-systems.com"
ADDED_BY_NGINX = ("x-frame-options", "content-security-policy", "strict-transport-security")
"""Headers that Harbor's nginx adds to responses (docs/facts/harbor.md C.1)."""


class Fill:
    """Replaces placeholders in recordings by the values of this test."""

    def __init__(self, swr: str) -> None:
        self._values = {
            "eu-de@AKEXAMPLE0000000001": ACCESS_ID,
            "SKexample0000000000000000000000000000001": SECRET_KEY,
            # Not that of another test, because a rejection is cached.
            '"wrong"': f'"{WRONG_SECRET}-recorded"',
            SWR: swr,
            "{adapter}": PUBLIC_URL,
            "{sid}": "session",
            "{_gorilla_csrf}": "cookie",
            "{csrf}": "token",
        }

    def text(self, text: str) -> str:
        for placeholder, value in self._values.items():
            text = text.replace(placeholder, value)
        return text

    def headers(self, headers: Headers) -> Headers:
        return tuple((name, self.text(value)) for name, value in headers)

    def body(self, body: Body | None) -> bytes:
        return self.text((body.data or b"").decode()).encode() if body else b""


@dataclass(frozen=True)
class Front:
    """Where requests are sent to, and which headers nginx adds there."""

    portal: Client
    scheme: str = "http"
    added: tuple[str, ...] = ()


class Player:
    """Plays one pair of recordings."""

    def __init__(self, name: str, front: Front, core: ScriptedCore, swr: str) -> None:
        outside, inside = (load(RECORDINGS / side / f"{name}.jsonl") for side in ("portal-to-door", "door-to-core"))
        self._pairs = list(zip(outside, inside, strict=True))
        self._front, self._core, self._swr, self._fill = front, core, swr, Fill(swr)
        self._known = {each["id"]: each for _, inside in self._pairs for each in self._registries_in(inside)}

    def play(self) -> None:
        self._show_endpoints_of_summaries()
        for outside, inside in self._pairs:
            self._core.runs(lambda received, inside=inside: self._respond(inside, received))  # type: ignore[misc]
            left_out = ("Content-Length", *self._front.added)
            headers = [each for each in self._fill.headers(outside.request.headers) if each[0] not in left_out]
            body = self._fill.body(outside.request.body) if outside.request.framing else None
            response = self._front.portal.send(outside.request.method, outside.request.target, headers, body)
            self._check_request(inside)
            self._check_response(outside, response)

    def _registries_in(self, exchange: Exchange) -> Iterator[dict[str, Any]]:
        """The stored endpoints in a response of core."""
        if exchange.request.path.startswith(f"{API}/registries") and exchange.request.method == "GET":
            document = json.loads(self._fill.body(exchange.response.body))
            yield from (each for each in (document if isinstance(document, list) else [document]) if "url" in each)

    def _show_endpoints_of_summaries(self) -> None:
        """A summary contains no Access ID, so the list of endpoints was shown before."""
        summaries = [inside for _, inside in self._pairs if inside.request.path.endswith("/summary")]
        if summaries:
            bodies = [json.loads(self._fill.body(each.response.body)) for each in summaries]
            self._core.stores(*(stored(each["registry"]["id"]) for each in bodies))
            assert self._front.portal.get("/registries").status == 200

    def _respond(self, inside: Exchange, received: Received) -> Response:
        """The recorded response of core, or that to a lookup."""
        if (received.method, received.path) == (inside.request.method, inside.request.path):
            headers = [each for each in self._fill.headers(inside.response.headers) if each[0] != "Content-Length"]
            return CoreResponse(self._fill.body(inside.response.body), inside.response.status, headers)
        if (received.method, received.path) == ("GET", AUTHORIZATION_LOOKUP):
            return reply(["harbor"])
        number = received.path.removeprefix(f"{API}/registries/")
        if received.method == "GET" and number.isdigit() and int(number) in self._known:
            return reply(self._known[int(number)])
        return reply(f"not recorded: {received.method} {received.target}".encode(), 599)

    def _check_request(self, inside: Exchange) -> None:
        """Core received the recorded request once, and nothing else but lookups."""
        recorded = inside.request
        lookups = [each for each in self._core.received if (each.method, each.path) != (recorded.method, recorded.path)]
        assert all(each.method == "GET" for each in lookups)
        assert all(each.path == AUTHORIZATION_LOOKUP or each.path.startswith(f"{API}/registries/") for each in lookups)
        [request] = [each for each in self._core.received if each not in lookups]
        assert request.target == expected_query(recorded.target)
        # The recording was made over http.
        headers = [
            (name, self._front.scheme if name == "X-Forwarded-Proto" else value)
            for name, value in self._fill.headers(recorded.headers)
        ]
        assert comparable(request.headers, "content-length") == comparable(headers, "content-length")
        body = self._fill.body(recorded.body)
        assert (request.json() if request.body else b"") == (json.loads(body) if body else b"")

    def _check_response(self, outside: Exchange, response: Reply) -> None:
        recorded = outside.response
        assert response.status == recorded.status
        left_out = ("date", "server", "connection", "content-length", *ADDED_BY_NGINX)
        assert comparable(response.headers, *left_out) == comparable(self._fill.headers(recorded.headers), *left_out)
        assert response.header("Content-Length") == str(len(response.body))
        if body := self._fill.body(recorded.body):
            assert response.json() == self._expected_document(outside.request.path, json.loads(body))
        else:
            assert response.body == b""

    def _expected_document(self, path: str, document: Any) -> Any:
        """All regions are offered, without a credential pattern, and capabilities have the type of the provider."""
        if path == f"{API}/replication/adapterinfos":
            regions = {
                "eu-de": self._swr,
                "eu-nl": "https://swr.eu-nl.otc.t-systems.com",
                "eu-ch2": "https://swr.eu-ch2.sc.otc.t-systems.com",
            }
            endpoints = [{"key": region, "value": url} for region, url in regions.items()]
            assert document[NAME]["endpoint_pattern"]["endpoints"] == endpoints[:2]
            pattern = {"endpoint_type": "EndpointPatternTypeList", "endpoints": endpoints}
            return {**document, NAME: {"endpoint_pattern": pattern}}
        of_adapter = [number for number, each in self._known.items() if each["url"] == PUBLIC_URL]
        if path in {f"{API}/registries/{number}/info" for number in of_adapter}:
            return {**document, "type": NAME}
        return document


def expected_query(target: str) -> str:
    """A filter for the provider becomes one for the adapter's URL."""
    return target.replace(f"q={quote(f'type={NAME}', safe='')}", f"q={quote(f'url={PUBLIC_URL}', safe='')}")


def test_every_recording_has_a_counterpart() -> None:
    assert sorted(file.stem for file in (RECORDINGS / "door-to-core").glob("*.jsonl")) == PAIRS
    assert len(PAIRS) >= 12


@pytest.mark.parametrize("name", PAIRS)
def test_recorded_pair(name: str, portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    Player(name, Front(portal), core, scripted_swr.url).play()


@pytest.mark.parametrize("variant", VARIANTS[:2], ids=str)
def test_recorded_pairs_through_nginx(
    variant: Variant, servers: tuple[HTTPServer, HTTPServer], shared_adapter: RunningAdapter, scripted_swr: Swr
) -> None:
    """Every third pair. The connections with internal TLS have tests of their own."""
    _, server = servers
    port = int(shared_adapter.provider.rpartition(":")[2])
    added = ("X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "Connection")
    with running_nginx(variant, core=server.port, adapter=port) as nginx:
        front = Front(Client(nginx.url, nginx.ca), variant.scheme, added)
        for name in PAIRS[::3]:
            Player(name, front, ScriptedCore(server), scripted_swr.url).play()
            server.clear()
