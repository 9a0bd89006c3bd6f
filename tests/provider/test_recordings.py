"""What the recorded portal sent goes in; core must see what it saw then, and the portal must get what it got.

Adding a pair of recordings to the two folders adds a test. Where the door differs from the one that was recorded, the
difference is a rule below.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from adapter.sandbox.recording import Body, Exchange, Headers, load
from tests.credentials import ACCESS_ID, PROJECT, SECRET_KEY, WRONG_SECRET
from tests.docker.nginx import VARIANTS, Nginx, Variant, certificates, running_nginx
from tests.provider.harness import (
    ADMITTED,
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
from tests.running import RunningAdapter, running_adapter
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
            # Of its own: what is refused in another test is remembered for a while.
            '"wrong"': f'"{WRONG_SECRET}-recorded"',
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
    replay(name, Way(portal), core, scripted_swr)


@dataclass(frozen=True)
class Way:
    """How a request of the portal comes to the door: by whom it is sent, and what something on the way adds to it."""

    portal: Client
    scheme: str = "http"
    adds: tuple[str, ...] = ()


def replay(name: str, way: Way, core: PlayedCore, scripted_swr: Swr) -> None:
    """The whole recording, each request without the headers that something on the way adds."""
    fill = Fill(scripted_swr.url)
    known = {each["id"]: each for _, inside in pair(name) for each in registries_in(fill, inside)}
    ours = {number for number, each in known.items() if each["url"] == PUBLIC_URL}
    seen_before(way.portal, core, fill, name)
    for outside, inside in pair(name):
        core.plays(lambda seen, inside=inside: played(fill, inside, known, seen))  # type: ignore[misc]
        left_out = ("Content-Length", *way.adds)
        headers = [each for each in fill.headers(outside.request.headers) if each[0] not in left_out]
        body = fill.body(outside.request.body) if outside.request.framing else None
        got = way.portal.send(outside.request.method, outside.request.target, headers, body)
        reached(fill, inside, core.seen, way)
        arrived(fill, outside, got, ours, scripted_swr.url)


def played(fill: Fill, inside: Exchange, known: dict[int, Any], seen: Seen) -> Response:
    """Core's recorded answer, or that to a look-up of the door's own."""
    if (seen.method, seen.path) == (inside.request.method, inside.request.path):
        headers = [(name, value) for name, value in fill.headers(inside.answer.headers) if name != "Content-Length"]
        body = fill.body(inside.answer.body)
        return CoreResponse(body, inside.answer.status, headers)
    if (seen.method, seen.path) == ("GET", ADMITTED):
        return reply(["harbor"])
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


def reached(fill: Fill, inside: Exchange, seen: list[Seen], way: Way) -> None:
    """The recorded request, once, and nothing else but look-ups, each of them as the same browser's."""
    wanted = inside.request
    others = [each for each in seen if (each.method, each.path) != (wanted.method, wanted.path)]
    assert all(each.method == "GET" for each in others)
    assert all(each.path == ADMITTED or each.path.startswith(f"{API}/registries/") for each in others)
    (request,) = [each for each in seen if each not in others]
    assert request.target == asked(wanted.target)
    left_out = ("content-length",)
    headers = forwarded(fill.headers(wanted.headers), way.scheme)
    assert same_names(request.headers, *left_out) == same_names(headers, *left_out)
    body = fill.body(wanted.body)
    assert (request.json() if request.body else b"") == (json.loads(body) if body else b"")


def forwarded(headers: Headers, scheme: str) -> Headers:
    """Difference: the recording was made over http, and nginx itself writes this header.

    Host, Origin and Referer are the browser's: no page of nginx or of the door touches them, so they stay as recorded.
    """
    return tuple((name, scheme if name == "X-Forwarded-Proto" else value) for name, value in headers)


def asked(target: str) -> str:
    """Difference: a filter for our name becomes one that core can answer."""
    return target.replace(f"q={quote(f'type={NAME}', safe='')}", f"q={quote(f'url={PUBLIC_URL}', safe='')}")


def arrived(fill: Fill, outside: Exchange, got: Got, ours: set[int], swr: str) -> None:
    recorded = outside.answer
    assert got.status == recorded.status
    # The server dates its answers itself, and is none of the recorded ones; ADDED is Harbor's nginx's.
    left_out = ("date", "server", "connection", "content-length", *ADDED)
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


# The same as the browser goes: through Debian's nginx in the shape of Harbor's, with each of our includes.

ADDED = ("x-frame-options", "content-security-policy", "strict-transport-security")
"""Headers of answers that Harbor's nginx adds (docs/facts/harbor.md C.1)."""


class Browser(Client):
    """Speaks to nginx by http or https."""

    def __init__(self, nginx: Nginx) -> None:
        super().__init__(nginx.url)
        self._port = nginx.port
        self._tls = ssl.create_default_context(cafile=str(nginx.ca)) if nginx.url.startswith("https:") else None

    def connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return super().connection()
        return http.client.HTTPSConnection("localhost", self._port, timeout=30, context=self._tls)


@pytest.fixture(scope="module")
def internal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of Harbor's internal TLS: core's, for the name that the door calls it by, and the proxy's own."""
    folder = tmp_path_factory.mktemp("internal")
    certificates(folder, "core", "core", "127.0.0.1")
    certificates(folder, "proxy", "proxy")
    return folder


@pytest.fixture(scope="module")
def tls_core(internal: Path) -> Iterator[HTTPServer]:
    """Core with Harbor's internal TLS: it looks at the proxy's certificate, and takes a door that has none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(internal / "core.crt", internal / "core.key")
    context.load_verify_locations(internal / "proxy-ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    with HTTPServer("127.0.0.1", ssl_context=context, threaded=True) as server:
        yield server


@pytest.fixture(scope="module")
def tls_adapter(
    servers: tuple[HTTPServer, HTTPServer], tls_core: HTTPServer, internal: Path
) -> Iterator[RunningAdapter]:
    """An adapter that calls core as docker-compose.override.yml says for Harbor's internal TLS."""
    swr, core = (server.url_for("").rstrip("/") for server in (servers[0], tls_core))
    assert core.startswith("https:")
    regions = {PROJECT: {"registry": swr, "api": swr}}
    bundle = internal / "core-ca.crt"
    with running_adapter(regions, public_url=PUBLIC_URL, harbor_core_url=core, core_ca_bundle=bundle) as running:
        yield running


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def proxy(
    request: pytest.FixtureRequest, servers: tuple[HTTPServer, HTTPServer], internal: Path
) -> Iterator[tuple[Variant, Nginx, HTTPServer]]:
    """One nginx a variant; two adapters and two cores are enough for the four."""
    variant: Variant = request.param
    server: HTTPServer = request.getfixturevalue("tls_core") if variant.internal_tls else servers[1]
    adapter: RunningAdapter = request.getfixturevalue("tls_adapter" if variant.internal_tls else "shared_adapter")
    door = int(adapter.provider.rpartition(":")[2])
    with running_nginx(variant, core=server.port, door=door, internal=internal) as running:
        yield variant, running, server


@pytest.mark.parametrize("name", PAIRS)
def test_pair_through_nginx(name: str, proxy: tuple[Variant, Nginx, HTTPServer], scripted_swr: Swr) -> None:
    """The recording was made behind an nginx on the same machine, whose headers this one adds."""
    variant, running, server = proxy
    adds = ("X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "Connection")
    try:
        replay(name, Way(Browser(running), variant.scheme, adds), PlayedCore(server), scripted_swr)
    finally:
        server.clear()
