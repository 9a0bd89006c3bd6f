"""The player: what it puts on the wire, and what it makes of a peer that answers otherwise than the recorded one."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pytest_httpserver import HTTPServer

from adapter.sandbox.player import BLOCK, Credentials, Player, Result, framed
from adapter.sandbox.recording import Exchange, load, parse
from adapter.sandbox.recordings import images, shipped
from adapter.sandbox.recordings.blobs import Blobs
from tests.credentials import ACCESS_ID, SECRET_KEY, basic
from tests.sandbox.peer import OK, Peer, peer
from tests.services import answers, free_ports

CONTRACT = Path(__file__).parent.parent / "recordings" / "harbor-2.15.2" / "contract"
RECORDED = ("eu-de@AKEXAMPLE0000000001", "SKexample0000000000000000000000000000001")


def exchange(number: int = 1, method: str = "GET", target: str = "/v2/", **request: Any) -> str:
    more = {"headers": [["Host", "{host}"]], "framing": None, "body": None, **request}
    document = {"n": number, "at_ms": 0, "took_ms": 0, "connection": request.pop("connection", 1)}
    answer = {"status": 200, "headers": [], "body": None}
    return json.dumps({**document, "request": {"method": method, "target": target, **more}, "response": answer})


def play(to: Peer, *lines: str, credentials: Credentials | None = None, timeout: float = 20.0) -> list[Result]:
    return Player(f"http://{to.host}", Blobs(()), credentials=credentials, timeout=timeout).play(parse(lines))


def answered(status: str, *headers: str, body: bytes = b"") -> bytes:
    rows = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "".join(f"{row}\r\n" for row in [*rows, ""]).encode() + body


def test_headers_as_recorded() -> None:
    """Six Accept lines stay six, in order and case; the host is the endpoint's, the credentials are filled in."""
    (recorded,) = (each for each in load(shipped("push-first")) if each.number == 7)
    with peer() as to:
        Player(f"http://{to.host}", Blobs(()), credentials={RECORDED: (ACCESS_ID, SECRET_KEY)}).play([recorded])
    oci, docker = "application/vnd.oci.image.{}.v1+json", "application/vnd.docker.distribution.manifest.{}"
    accepted = [oci.format("index"), docker.format("list.v2+json"), oci.format("manifest")]
    accepted += [docker.format("v2+json"), docker.format("v1+prettyjws"), docker.format("v1+json")]
    assert to.heads[0].split("\r\n") == [
        "HEAD /v2/fresh/hello/manifests/v2 HTTP/1.1",
        f"Host: {to.host}",
        "User-Agent: harbor-registry-client",
        *[f"Accept: {each}" for each in accepted],
        f"Authorization: {basic()}",
        "",
    ]


def test_credentials_as_recorded_unless_told() -> None:
    (recorded,) = (each for each in load(shipped("push-first")) if each.number == 1)
    with peer() as to:
        Player(f"http://{to.host}", Blobs(()), credentials={("other", "other"): ("x", "y")}).play([recorded])
    assert f"Authorization: Basic {base64.b64encode(':'.join(RECORDED).encode()).decode()}\r\n" in to.heads[0]


def test_one_connection_for_each_recorded_one() -> None:
    with peer() as to:
        play(to, exchange(1), exchange(2, connection=2), exchange(3, target="/again"))
    assert [len(connection) for connection in to.connections] == [2, 1]
    assert to.connections[0][1].startswith(b"GET /again ")


def test_connection_that_the_peer_closes_is_opened_again() -> None:
    with peer(lambda head, body: answered("200 OK", "Connection: close")) as to:
        results = play(to, exchange(1), exchange(2))
    assert [result.status for result in results] == [200, 200]
    assert len(to.connections) == 2


def test_kept_connection_that_dies_unannounced_is_tried_once_more() -> None:
    """The peer takes the second request and hangs up on it: Go sends such a request again."""
    dropped: list[bytes] = []

    def reply(head: bytes, body: bytes) -> bytes | None:
        if b"/second" not in head or dropped:
            return OK
        dropped.append(head)
        return None

    with peer(reply) as to:
        results = play(to, exchange(1), exchange(2, target="/second"), exchange(3))
    assert [result.status for result in results] == [200, 200, 200]
    assert [len(connection) for connection in to.connections] == [2, 2]


def test_idle_connection_that_the_peer_has_closed_gets_no_body() -> None:
    """A body cannot be sent again, so it must not go to a connection that is dead already."""
    headers = [["Host", "{host}"], ["Content-Length", "3"]]
    put = exchange(2, "PUT", headers=headers, framing="content-length", body={"text": "abc"})
    waited: list[bool] = []
    with peer() as to:
        player = Player(f"http://{to.host}", Blobs(()), on_exchange=lambda result: waited.append(to.gone.wait(20)))
        results = player.play(parse([exchange(1, target="/last"), put.replace('"/v2/"', '"/last"')]))
    assert [result.status for result in results] == [200, 200]
    assert to.bodies == [b"", b"abc"]


def test_body_with_its_length() -> None:
    headers = [["Host", "{host}"], ["Content-Length", "3"]]
    with peer() as to:
        play(to, exchange(1, "PUT", headers=headers, framing="content-length", body={"text": "abc"}))
    assert to.bodies == [b"abc"]


def test_chunks_of_the_size_go_makes() -> None:
    text = "x" * (2 * 32768 + 1)
    headers = [["Host", "{host}"], ["Transfer-Encoding", "chunked"]]
    with peer() as to:
        play(to, exchange(1, "PATCH", headers=headers, framing="chunked", body={"text": text}))
    assert to.bodies == [b"8000\r\n%b\r\n8000\r\n%b\r\n1\r\nx\r\n0\r\n\r\n" % (b"x" * 32768, b"x" * 32768)]


def test_empty_body_in_chunks() -> None:
    assert b"".join(framed(b"", "chunked")) == b"0\r\n\r\n"
    assert b"".join(framed(b"", "content-length")) == b""


def uploads(*follow: dict[str, Any]) -> list[str]:
    """A POST that starts an upload, and what follows."""
    first = exchange(1, "POST", "/v2/a/b/blobs/uploads/", headers=[["Content-Length", "0"]], framing="content-length")
    return [first, *(exchange(at, headers=[], **each) for at, each in enumerate(follow, start=2))]


PUT = {"method": "PUT", "target": "/old?_state=old&digest=sha256%3Aab", "follows": 1}
PATCH = {"method": "PATCH", "target": "/old?_state=old", "follows": 1}


def test_follows_the_location_it_got() -> None:
    given = {b"POST": "/v2/u/1?z=%2B&_state=a%3D%3D", b"PATCH": "http://{host}/v2/u/2?_state=b%3D"}

    def reply(head: bytes, body: bytes) -> bytes:
        location = given.get(head.split()[0], "/").replace("{host}", to.host)
        return answered("202 Accepted", f"Location: {location}")

    with peer(reply) as to:
        results = play(to, *uploads(PATCH, {**PUT, "follows": 2}))
    assert [result.target for result in results] == [
        "/v2/a/b/blobs/uploads/",
        "/v2/u/1?z=%2B&_state=a%3D%3D",  # a chunk goes to the Location as it is
        "/v2/u/2?_state=b%3D&digest=sha256%3Aab",
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answered("500 Oh"), "#1, whose Location it needs, was answered 500"),
        (answered("202 Accepted"), "#1 was answered without a Location"),
        (answered("202 Accepted", "Location: http://elsewhere/v2/u"), "the Location leads away from http://127.0.0.1:"),
        (answered("202 Accepted", "Location: v2/u"), "the Location is no path of the endpoint"),
        (answered("202 Accepted", "Location: http://[x/"), "the Location is no URL"),
        (None, "#1, whose Location it needs, was not answered"),
    ],
)
def test_what_harbor_could_not_send_is_skipped(answer: bytes | None, reason: str) -> None:
    with peer(lambda head, body: answer if head.startswith(b"POST") else OK) as to:
        _, put, after = play(to, *uploads(PUT), exchange(3))
    assert put.skipped is not None
    assert put.skipped.startswith(reason)
    assert (put.status, put.target) == (None, None)
    assert after.status == 200


LOOK_UP = "/api/v2.0/repositories?q=blob_digest=sha256:ab&page_size=1&page_number=1"
MOUNT = "/v2/landing/hello/blobs/uploads/?mount=sha256:ab&from=source/hello"


@pytest.mark.parametrize(
    ("named", "target"),
    [
        (b'[{"name":"a/b"}]', MOUNT.replace("source/hello", "a/b")),
        (b"[]", None),
        (b"[{}]", None),
        (b'{"errors":[]}', None),
        (b"nothing", None),
    ],
)
def test_mounts_from_where_this_peer_says(named: bytes, target: str | None) -> None:
    """Of two answers the later one counts, as it does for Harbor."""
    answers = [answered("200 OK", body=b'[{"name":"old/name"}]'), answered("200 OK", body=named)]
    with peer(lambda head, body: answers.pop(0) if b"blob_digest" in head else OK) as to:
        look_ups = [exchange(number, target=LOOK_UP) for number in (1, 2)]
        *_, mount = play(to, *look_ups, exchange(3, target="/v2/"), exchange(4, "POST", MOUNT))
    assert mount.target == target
    assert mount.skipped == (None if target else "no repository was named to mount from")


@pytest.mark.parametrize(
    ("headers", "target"),
    [(['Link: </list?page=1>; rel="prev" , </list?after=x>; rel="next"'], "/list?after=x"), ([], None)],
)
def test_goes_to_the_next_page_that_this_peer_names(headers: list[str], target: str | None) -> None:
    first = exchange(1, target="/list").replace(
        '"headers": []', '"headers": [["Link", "</list?page=2>; rel=\\"next\\""]]'
    )
    with peer(lambda head, body: answered("200 OK", *headers)) as to:
        *_, other, page = play(to, first, exchange(2, target="/list?page=3"), exchange(3, target="/list?page=2"))
    assert other.target == "/list?page=3"
    assert page.target == target
    assert page.skipped == (None if target else "#1 was answered without a next page")


def test_hangs_up_in_the_middle_of_an_answer() -> None:
    large = answered("200 OK", body=b"x" * 100_000)
    with peer(lambda head, body: large) as to:
        recording = parse([exchange(1, target="/large"), exchange(2, target="/again")])
        part, whole = Player(f"http://{to.host}", Blobs(()), read={1: 10}).play(recording)
    assert (part.status, part.body) == (200, b"x" * 10)
    assert len(whole.body) == 100_000
    assert [len(connection) for connection in to.connections] == [1, 1]


def test_body_that_no_image_has_is_skipped() -> None:
    body = {"length": 3, "sha256": "ab"}
    with peer() as to:
        (result,) = play(to, exchange(1, "PUT", headers=[["Content-Length", "3"]], framing="content-length", body=body))
    assert result.skipped == "no image has the body sha256:ab of 3 bytes"


def test_placeholder_that_nothing_is_known_for_is_skipped() -> None:
    with peer() as to:
        (result,) = play(to, exchange(1, headers=[["Authorization", "Bearer {token}"]]))
    assert result.skipped == "nothing to put for {token}"
    assert to.heads == []


def test_answer_before_the_end_of_the_body() -> None:
    """The rest of the body is not sent; the answer counts."""
    too_large = answered("413 Too Large", body=b"too large")
    text = "x" * (8 << 20)
    headers = [["Host", "{host}"], ["Content-Length", str(len(text))]]
    with peer(lambda head, body: too_large if b"PUT" in head else OK) as to:
        large = exchange(1, "PUT", headers=headers, framing="content-length", body={"text": text})
        put, after = play(to, large, exchange(2))
    assert (put.status, put.body) == (413, b"too large")
    assert after.status == 200


def test_silent_peer_is_an_error_not_an_exception() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        player = Player(f"http://127.0.0.1:{deaf.getsockname()[1]}", Blobs(()), timeout=0.1)
        (result,) = player.play(parse([exchange(1)]))
    assert (result.status, result.error) == (None, "TimeoutError: timed out")


def test_closed_port_is_an_error_not_an_exception() -> None:
    (port,) = free_ports(1)
    (result,) = Player(f"http://127.0.0.1:{port}", Blobs(())).play(parse([exchange(1)]))
    assert result.error is not None
    assert result.error.startswith("ConnectionRefusedError")


def test_answer_that_is_no_http_is_an_error_without_its_text() -> None:
    with peer(lambda head, body: b"SECRET\r\n\r\n") as to:
        (result,) = play(to, exchange(1))
    assert result.error == "BadStatusLine"


def test_nothing_secret_in_a_repr() -> None:
    with peer(lambda head, body: answered("202 Accepted", "Location: /v2/u?_state=SEALED")) as to:
        results = play(
            to, *uploads(PUT), exchange(3, headers=[["Authorization", f"Basic {{basic:{RECORDED[0]}:hidden}}"]])
        )
    text = repr(results)
    assert "_state" not in text
    assert "hidden" not in text
    assert results[1].status == 202


def test_tells_each_result_as_it_comes() -> None:
    told: list[tuple[Exchange, int | None]] = []
    with peer() as to:
        player = Player(
            f"http://{to.host}", Blobs(()), on_exchange=lambda each: told.append((each.exchange, each.status))
        )
        results = player.play(parse([exchange(1), exchange(2)]))
    assert told == [(result.exchange, 200) for result in results]


def test_over_tls() -> None:
    """A contract door with a certificate of its own; the session ticket that TLS 1.3 sends first is no early answer."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    headers = [["Host", "{host}"], ["Content-Length", "3"]]
    put = exchange(1, "PUT", headers=headers, framing="content-length", body={"text": "abc"})
    with HTTPServer("127.0.0.1", ssl_context=server, threaded=True) as peer_with_tls:
        peer_with_tls.expect_request("/v2/", method="PUT", data="abc").respond_with_data("well", status=201)
        url = peer_with_tls.url_for("").rstrip("/")
        (result,) = Player(url, Blobs(()), context=client).play(parse([put]))
        (untrusted,) = Player(url, Blobs(())).play(parse([put]))
    assert (result.status, result.body) == (201, b"well")
    assert untrusted.error is not None
    assert untrusted.error.startswith("SSLCertVerificationError")


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:80", "http://"])
def test_refuses_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(ValueError, match="not an endpoint"):
        Player(url, Blobs(()))


def test_block_is_go_s() -> None:
    assert BLOCK == 32768


@pytest.fixture
def docker_registry(tmp_path: Path) -> Iterator[str]:
    """A stock registry of the same family as the recorded peer: its URL."""
    (port,) = free_ports(1)
    config = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "data")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "only for this test"},
    }
    file = tmp_path / "config.yml"
    file.write_text(json.dumps(config))  # JSON is YAML
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", file], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 20
        while not answers(port, "/v2/"):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def test_speaks_the_protocol_of_a_stock_registry(docker_registry: str, blobs: Blobs) -> None:
    """Large blobs in one PUT and in chunks, an index and a list over shared layers: answered as Harbor was."""
    player = Player(docker_registry, blobs)
    for name in ("push-large", "push-by-chunk", "push-buildkit-index", "push-docker-list", "push-chart-and-empty"):
        for result in player.play(load(CONTRACT / f"{name}.jsonl")):
            request = result.exchange.request
            if request.path.startswith("/v2/") and request.path != "/v2/":
                assert result.status == result.exchange.answer.status, f"{name} {result}"
                wanted = result.exchange.answer.header("Docker-Content-Digest")
                assert result.header("Docker-Content-Digest") == wanted or request.method == "HEAD"
    pulled = exchange(1, target="/v2/fresh2-chunk/large/manifests/v1", headers=[["Host", "{host}"], ["Accept", "*/*"]])
    (manifest,) = player.play(parse([pulled.replace("*/*", images.DOCKER_MANIFEST)]))
    assert manifest.body == images.images()["large:v1"].manifest
