"""Everything that the door has no business with is the same on both sides."""

from __future__ import annotations

import gzip
import http.client
import socket

import pytest

from tests.conftest import StartAdapter
from tests.credentials import basic
from tests.provider.harness import API, BROWSER, NAME, SCRIPT, Client, PlayedCore, reply, same_names, stored
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
ANSWERED = [
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


@ROUTES
@pytest.mark.parametrize("header", SENT, ids=[name for name, _ in SENT])
def test_a_requests_header(
    header: tuple[str, str], method: str, path: str, body: bytes | None, portal: Client, core: PlayedCore
) -> None:
    core.answers([])
    portal.send(method, path, SENT, body)
    assert core.seen[-1].header(header[0]) == header[1]


@ROUTES
def test_no_header_is_added(method: str, path: str, body: bytes | None, portal: Client, core: PlayedCore) -> None:
    core.answers([])
    portal.send(method, path, SENT, body)
    assert same_names(core.seen[-1].headers, "content-length") == same_names(SENT)


@ROUTES
@pytest.mark.parametrize("status", [200, 201, 403, 500])
@pytest.mark.parametrize("name", dict(ANSWERED))
def test_an_answers_header(
    name: str, status: int, method: str, path: str, body: bytes | None, portal: Client, core: PlayedCore
) -> None:
    core.answers([stored(4)], status, ANSWERED)
    got = portal.send(method, path, SENT, body)
    assert got.status == status
    assert [value for key, value in got.headers if key == name] == [value for key, value in ANSWERED if key == name]


def test_the_id_of_a_request_is_told_where_core_tells_none(portal: Client, core: PlayedCore) -> None:
    core.answers({})
    assert portal.send("GET", f"{API}/registries", SENT).header("X-Request-Id") == "client-chose-this"


@pytest.mark.parametrize("path", [f"{API}/registries", f"{API}/systeminfo", f"{API}//x/"])
@pytest.mark.parametrize("query", ["?", "?q=a%2fb%2F+c{d}&&x==", "?'\"<>|\\^`"])
def test_the_query_string(path: str, query: str, portal: Client, core: PlayedCore) -> None:
    core.answers([])
    connection = http.client.HTTPConnection(portal.host, timeout=20)
    connection.connect()
    connection.sock.sendall(f"GET {path}{query} HTTP/1.1\r\nHost: h\r\nCookie: sid=1\r\n\r\n".encode("latin-1"))
    response = http.client.HTTPResponse(connection.sock)
    response.begin()
    response.close()
    connection.close()
    assert response.status == 200
    assert core.seen[-1].target == path + query


@pytest.mark.parametrize(
    "path",
    [
        f"{API}//../v2.0/./c/",
        f"{API}/projects/a%252Fb/x%2fy",
        f"{API}/c%6Fre/%20",
        "/api/v2%2e0/x",
        f"{API}/x:y",
    ],
)
def test_the_path(path: str, portal: Client, core: PlayedCore) -> None:
    core.answers([])
    portal.send("GET", path)
    assert core.seen[-1].target == path


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_and_body(method: str, portal: Client, core: PlayedCore) -> None:
    core.plays(lambda _: reply(b"\0answer\xff", 207, [("Content-Type", "x/y"), ("ETag", '"1"')]))
    got = portal.send(method, "/api/v2.0/other", [*SCRIPT, ("Content-Type", "a/b")], b"\0body\xff")
    assert (core.seen[-1].method, core.seen[-1].body, core.seen[-1].header("Content-Type")) == (
        method,
        b"\0body\xff",
        "a/b",
    )
    assert (got.status, got.header("Content-Type"), got.header("ETag")) == (207, "x/y", '"1"')
    assert got.body == (b"" if method == "HEAD" else b"\0answer\xff")
    assert got.header("Content-Length") == "8"


@pytest.mark.parametrize("status", [204, 304, 302, 404, 418])
def test_any_status(status: int, portal: Client, core: PlayedCore) -> None:
    body = b"" if status in (204, 304) else b"text"
    core.plays(lambda _: reply(body, status, [("Location", "/elsewhere")]))
    got = portal.send("GET", f"{API}/registries")
    assert (got.status, got.header("Location"), got.body) == (status, "/elsewhere", body)
    assert len(core.seen) == 1


def test_no_content_type_is_invented(portal: Client, core: PlayedCore) -> None:
    core.answers(b"x")
    assert portal.send("GET", f"{API}/x").header("Content-Type") is None


def test_headers_of_one_hop_stay_there(portal: Client, core: PlayedCore) -> None:
    core.answers({}, headers=[("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic")])
    hop = [
        ("Connection", "close, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "1"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "x"),
    ]
    got = portal.send("GET", f"{API}/registries", [*BROWSER, *hop, ("X-Stays", "1")])
    assert same_names(core.seen[-1].headers) == same_names([*BROWSER, ("X-Stays", "1")])
    assert got.header("Keep-Alive") is None
    assert got.header("Proxy-Authenticate") is None


def test_core_may_compress_only_what_is_not_translated(portal: Client, core: PlayedCore) -> None:
    core.answers([])
    for path, wanted in ((f"{API}/registries", None), (f"{API}/systeminfo", "gzip")):
        portal.send("GET", path, [*BROWSER, ("Accept-Encoding", "gzip")])
        assert core.seen[-1].header("Accept-Encoding") == wanted


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(b'["harbor"]'), [("Content-Type", "application/json"), ("Content-Encoding", "gzip")]),
        (b"<html>", [("Content-Type", "text/html")]),
        (b'["harbor"]', [("Content-Type", "text/plain")]),
        (b'["harbor"]', []),
        (b'["harbor"', [("Content-Type", "application/json")]),
        (b"\xff\xfe", [("Content-Type", "application/json")]),
        (b"[" * 100_000, [("Content-Type", "application/json")]),
        (b'{"harbor":1}', [("Content-Type", "application/json")]),
        (b"", [("Content-Type", "application/json")]),
    ],
    ids=["gzip", "html", "text", "unnamed", "half", "binary", "deep", "object", "nothing"],
)
def test_what_is_not_understood_passes(
    body: bytes, headers: list[tuple[str, str]], portal: Client, core: PlayedCore
) -> None:
    core.answers(body, headers=headers)
    got = portal.get("/replication/adapters")
    assert (got.status, got.body) == (200, body)
    assert got.header("Content-Encoding") == dict(headers).get("Content-Encoding")


@pytest.mark.parametrize("status", [201, 206, 400, 401, 404, 500, 503])
def test_other_answers_than_200_pass(status: int, portal: Client, core: PlayedCore) -> None:
    core.answers(["harbor"], status)
    got = portal.get("/replication/adapters")
    assert (got.status, got.json()) == (status, ["harbor"])


def test_a_chunked_body_passes_in_chunks(portal: Client, core: PlayedCore) -> None:
    core.answers({})
    connection = http.client.HTTPConnection(portal.host, timeout=20)
    connection.request("POST", f"{API}/x", iter([b"one", b"two" * 50_000]), {"Cookie": "sid=1"}, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert core.seen[-1].body == b"one" + b"two" * 50_000
    assert core.seen[-1].header("Transfer-Encoding") == "chunked"


def test_a_chunked_document_is_translated_too(portal: Client, core: PlayedCore) -> None:
    core.stores(stored(4))
    connection = http.client.HTTPConnection(portal.host, timeout=20)
    parts = iter([b'{"access_', b'secret":"*****"}'])
    connection.request("PUT", f"{API}/registries/4", parts, {"Cookie": "sid=1"}, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert (core.seen[-1].body, core.seen[-1].header("Content-Length")) == (b"{}", "2")


def test_an_answer_in_chunks_is_translated_or_passes(another: StartAdapter) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b'5\r\n["har\r\n5\r\nbor"]\r\n0\r\n\r\n'
    with raw_core(lambda connection, _: connection.sendall(chunked)) as url:
        portal = Client(another(harbor_core_url=url).provider)
        assert portal.get("/replication/adapters").json() == ["harbor", NAME]
        assert portal.get("/replication/adapters", SCRIPT).json() == ["harbor"]


def test_reading_uses_a_connection_again_and_storing_never(another: StartAdapter) -> None:
    """Nor is a request repeated that core may have taken: a kept connection that died costs a GET nothing."""
    seen: list[list[str]] = []

    def keeps_alive(connection: socket.socket, request: bytes) -> None:
        served: list[str] = []
        seen.append(served)
        while request:
            served.append(request.split(b" ", 1)[0].decode())
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")
            request = head(connection) if len(served) < 3 else b""

    with raw_core(keeps_alive) as url:
        portal = Client(another(harbor_core_url=url).provider)
        methods = ["GET", "GET", "DELETE", *["GET"] * 20]
        for method in methods:
            assert portal.send(method, f"{API}/registries/4").status == 200
    assert sorted(method for each in seen for method in each) == sorted(methods)
    assert [each for each in seen if "DELETE" in each[1:]] == []
    # A connection is given back after the answer, so the next request may come first.
    assert len(seen) < len(methods) * 2 // 3


def test_a_path_before_harbor(another: StartAdapter, core: PlayedCore) -> None:
    portal = Client(another(harbor_core_url=f"{core.url}/prefix/").provider)
    core.answers(["harbor"])
    assert portal.get("/replication/adapters").json() == ["harbor", NAME]
    assert core.seen[-1].target == f"/prefix{API}/replication/adapters"


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
        f"/c/login/../..{API}/registries",
        f"/v2/%2e%2e{API}/registries",
        f"http://core{API}/../../c/login",
        f"//core{API}/../../../c/login",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_only_harbors_api_is_forwarded(target: str, method: str, portal: Client, core: PlayedCore) -> None:
    core.answers({})
    got = portal.send(method, target, body=b"{}" if method == "POST" else None)
    assert got.status == 404
    if method != "HEAD":
        assert "/api/v2.0/ only" in got.message()
        assert got.json()["errors"][0]["code"] == "NOT_FOUND"
    assert core.seen == []
