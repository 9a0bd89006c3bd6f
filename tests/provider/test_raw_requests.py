"""Requests that no portal sends, as bytes on a socket."""

from __future__ import annotations

import gzip
import json
import socket

import pytest

from adapter.errors import InvalidRequest
from adapter.provider.core_client import CoreClient
from tests.provider.harness import API, BROWSER, NAME, PUBLIC_URL, Client, ScriptedCore, stored

SWR = b"https://swr.eu-nl.otc.t-systems.com"
WRITES = pytest.mark.parametrize(("method", "path"), [("PUT", "/registries/4"), ("POST", "/registries")])


def raw(portal: Client, request: bytes) -> bytes:
    """The whole response, up to the end of the connection."""
    with socket.create_connection(portal.address, 20) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("target", ["/é", "/x?q=é", "/a b", "/a\r\nX: y", ""])
def test_unencoded_target_is_rejected_by_the_client_of_core(target: str) -> None:
    with pytest.raises(InvalidRequest, match="percent-encode"):
        CoreClient("http://127.0.0.1:9", None).send("GET", target, [])


@pytest.mark.parametrize("last", ["sid=1", "a=b"])
def test_two_cookie_headers_are_joined(last: str, portal: Client, core: ScriptedCore) -> None:
    """As RFC 9113 section 8.2.3 says. Values of other headers may have any letters."""
    core.stores(stored())
    first = "a=b" if last == "sid=1" else "sid=1"
    lines = f"Host: h\r\nCookie: {first}\r\nX-Name: caf\xe9\r\ncookie: {last}\r\nConnection: close"
    response = raw(portal, f"GET {API}/registries/4 HTTP/1.1\r\n{lines}\r\n\r\n".encode("latin-1"))
    [request] = core.received
    assert (request.header("Cookie"), request.header("X-Name")) == (f"{first}; {last}", "caf\xe9")
    assert json.loads(response.partition(b"\r\n\r\n")[2])["type"] == NAME


@WRITES
@pytest.mark.parametrize("coding", ["gzip", "br, GZIP"])
def test_compressed_body_is_rejected(coding: str, method: str, path: str, portal: Client, core: ScriptedCore) -> None:
    core.stores(stored())
    body = gzip.compress(b'{"url":"%b"}' % SWR)
    response = portal.send(method, API + path, [*BROWSER, ("Content-Encoding", coding)], body)
    assert (response.status, core.received) == (400, [])
    assert "without Content-Encoding" in response.message()
    # The body was not read, so it would look like the next request.
    assert response.header("Connection") == "close"


def test_compressed_body_of_a_rule_passes(portal: Client, core: ScriptedCore) -> None:
    core.returns({})
    portal.send("POST", f"{API}/replication/policies", [*BROWSER, ("Content-Encoding", "gzip")], b"\x1f\x8b")
    assert core.received[-1].body == b"\x1f\x8b"


@pytest.mark.parametrize(
    "body",
    [
        b'{"URL":"http://other.example","url":"SWR","Url":null,"uRL":"SWR"}',
        b'{"url":"http://other.example","url":"SWR"}',
        b'{"u\\u0072l":"SWR"}',
        b'{"url":"SWR","type":7,"credential":"x","access_key":null}',
    ],
)
def test_last_of_repeated_fields_counts_as_for_core(body: bytes, portal: Client, core: ScriptedCore) -> None:
    core.stores(stored(access_id="eu-nl@AK"))
    assert portal.send("PUT", f"{API}/registries/4", body=body.replace(b"SWR", SWR)).status == 200
    [write] = core.writes
    assert [value for key, value in write.json().items() if key.lower() == "url"] == [PUBLIC_URL]


@WRITES
@pytest.mark.parametrize(
    "body",
    [
        b'{"url":"SWR"} x',
        b'{"url":"SWR","x":' + b"9" * 5000 + b"}",
        b'{"x":"\xfc","url":"https:\\/\\/sw\\u0072.eu-nl.otc.t-systems.com"}',
        b'{"x":"\xfc","url":"https://SWR.\\u0045U-nl.otc.t-systems.com"}',
        b'{"x":"\xfc","access_secret":"\\u002a****"}',
    ],
)
def test_body_that_only_core_accepts_does_not_store_the_swr_url(
    body: bytes, method: str, path: str, portal: Client, core: ScriptedCore
) -> None:
    core.stores(stored())
    response = portal.send(method, API + path, body=body.replace(b'"SWR"', b'"' + SWR + b'"'))
    assert (response.status, core.writes) == (400, [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_body_in_another_encoding_passes_unless_it_has_the_swr_url(
    encoding: str, portal: Client, core: ScriptedCore
) -> None:
    """Core does not accept it either."""
    core.stores(stored())
    body = json.dumps({"description": "x"}).encode(encoding)
    portal.send("PUT", f"{API}/registries/4", body=body)
    assert core.writes[-1].body == body
    response = portal.send("PUT", f"{API}/registries/4", body=json.dumps({"url": SWR.decode()}).encode(encoding))
    assert response.status == (400 if encoding == "utf-8-sig" else 200)


@pytest.mark.parametrize("headers", ["Transfer-Encoding: chunked\r\nContent-Length: 2", "Transfer-Encoding: gzip"])
def test_ambiguous_framing_never_reaches_core(headers: str, portal: Client, core: ScriptedCore) -> None:
    request = f"PUT {API}/registries/4 HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    assert raw(portal, request.encode()).split(b" ")[1][:1] in (b"4", b"5")
    assert core.received == []


def test_incomplete_body_is_rejected(portal: Client, core: ScriptedCore) -> None:
    core.stores()
    with socket.create_connection(portal.address) as client:
        client.sendall(f"POST {API}/registries HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n{{}}".encode())
        client.shutdown(socket.SHUT_WR)
        assert b" 400 " in client.recv(65536).split(b"\r\n")[0]
    assert core.received == []


@pytest.mark.parametrize(("method", "path"), [("POST", "/registries/ping"), ("PUT", "/registries/4")])
def test_body_of_more_than_a_mebibyte_is_rejected(method: str, path: str, portal: Client, core: ScriptedCore) -> None:
    core.stores()
    response = portal.write(method, path, {"url": SWR.decode(), "description": "x" * (1 << 20)})
    assert (response.status, core.received) == (413, [])
    assert "an endpoint definition" in response.message()
