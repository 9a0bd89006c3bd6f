"""Requests that no portal sends, as bytes on a socket."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any

import pytest

from adapter.errors import InvalidRequest
from adapter.provider.core_client import CoreClient
from tests.provider.forms import created
from tests.provider.harness import API, BROWSER, NAME, PUBLIC_URL, Client, PlayedCore, stored
from tests.swr.scripted import Swr

SWR = b"https://swr.eu-nl.otc.t-systems.com"
WRITES = pytest.mark.parametrize(("method", "path"), [("PUT", "/registries/4"), ("POST", "/registries")])


def raw(portal: Client, request: bytes) -> bytes:
    """The whole answer to bytes that ask for the connection's end."""
    host, port = portal.host.split(":")
    with socket.create_connection((host, int(port)), 20) as client:
        client.sendall(request)
        answer = b""
        while block := client.recv(65536):
            answer += block
    return answer


@pytest.mark.parametrize("target", [b"/x\xc3\xa9", b"/x?q=\xc3\xa9", b"/x?q=\xe9", b"/x\x7f"])
def test_the_server_refuses_targets_that_are_not_percent_encoded(
    target: bytes, portal: Client, core: PlayedCore
) -> None:
    """docs/how-to.md says so: core alone takes them."""
    core.answers([])
    answer = raw(portal, b"GET %b%b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % (API.encode(), target))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert core.seen == []


@pytest.mark.parametrize("target", ["/é", "/x?q=é", "/a b", "/a\r\nX: y", ""])
def test_nor_would_core_be_sent_such_a_target(target: str) -> None:
    with pytest.raises(InvalidRequest, match="must be percent-encoded"):
        CoreClient("http://127.0.0.1:9", None).send("GET", target, [])


def test_headers_may_have_any_letters(portal: Client, core: PlayedCore) -> None:
    core.answers([])
    request = f"GET {API}/registries HTTP/1.1\r\nHost: h\r\nX-Name: caf\xe9\r\nConnection: close\r\n\r\n"
    assert raw(portal, request.encode("latin-1")).startswith(b"HTTP/1.1 200 ")
    assert core.seen[-1].header("X-Name") == "caf\xe9"


@pytest.mark.parametrize("last", ["sid=1", "a=b"])
def test_cookies_in_two_lines_are_cookies(last: str, portal: Client, core: PlayedCore) -> None:
    """As RFC 9113 section 8.2.3 joins them, which is how a proxy may have taken one line apart."""
    core.stores(stored())
    first = "a=b" if last == "sid=1" else "sid=1"
    lines = f"Host: h\r\nCookie: {first}\r\nX-Name: n\r\ncookie: {last}\r\nConnection: close"
    answer = raw(portal, f"GET {API}/registries/4 HTTP/1.1\r\n{lines}\r\n\r\n".encode())
    assert [seen.header("Cookie") for seen in core.seen] == [f"{first}; {last}"]
    assert core.seen[-1].header("X-Name") == "n"
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == NAME


@WRITES
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br, gzip"])
def test_a_compressed_body_is_not_passed_on_unseen(
    coding: str, method: str, path: str, portal: Client, core: PlayedCore
) -> None:
    core.stores(stored())
    body = gzip.compress(b'{"url":"%b"}' % SWR)
    got = portal.send(method, API + path, [*BROWSER, ("Content-Encoding", coding)], body)
    assert (got.status, core.seen) == (400, [])
    assert "without Content-Encoding" in got.message()


def test_elsewhere_a_compressed_body_passes(portal: Client, core: PlayedCore) -> None:
    core.answers({})
    portal.send("POST", f"{API}/replication/policies", [*BROWSER, ("Content-Encoding", "gzip")], b"\x1f\x8b")
    assert core.seen[-1].body == b"\x1f\x8b"


@pytest.mark.parametrize(
    "body",
    [
        b'{"url":null,"URL":null,"url":"SWR"}',
        b'{"URL":"http://other.example","url":"SWR","Url":null,"uRL":"SWR"}',
        b'{"url":"SWR","url":"SWR"}',
        b'{"u\\u0072l":"SWR"}',
        b'{"url":"SWR","type":7,"credential":"x","access_key":null}',
    ],
)
def test_of_repeated_names_the_last_counts_as_for_core(body: bytes, portal: Client, core: PlayedCore) -> None:
    core.stores(stored())
    portal.send("PUT", f"{API}/registries/4", body=body.replace(b"SWR", SWR))
    for each in core.writes:
        urls = [value for key, value in each.json().items() if key.lower() == "url"]
        assert urls == [PUBLIC_URL]


LENIENT = [
    b'{"x":"\xfc","url":"https:\\/\\/sw\\u0072.eu-nl.otc.t-systems.com"}',
    b'{"x":"\xfc","url":"https://SWR.\\u0045U-nl.otc.t-systems.com"}',
    b'{"x":"\xfc","access_secret":"*****"}',
    b'{"x":"\xfc","access_secret":"\\u002a****"}',
]


@WRITES
@pytest.mark.parametrize("body", LENIENT)
def test_what_only_core_could_read_is_not_stored_in_disguise(
    body: bytes, method: str, path: str, portal: Client, core: PlayedCore
) -> None:
    core.stores(stored())
    got = portal.send(method, API + path, body=body)
    assert (got.status, core.writes) == (400, [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_are_no_documents(encoding: str, portal: Client, core: PlayedCore) -> None:
    """Core takes them for none either; what it cannot read it cannot store."""
    core.stores(stored())
    body = json.dumps({"description": "x"}).encode(encoding)
    portal.send("PUT", f"{API}/registries/4", body=body)
    assert core.writes[-1].body == body
    got = portal.send("PUT", f"{API}/registries/4", body=json.dumps({"url": SWR.decode()}).encode(encoding))
    assert got.status == (400 if encoding == "utf-8-sig" else 200)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "https://user:word@swr.eu-nl.otc.t-systems.com@evil.example"}, "evil.example is no SWR host"),
        ({"url": "https://ѕwr.eu-de.otc.t-systems.com"}, "is no SWR host"),
        ({"url": "https://swr。eu-de.otc.t-systems.com"}, "is no SWR host"),
        ({"url": "https://swr.eu-nl.otc.t-systems.com:99999"}, "is no URL"),
        ({"url": "https://swr.eu-nl.otc.t-systems.com:0"}, "is no URL"),
        ({"url": "https://swr.eu-nl.otc.t-systems.com\\@evil.example"}, "is no SWR host"),
        ({"url": "https://\ud800.example"}, "is no SWR host"),
        ({"url": {"a": 1}}, "url must be text"),
        ({"access_secret": " ***** "}, "the Access Secret is empty"),
        ({"credential": {"access_key": "", "access_secret": "x"}}, "an Access Secret without Access ID"),
        ({"credential": "text"}, "no credentials"),
        ({"credential": None}, "no credentials"),
    ],
)
def test_odd_forms_are_refused(change: dict[str, Any], says: str, portal: Client, core: PlayedCore) -> None:
    core.stores()
    got = portal.write("POST", "/registries", created(**{"url": SWR.decode(), **change}))
    assert (got.status, core.seen) == (400, [])
    assert says in got.message()
    assert "word" not in got.message()


def test_credentials_count_where_core_reads_them(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    """Nested in a new endpoint, flat in a ping and in an edit; elsewhere core drops them."""
    core.stores(stored())
    nested = created(url=scripted_swr.url)
    flat = {**nested["credential"], **nested, "credential": None}
    for path, document in (("/registries", flat), ("/registries/ping", nested)):
        got = portal.write("POST", path, document)
        assert (got.status, core.seen) == (400, [])
        assert "no credentials" in got.message()
    portal.write("PUT", "/registries/4", {"url": scripted_swr.url, "credential": nested["credential"]})
    assert core.writes[-1].json() == {"url": PUBLIC_URL, "credential": nested["credential"]}


def test_a_type_alone_and_a_ping_of_nothing_stored(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    core.stores(stored(), stored(3, url="http://other.example", type="docker-registry"))
    portal.write("PUT", "/registries/4", {"type": NAME})
    assert core.writes[-1].json() == {"type": "harbor"}
    portal.write("PUT", "/registries/3", {"type": NAME})
    assert core.writes[-1].json() == {"type": NAME}
    for number in (0, -1, None, "4", 4.0, True):
        portal.write("POST", "/registries/ping", {"id": number, "url": scripted_swr.url})
        assert core.writes[-1].json() == {"id": number, "url": scripted_swr.url}


@pytest.mark.parametrize("path", ["/registries", "/registries/4", "/registries/4/info", "/projects/1/summary"])
def test_head_passes(path: str, portal: Client, core: PlayedCore) -> None:
    core.answers(stored())
    got = portal.send("HEAD", API + path)
    assert (got.status, got.body, [seen.method for seen in core.seen]) == (200, b"", ["HEAD"])


@pytest.mark.parametrize("headers", ["Transfer-Encoding: chunked\r\nContent-Length: 2", "Transfer-Encoding: gzip"])
def test_ambiguous_framing_never_reaches_core(headers: str, portal: Client, core: PlayedCore) -> None:
    core.answers({})
    answer = raw(
        portal, f"PUT {API}/registries/4 HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode()
    )
    assert answer.split(b" ")[1][:1] in (b"4", b"5")
    assert core.seen == []
