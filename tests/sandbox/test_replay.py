"""The replayer: what it sends, and how it handles a peer that responds differently from the recorded one."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from adapter.sandbox.recording import load, parse
from adapter.sandbox.recordings import shipped
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.replay import Replayer, Result
from tests.credentials import ACCESS_ID, SECRET_KEY, basic
from tests.sandbox.peer import OK, Peer, peer

RECORDED = ("eu-de@AKEXAMPLE0000000001", "SKexample0000000000000000000000000000001")


def exchange(number: int = 1, method: str = "GET", target: str = "/v2/", **request: Any) -> str:
    """A line of a recording."""
    connection = request.pop("connection", 1)
    more = {"headers": [["Host", "{host}"]], "framing": None, "body": None, **request}
    document = {"n": number, "at_ms": 0, "took_ms": 0, "connection": connection}
    response = {"status": 200, "headers": [], "body": None}
    return json.dumps({**document, "request": {"method": method, "target": target, **more}, "response": response})


def put(number: int, text: str, **request: Any) -> str:
    headers = [["Host", "{host}"], ["Content-Length", str(len(text))]]
    return exchange(number, "PUT", headers=headers, framing="content-length", body={"text": text}, **request)


def replay(to: Peer, *lines: str) -> list[Result]:
    return Replayer(f"http://{to.host}", Blobs(()), timeout=20).replay(parse(lines))


def response(status: str, *headers: str, body: bytes = b"") -> bytes:
    rows = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "".join(f"{row}\r\n" for row in [*rows, ""]).encode() + body


def test_sends_headers_in_recorded_order_with_own_credentials() -> None:
    """Six Accept lines stay six lines."""
    (recorded,) = (each for each in load(shipped("push-first")) if each.number == 7)
    with peer() as to:
        Replayer(f"http://{to.host}", Blobs(()), credentials={RECORDED: (ACCESS_ID, SECRET_KEY)}).replay([recorded])
    oci, docker = "application/vnd.oci.image.{}.v1+json", "application/vnd.docker.distribution.manifest.{}"
    accepted = [oci.format("index"), docker.format("list.v2+json"), oci.format("manifest")]
    accepted += [docker.format("v2+json"), docker.format("v1+prettyjws"), docker.format("v1+json")]
    assert to.heads[0].split("\r\n") == [
        "HEAD /v2/fresh/hello/manifests/v2 HTTP/1.1",
        f"Host: {to.host}",
        "User-Agent: harbor-registry-client",
        *(f"Accept: {accept}" for accept in accepted),
        f"Authorization: {basic()}",
        "",
    ]


def test_opens_one_connection_for_each_recorded_connection() -> None:
    with peer() as to:
        replay(to, exchange(1), exchange(2, connection=2), exchange(3, target="/again"))
    assert [len(connection) for connection in to.connections] == [2, 1]
    assert to.connections[0][1].startswith(b"GET /again ")


def test_retries_once_on_a_connection_that_the_peer_closed() -> None:
    """As Go does for a request without a body."""
    failed: list[bytes] = []

    def reply(head: bytes, body: bytes) -> bytes | None:
        if b"/second" not in head or failed:
            return OK
        failed.append(head)
        return None

    with peer(reply) as to:
        results = replay(to, exchange(1), exchange(2, target="/second"), exchange(3))
    assert [result.status for result in results] == [200, 200, 200]
    assert [len(connection) for connection in to.connections] == [2, 2]


def test_sends_no_body_on_an_idle_connection_that_the_peer_closed() -> None:
    closed: list[bool] = []
    with peer() as to:
        replayer = Replayer(f"http://{to.host}", Blobs(()), on_exchange=lambda _: closed.append(to.gone.wait(20)))
        results = replayer.replay(parse([exchange(1, target="/last"), put(2, "abc", target="/last")]))
    assert [result.status for result in results] == [200, 200]
    assert to.bodies == [b"", b"abc"]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("x" * 65537, b"8000\r\n%b\r\n8000\r\n%b\r\n1\r\nx\r\n0\r\n\r\n" % (b"x" * 32768, b"x" * 32768)),
        ("", b"0\r\n\r\n"),
    ],
)
def test_sends_chunks_of_the_size_that_go_sends(text: str, sent: bytes) -> None:
    headers = [["Host", "{host}"], ["Transfer-Encoding", "chunked"]]
    with peer() as to:
        replay(to, exchange(1, "PATCH", headers=headers, framing="chunked", body={"text": text}))
    assert to.bodies == [sent]


def uploads(*following: dict[str, Any]) -> list[str]:
    """A POST that starts an upload, and the requests after it."""
    first = exchange(1, "POST", "/v2/a/b/blobs/uploads/", headers=[["Content-Length", "0"]], framing="content-length")
    return [first, *(exchange(at, headers=[], **each) for at, each in enumerate(following, start=2))]


PUT = {"method": "PUT", "target": "/old?_state=old&digest=sha256%3Aab", "follows": 1}
PATCH = {"method": "PATCH", "target": "/old?_state=old", "follows": 1}


def test_follows_the_location_of_this_peer() -> None:
    """A chunk uses the Location as it is."""
    locations = {b"POST": "/v2/u/1?z=%2B&_state=a%3D%3D", b"PATCH": "http://{host}/v2/u/2?_state=b%3D"}

    def reply(head: bytes, body: bytes) -> bytes:
        location = locations.get(head.split()[0], "/").replace("{host}", to.host)
        return response("202 Accepted", f"Location: {location}")

    with peer(reply) as to:
        results = replay(to, *uploads(PATCH, {**PUT, "follows": 2}))
    assert [result.target for result in results[1:]] == [
        "/v2/u/1?z=%2B&_state=a%3D%3D",
        "/v2/u/2?_state=b%3D&digest=sha256%3Aab",
    ]
    assert "_state" not in repr(results)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (response("500 Oh"), "cannot send: #1 must return a Location first, but returned 500"),
        (None, "cannot send: #1 must return a Location first, but got no response"),
        (response("202 Accepted"), "#1 returned no Location"),
        (response("202 Accepted", "Location: http://elsewhere/v2/u"), "the Location points outside http://127.0.0.1:"),
        (response("202 Accepted", "Location: v2/u"), "the Location is not a path of the endpoint"),
        (response("202 Accepted", "Location: http://[x/"), "the Location is not a valid URL"),
    ],
)
def test_skips_a_request_that_harbor_could_not_send(first: bytes | None, reason: str) -> None:
    with peer(lambda head, body: first if head.startswith(b"POST") else OK) as to:
        _, skipped, after = replay(to, *uploads(PUT), exchange(3))
    assert (skipped.skipped or "").startswith(reason)
    assert (skipped.status, skipped.target, after.status) == (None, None, 200)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (exchange(1, headers=[["Authorization", "Bearer {token}"]]), "no value for the placeholder {token}"),
        (put(1, "abc").replace('{"text": "abc"}', '{"length": 3, "sha256": "ab"}'), "no image has the body sha256:ab"),
    ],
)
def test_skips_a_request_with_unknown_content(line: str, reason: str) -> None:
    with peer() as to:
        (result,) = replay(to, line)
    assert (result.skipped or "").startswith(reason)
    assert to.heads == []


SEARCH = "/api/v2.0/repositories?q=blob_digest=sha256:ab&page_size=1&page_number=1"
MOUNT = "/v2/landing/hello/blobs/uploads/?mount=sha256:ab&from=source/hello"


@pytest.mark.parametrize(
    ("found", "target"),
    [(b'[{"name":"a/b"}]', MOUNT.replace("source/hello", "a/b")), (b"[]", None), (b"[{}]", None), (b"nothing", None)],
)
def test_mounts_from_the_repository_that_this_peer_found_last(found: bytes, target: str | None) -> None:
    bodies = [b'[{"name":"old/name"}]', found]
    with peer(lambda head, body: response("200 OK", body=bodies.pop(0)) if b"blob_digest" in head else OK) as to:
        searches = [exchange(number, target=SEARCH) for number in (1, 2)]
        *_, mount = replay(to, *searches, exchange(3, target="/v2/"), exchange(4, "POST", MOUNT))
    assert mount.target == target
    assert mount.skipped == (None if target else "no repository given to mount from")


@pytest.mark.parametrize(
    ("headers", "target"),
    [(['Link: </list?page=1>; rel="prev" , </list?after=x>; rel="next"'], "/list?after=x"), ([], None)],
)
def test_requests_the_next_page_of_this_peer(headers: list[str], target: str | None) -> None:
    recorded = exchange(1, target="/list").replace(
        '"headers": []', '"headers": [["Link", "</list?page=2>; rel=\\"next\\""]]'
    )
    with peer(lambda head, body: response("200 OK", *headers)) as to:
        _, other, page = replay(to, recorded, exchange(2, target="/list?page=3"), exchange(3, target="/list?page=2"))
    assert (other.target, page.target) == ("/list?page=3", target)
    assert page.skipped == (None if target else "#1 returned no next page")


def test_disconnects_after_the_bytes_to_read() -> None:
    large = response("200 OK", body=b"x" * 100_000)
    with peer(lambda head, body: large) as to:
        recording = parse([exchange(1, target="/large"), exchange(2, target="/again")])
        part, complete = Replayer(f"http://{to.host}", Blobs(()), read={1: 10}).replay(recording)
    assert (part.status, part.body, len(complete.body)) == (200, b"x" * 10, 100_000)
    assert [len(connection) for connection in to.connections] == [1, 1]


def test_reports_failures_as_results_without_quoting_the_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        replayer = Replayer(f"http://127.0.0.1:{silent.getsockname()[1]}", Blobs(()), timeout=0.1)
        (result,) = replayer.replay(parse([exchange(1)]))
    assert (result.status, result.error) == (None, "TimeoutError: timed out")
    with peer(lambda head, body: b"SECRET\r\n\r\n") as to:
        (result,) = replay(to, exchange(1))
    assert result.error == "BadStatusLine"
