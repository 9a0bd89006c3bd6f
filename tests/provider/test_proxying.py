"""Everything that is not translated is the same on both sides of the provider port."""

from __future__ import annotations

import gzip
import socket

import pytest

from tests.conftest import StartAdapter
from tests.credentials import basic
from tests.provider.harness import API, BROWSER, NAME, SCRIPT, Client, ScriptedCore, comparable, stored
from tests.provider.rawcore import head, raw_core

ROUTES = pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{API}/registries", None),
        ("PUT", f"{API}/registries/4", b'{"name":"x"}'),
        ("POST", f"{API}/replication/policies", b"{}"),
        ("DELETE", f"{API}/registries/4", None),
        ("GET", f"{API}/systeminfo", None),
    ],
    ids=["translated", "edit", "rule", "delete", "other"],
)
SENT = [
    ("Host", "harbor.example:8443"),
    ("Origin", "https://harbor.example:8443"),
    ("Referer", "https://harbor.example:8443/harbor/registries"),
    ("Cookie", 'sid=a=b; _gorilla_csrf="x y"; other=1'),
    ("Authorization", basic()),
    ("X-Harbor-CSRF-Token", "to/ken+=="),
    ("X-Harbor-No-Session-Renewal", "true"),
    ("X-Request-Id", "client-chose-this"),
    ("X-Forwarded-For", "192.0.2.1, 10.0.0.1"),
    ("X-Forwarded-Proto", "https"),
    ("Accept-Language", "de;q=0.9, en"),
]
RETURNED = [
    ("Set-Cookie", "sid=new; Path=/; HttpOnly"),
    ("Set-Cookie", "_gorilla_csrf=x; Expires=Tue, 24 Nov 2026 07:00:00 GMT"),
    ("X-Harbor-Csrf-Token", "fresh=="),
    ("X-Request-Id", "core-chose-this"),
    ("X-Total-Count", "31"),
    ("Link", f'<{API}/registries?page=2&q=a%20b>; rel="next" , <{API}/x>; rel="prev"'),
    ("Location", f"{API}/registries/4?a=%2f"),
    ("Vary", "Cookie"),
    ("Cache-Control", "no-store"),
    ("X-Later", "caf\xe9"),
]
HOP_BY_HOP = [
    ("Connection", "close, X-Hop"),
    ("X-Hop", "1"),
    ("Keep-Alive", "1"),
    ("TE", "trailers"),
    ("Proxy-Authorization", "x"),
]
JSON = [("Content-Type", "application/json")]


@ROUTES
@pytest.mark.parametrize("status", [200, 403])
def test_headers_pass_in_both_directions(
    status: int, method: str, path: str, body: bytes | None, portal: Client, core: ScriptedCore
) -> None:
    core.returns([stored(4)], status, [*RETURNED, ("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic")])
    response = portal.send(method, path, [*SENT, *HOP_BY_HOP], body)
    assert comparable(core.received[-1].headers, "content-length") == comparable(SENT)
    assert response.status == status
    added = ("content-type", "content-length", "date", "server", "connection")
    assert comparable(response.headers, *added) == comparable(RETURNED)


def test_request_id_of_the_client_is_returned_if_core_returns_none(portal: Client, core: ScriptedCore) -> None:
    core.returns({})
    assert portal.send("GET", f"{API}/registries", SENT).header("X-Request-Id") == "client-chose-this"


@pytest.mark.parametrize(
    "target",
    [
        f"{API}/registries?",
        f"{API}/registries?q=a%2fb%2F+c{{d}}&&x==",
        f"{API}/systeminfo?'\"<>|\\^`",
        f"{API}//../v2.0/./c/",
        f"{API}/projects/a%252Fb/x%2fy",
        f"{API}/c%6Fre/%20",
        "/api/v2%2e0/x",
        f"{API}/x:y",
    ],
)
def test_target_passes_unchanged(target: str, portal: Client, core: ScriptedCore) -> None:
    core.returns([])
    with socket.create_connection(portal.address, 20) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\nCookie: sid=1\r\n\r\n".encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert core.received[-1].target == target


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE", "PROPFIND"])
def test_any_method_and_body_passes(method: str, portal: Client, core: ScriptedCore) -> None:
    core.returns(b"\0response\xff", 207, [("Content-Type", "x/y"), ("ETag", '"1"')])
    response = portal.send(method, f"{API}/other", [*SCRIPT, ("Content-Type", "a/b")], b"\0body\xff")
    [request] = core.received
    assert (request.method, request.body, request.header("Content-Type")) == (method, b"\0body\xff", "a/b")
    assert (response.status, response.header("Content-Type"), response.header("ETag")) == (207, "x/y", '"1"')
    assert response.body == (b"" if method == "HEAD" else b"\0response\xff")
    assert response.header("Content-Length") == "10"


@pytest.mark.parametrize("path", ["/registries", "/registries/4/info"])
def test_head_of_a_translated_page_passes(path: str, portal: Client, core: ScriptedCore) -> None:
    core.returns(stored())
    response = portal.send("HEAD", API + path)
    assert (response.status, response.body, [each.method for each in core.received]) == (200, b"", ["HEAD"])


@pytest.mark.parametrize("status", [201, 204, 206, 302, 304, 401, 404, 418, 503])
def test_any_status_but_200_passes(status: int, portal: Client, core: ScriptedCore) -> None:
    body = b"" if status in (204, 304) else b'["harbor"]'
    core.returns(body, status, [*JSON, ("Location", "/elsewhere")])
    response = portal.get("/replication/adapters")
    assert (response.status, response.header("Location"), response.body) == (status, "/elsewhere", body)
    assert len(core.received) == 1


def test_core_may_compress_only_what_is_not_translated(portal: Client, core: ScriptedCore) -> None:
    core.returns([])
    for path, expected in ((f"{API}/registries", None), (f"{API}/systeminfo", "gzip")):
        portal.send("GET", path, [*BROWSER, ("Accept-Encoding", "gzip")])
        assert core.received[-1].header("Accept-Encoding") == expected


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(b'["harbor"]'), [*JSON, ("Content-Encoding", "gzip")]),
        (b"<html>", [("Content-Type", "text/html")]),
        (b'["harbor"]', [("Content-Type", "text/plain")]),
        (b'["harbor"]', []),
        (b'["harbor"', JSON),
        (b"\xff\xfe", JSON),
        (b"[" * 100_000, JSON),
        (b'{"harbor":1}', JSON),
        (b"", JSON),
    ],
    ids=["gzip", "html", "text", "no type", "half", "binary", "deep", "object", "nothing"],
)
def test_unexpected_response_passes(
    body: bytes, headers: list[tuple[str, str]], portal: Client, core: ScriptedCore
) -> None:
    core.returns(body, headers=headers)
    response = portal.get("/replication/adapters")
    assert (response.status, response.body) == (200, body)
    assert [response.header(name) for name in ("Content-Type", "Content-Encoding")] == [
        dict(headers).get(name) for name in ("Content-Type", "Content-Encoding")
    ]


@pytest.mark.parametrize(
    ("method", "path", "blocks", "received", "framing"),
    [
        ("POST", "/x", [b"one", b"two" * 50_000], b"one" + b"two" * 50_000, ("Transfer-Encoding", "chunked")),
        ("PUT", "/registries/4", [b'{"access_', b'secret":"*****"}'], b"{}", ("Content-Length", "2")),
    ],
    ids=["passed", "translated"],
)
def test_chunked_body(
    method: str,
    path: str,
    blocks: list[bytes],
    received: bytes,
    framing: tuple[str, str],
    portal: Client,
    core: ScriptedCore,
) -> None:
    core.stores(stored(4))
    connection = portal.connection()
    connection.request(method, API + path, iter(blocks), {"Cookie": "sid=1"}, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert (core.received[-1].body, core.received[-1].header(framing[0])) == (received, framing[1])


def test_only_reads_share_a_connection(another: StartAdapter) -> None:
    """A write that an idle connection may have lost cannot be repeated."""
    served: list[list[str]] = []

    def keeps_alive(connection: socket.socket, request: bytes) -> None:
        methods: list[str] = []
        served.append(methods)
        while request:
            methods.append(request.split(b" ", 1)[0].decode())
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")
            request = head(connection) if len(methods) < 3 else b""

    with raw_core(keeps_alive) as url:
        portal = Client(another(harbor_core_url=url).provider)
        sent = ["GET", "GET", "DELETE", *["GET"] * 20]
        for method in sent:
            assert portal.send(method, f"{API}/registries/4").status == 200
    assert sorted(method for each in served for method in each) == sorted(sent)
    assert [each for each in served if "DELETE" in each[1:]] == []
    # A connection becomes idle after the response, so the next request may be faster.
    assert len(served) < len(sent) * 2 // 3


def test_core_below_a_path(another: StartAdapter, core: ScriptedCore) -> None:
    portal = Client(another(harbor_core_url=f"{core.url}/prefix/").provider)
    core.returns(["harbor"])
    assert portal.get("/replication/adapters").json() == ["harbor", NAME]
    assert core.received[-1].target == f"/prefix{API}/replication/adapters"


@pytest.mark.parametrize(
    "target",
    [
        "/",
        API,
        f"{API}/",
        "/c/login",
        "/v2/x/manifests/sha256:0",
        "/service/token",
        "/api/internal/configurations",
        "/api/v2.0x/registries",
        f"{API}/../internal/configurations",
        f"{API}/%2e%2e/%2E%2E/c/login",
        f"{API}/x%2f..%2f..%2f../c/login",
        f"{API}//../../c/login?x={API}/registries",
        f"/v2/..{API}/registries",
        f"/v2/%2e%2e{API}/registries",
        f"http://core{API}/../../c/login",
        f"//core{API}/../../../c/login",
    ],
)
def test_only_paths_of_harbors_api_reach_core(target: str, portal: Client, core: ScriptedCore) -> None:
    for method, body in (("GET", None), ("POST", b"{}")):
        response = portal.send(method, target, body=body)
        assert (response.status, response.json()["errors"][0]["code"]) == (404, "NOT_FOUND")
        assert "the provider port serves only /api/v2.0/" in response.message()
    assert core.received == []
