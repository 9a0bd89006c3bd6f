"""Core down, slow, or answering nonsense: the portal gets core's own answer or a reason, and nothing hangs."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from flask.testing import FlaskClient
from pytest_httpserver import HTTPServer
from werkzeug import Response

from adapter.provider import core_client as core_module
from adapter.provider.app import create_provider_app
from adapter.provider.core_client import CoreClient
from adapter.settings import Settings
from adapter.swr.client import SwrClient
from tests.conftest import StartAdapter
from tests.contract.http import eventually
from tests.provider.harness import API, NAME, PUBLIC_URL, SCRIPT, Client, PlayedCore
from tests.provider.rawcore import Behaviour, raw_core, says
from tests.services import free_ports

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PATHS = pytest.mark.parametrize("path", [f"{API}/replication/adapters", f"{API}/systeminfo"], ids=["read", "passed"])


InFrontOf = Callable[..., FlaskClient]
SOON = {"connect": 0.5, "answer": 0.5}


@pytest.fixture
def in_front_of() -> Iterator[InFrontOf]:
    """The application with a core that has so many seconds for the connection, and to answer.

    `in_front_of(url, **settings)`; with `**SOON` half a second for each.
    """
    with contextlib.ExitStack() as stack:

        def start(url: str, answer: float = 20.0, connect: float = 5.0, **settings: Any) -> FlaskClient:
            chosen = Settings(public_url=PUBLIC_URL, harbor_core_url=url, **settings)
            core = CoreClient(url, chosen.core_ca_bundle, connect=connect, answer=answer)
            stack.callback(core.close)
            client = create_provider_app(chosen, SwrClient.build(chosen), core).test_client()
            client.set_cookie("sid", "1")
            return client

        yield start


def message(response: Any) -> str:
    return str(json.loads(response.data)["errors"][0]["message"])


@PATHS
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_core_is_down(path: str, method: str, in_front_of: InFrontOf) -> None:
    response = in_front_of(f"http://127.0.0.1:{free_ports(1)[0]}").open(path, method=method)
    assert response.status_code == 502
    assert message(response) == "Harbor's core cannot be reached: Connection refused"


def test_core_has_no_address(in_front_of: InFrontOf) -> None:
    response = in_front_of("http://nowhere.invalid").get(f"{API}/x")
    assert response.status_code == 502
    assert "cannot be reached" in message(response)


def test_core_has_a_name_that_cannot_be_one(in_front_of: InFrontOf) -> None:
    response = in_front_of(f"http://{'a' * 70}.example").get(f"{API}/x")
    assert (response.status_code, message(response)) == (
        502,
        "Harbor's core cannot be reached: its name is no host name",
    )


def silent(connection: socket.socket, _: bytes) -> None:
    connection.recv(1)


def trickles(answer: bytes) -> Behaviour:
    """Each byte comes in time, all of them far too late."""

    def behave(connection: socket.socket, _: bytes) -> None:
        for at in range(len(answer)):
            connection.sendall(answer[at : at + 1])
            time.sleep(0.05)

    return behave


SLOW = JSON + b'Content-Length: 10\r\n\r\n["harbor"]'


@PATHS
@pytest.mark.parametrize("behaviour", [silent, trickles(SLOW)], ids=["silent", "trickles"])
def test_core_is_slow(behaviour: Behaviour, path: str, in_front_of: InFrontOf) -> None:
    with raw_core(behaviour) as url:
        response = in_front_of(url, **SOON).get(path, buffered=True)
    assert response.status_code == 502
    assert message(response) == "Harbor's core did not answer in time"


def test_the_body_of_a_document_has_to_be_there_in_time_too(in_front_of: InFrontOf) -> None:
    begun = JSON + b"Content-Length: 33\r\n\r\n"

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(begun)
        trickles(b'["harbor"] ' * 3)(connection, request)

    with raw_core(behave) as url:
        response = in_front_of(url, **SOON).get(f"{API}/replication/adapters", buffered=True)
    assert response.status_code == 502


def test_a_long_answer_that_passes_may_take_its_time(in_front_of: InFrontOf) -> None:
    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(JSON + b"Content-Length: 50\r\n\r\n")
        trickles(long)(connection, request)

    long = b'["harbor"]'.ljust(50)
    with raw_core(behave) as url:
        assert in_front_of(url, connect=0.5, answer=1.0).get(f"{API}/systeminfo", buffered=True).data == long


@pytest.mark.parametrize(
    "answer",
    [
        JSON + b'Content-Length: 100\r\n\r\n["harbor"]',
        JSON + b'Transfer-Encoding: chunked\r\n\r\n5\r\n["har\r\n',
        JSON + b'Transfer-Encoding: chunked\r\n\r\nxyz\r\n["har\r\n',
    ],
    ids=["length", "chunks", "chunk size"],
)
def test_half_a_document(answer: bytes, another: StartAdapter) -> None:
    with raw_core(says(answer)) as url:
        portal = Client(another(harbor_core_url=url).provider)
        got = portal.get("/replication/adapters")
        assert got.status == 502
        assert "makes no sense" in got.message()
        # What passes may have begun already: its end must not look like one then.
        with contextlib.suppress(http.client.IncompleteRead):
            assert portal.get("/replication/adapters", SCRIPT).status == 502


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", JSON * 200])
def test_no_http_at_all(answer: bytes, in_front_of: InFrontOf) -> None:
    with raw_core(says(answer)) as url:
        response = in_front_of(url).get(f"{API}/replication/adapters", buffered=True)
    assert response.status_code == 502
    assert message(response).startswith("Harbor's core") or message(response).startswith("the answer of Harbor's core")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\n",
        JSON,
        JSON + b"Content-Le",
        JSON + b"Content-Length: 0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_headers_that_break_off_are_no_answer(method: str, answer: bytes, in_front_of: InFrontOf) -> None:
    """Without a length, the end of the connection would be the end of an empty body."""
    with raw_core(says(answer)) as url:
        response = in_front_of(url).open(f"{API}/registries/4", method=method, buffered=True)
    assert response.status_code == 502
    if method != "HEAD":
        assert message(response) == "the answer of Harbor's core makes no sense: IncompleteRead"


def test_headers_may_end_without_carriage_returns(in_front_of: InFrontOf) -> None:
    with raw_core(says(b"HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 2\n\n[]")) as url:
        assert in_front_of(url).get(f"{API}/replication/adapters", buffered=True).json == [NAME]


def test_a_stored_connection_that_died_is_replaced_for_reading(in_front_of: InFrontOf) -> None:
    calls: list[bytes] = []

    def one_answer(connection: socket.socket, request: bytes) -> None:
        calls.append(request)
        connection.sendall(JSON + b"Content-Length: 2\r\n\r\n[]")
        # The next request is taken and never answered.
        connection.recv(65536)

    with raw_core(one_answer) as url:
        client = in_front_of(url)
        assert [client.get(f"{API}/x", buffered=True).status_code for _ in range(3)] == [200, 200, 200]
    assert len(calls) == 3


def test_storing_is_never_repeated(in_front_of: InFrontOf) -> None:
    calls: list[bytes] = []

    def takes_it_and_dies(connection: socket.socket, request: bytes) -> None:
        calls.append(request)

    with raw_core(takes_it_and_dies) as url:
        assert in_front_of(url).put(f"{API}/registries/4", data=b'{"name":"x"}').status_code == 502
    assert len(calls) == 1


def test_an_answer_before_the_end_of_a_body_is_the_answer(another: StartAdapter) -> None:
    early = b"HTTP/1.1 413 No\r\nContent-Length: 4\r\n\r\nmuch"
    with raw_core(says(early)) as url:
        portal = Client(another(harbor_core_url=url).provider)
        got = portal.send("POST", f"{API}/x", body=bytes(64 << 10))
    assert (got.status, got.body) == (413, b"much")


def test_a_body_that_breaks_off_is_not_stored(portal: Client, core: PlayedCore) -> None:
    core.stores()
    with socket.create_connection(portal.host.split(":")) as client:  # type: ignore[arg-type]
        client.sendall(f"POST {API}/registries HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n{{}}".encode())
        client.shutdown(socket.SHUT_WR)
        assert b" 400 " in client.recv(65536).split(b"\r\n")[0]
    assert core.seen == []


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/registries"), ("POST", "/registries/ping"), ("PUT", "/registries/4")]
)
def test_a_change_too_large_to_look_into_is_not_passed_on_unseen(
    method: str, path: str, portal: Client, core: PlayedCore
) -> None:
    """It might store SWR's own URL."""
    core.stores()
    document = {"url": "https://swr.eu-de.otc.t-systems.com", "description": "x" * (1 << 20)}
    got = portal.write(method, path, document)
    assert got.status == 413
    assert "at most" in got.message()
    assert core.seen == []


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_core(authority: trustme.CA) -> Iterator[str]:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(ssl_context=context) as server:
        server.expect_request(f"{API}/replication/adapters").respond_with_handler(
            lambda _: Response('["harbor"]', content_type="application/json")
        )
        yield server.url_for("").rstrip("/")


def test_core_over_tls(tls_core: str, authority: trustme.CA, tmp_path: Path, in_front_of: InFrontOf) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    client = in_front_of(tls_core, core_ca_bundle=bundle)
    assert [client.get(f"{API}/replication/adapters", buffered=True).json for _ in range(2)] == [["harbor", NAME]] * 2


def test_a_certificate_that_nobody_trusts(tls_core: str, in_front_of: InFrontOf) -> None:
    response = in_front_of(tls_core).get(f"{API}/replication/adapters", buffered=True)
    assert response.status_code == 502
    assert "SWR_ADAPTER_CORE_CA_BUNDLE" in message(response)


def test_a_defect_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, in_front_of: InFrontOf
) -> None:
    monkeypatch.setattr("adapter.provider.handler.Handler.answer", lambda *_: 1 / 0)
    response = in_front_of("http://127.0.0.1:9").get(f"{API}/x")
    assert (response.status_code, message(response)) == (500, "the provider door failed; its log has the details")
    assert "ZeroDivisionError" in caplog.text


def test_a_connection_that_core_has_ended_is_closed_without_traffic(
    in_front_of: InFrontOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when no page is opened for hours: it would stay in CLOSE_WAIT."""
    monkeypatch.setattr(core_module, "_CHECKED", 0.1)
    with raw_core(says(JSON + b"Content-Length: 2\r\n\r\n{}")) as url:
        core = CoreClient(url, None)
        answer = core.send("GET", "/x", [])
        answer.whole(100)
        answer.close()
        eventually(lambda: not core._idle)
