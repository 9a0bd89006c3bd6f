"""Harbor core is down, slow, or sends what no web server sends: the client gets its response or a reason."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pytest_httpserver import HTTPServer

from adapter.provider import core_client, endpoint_lookup
from adapter.provider.core_client import CoreClient
from tests.conftest import StartAdapter
from tests.contract.http import eventually
from tests.credentials import ACCESS_ID
from tests.docker.nginx import core_tls, internal_tls_files
from tests.provider.conftest import InFrontOf
from tests.provider.harness import API, NAME, PUBLIC_URL, SCRIPT, Client, ScriptedCore
from tests.provider.rawcore import Behavior, raw_core, sends
from tests.services import free_ports

OK = b"HTTP/1.1 200 OK\r\n"
JSON = OK + b"Content-Type: application/json\r\n"
EMPTY_LIST = b"Content-Length: 2\r\n\r\n[]"
TRANSLATED, PASSED = f"{API}/replication/adapters", f"{API}/systeminfo"
PATHS = pytest.mark.parametrize("path", [TRANSLATED, PASSED], ids=["translated", "passed"])
SHORT = {"connect_timeout": 0.5, "response_timeout": 0.5}
BAD_HEADER = "invalid HTTP response from Harbor core (BadHeader)"
LATE = "Harbor core did not respond in time: reload the page and check whether the change was applied"


def message(response: Any) -> str:
    return str(json.loads(response.data)["errors"][0]["message"])


@PATHS
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_core_that_is_down(path: str, method: str, in_front_of: InFrontOf) -> None:
    response = in_front_of(f"http://127.0.0.1:{free_ports(1)[0]}").open(path, method=method)
    assert response.status_code == 502
    assert message(response).startswith("cannot reach Harbor core (Connection refused): check that it is running")


@pytest.mark.parametrize(
    ("host", "expected"), [("nowhere.invalid", "cannot reach Harbor core"), ("a" * 70, "(invalid host name)")]
)
def test_core_without_an_address(host: str, expected: str, in_front_of: InFrontOf) -> None:
    response = in_front_of(f"http://{host}").get(PASSED)
    assert response.status_code == 502
    assert expected in message(response)


def silent(connection: socket.socket, _: bytes) -> None:
    connection.recv(1)


def trickles(response: bytes) -> Behavior:
    """Each byte comes in time, all together come too late."""

    def behave(connection: socket.socket, _: bytes) -> None:
        for at in range(len(response)):
            connection.sendall(response[at : at + 1])
            time.sleep(0.05)

    return behave


def after(seconds: float, body: bytes) -> Behavior:
    def behave(connection: socket.socket, _: bytes) -> None:
        time.sleep(seconds)
        connection.sendall(JSON + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    return behave


@PATHS
@pytest.mark.parametrize(
    "behavior", [silent, trickles(JSON + b'Content-Length: 10\r\n\r\n["harbor"]')], ids=["silent", "trickles"]
)
def test_slow_core(behavior: Behavior, path: str, in_front_of: InFrontOf) -> None:
    with raw_core(behavior) as url:
        response = in_front_of(url, **SHORT).get(path, buffered=True)
    assert (response.status_code, message(response)) == (502, LATE)


def test_only_a_response_that_passes_may_take_longer(in_front_of: InFrontOf) -> None:
    body = b'["harbor"]'.ljust(50)

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(JSON + b"Content-Length: 50\r\n\r\n")
        trickles(body)(connection, request)

    with raw_core(behave) as url:
        client = in_front_of(url, connect_timeout=0.5, response_timeout=1.0)
        assert client.get(PASSED, buffered=True).data == body
        assert client.get(TRANSLATED, buffered=True).status_code == 502


STORED = json.dumps({"id": 4, "type": "harbor", "url": PUBLIC_URL, "credential": {"access_key": ACCESS_ID}}).encode()
INFO = b'{"type":"harbor"}'
CHANGE = {"url": "https://swr.eu-de.otc.t-systems.com"}


@pytest.mark.parametrize("first_seconds", [1.6, 0])
def test_lookup_and_request_share_one_time_limit(first_seconds: float, in_front_of: InFrontOf) -> None:
    with raw_core(after(first_seconds, STORED), after(1.6, b"{}")) as url:
        client = in_front_of(url, connect_timeout=0.5, response_timeout=2.5)
        response = client.put(f"{API}/registries/4", json=CHANGE, buffered=True)
    assert response.status_code == (502 if first_seconds else 200)
    with raw_core(after(first_seconds, INFO), after(1.6, STORED)) as url:
        client = in_front_of(url, connect_timeout=0.5, response_timeout=2.5)
        # Capabilities whose endpoint cannot be looked up are shown as stored.
        assert client.get(f"{API}/registries/4/info").json == {"type": "harbor" if first_seconds else NAME}


def test_lookup_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch, in_front_of: InFrontOf) -> None:
    monkeypatch.setattr(endpoint_lookup, "TIMEOUT_SECONDS", 0.1)
    with raw_core(after(0.7, STORED), sends(JSON + EMPTY_LIST)) as url:
        response = in_front_of(url, **SHORT).put(f"{API}/registries/4", json=CHANGE)
    assert (response.status_code, message(response)) == (502, LATE)


def test_core_gets_no_write_after_the_time_limit(monkeypatch: pytest.MonkeyPatch, in_front_of: InFrontOf) -> None:
    writes: list[bytes] = []
    monkeypatch.setattr("adapter.swr.client.SwrClient.check", lambda *_: time.sleep(1.0))
    credential = {"access_key": ACCESS_ID, "access_secret": "x"}
    with raw_core(after(0, b"[]"), lambda _, request: writes.append(request)) as url:
        response = in_front_of(url, **SHORT).post(
            f"{API}/registries", json={"type": NAME, **CHANGE, "credential": credential}
        )
    assert (response.status_code, message(response), writes) == (502, LATE, [])


@pytest.mark.parametrize(
    "response",
    [
        JSON + b"Transfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        JSON + b"Content-Length: -5\r\n\r\n[]",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + JSON + EMPTY_LIST,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + JSON + EMPTY_LIST,
        JSON.replace(b"1.1", b"1.0") + b"\r\n[]",
        JSON.replace(b"OK", b"\xe9t\xe9") + EMPTY_LIST,
        JSON.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n[]",
    ],
    ids=["two lengths", "negative length", "hints", "two interim", "HTTP 1.0", "reason", "bare line feeds"],
)
def test_odd_response_is_understood(response: bytes, in_front_of: InFrontOf) -> None:
    with raw_core(sends(response)) as url:
        client = in_front_of(url)
        assert client.get(TRANSLATED, buffered=True).json == [NAME]
        passed = client.get(PASSED, buffered=True)
    assert (passed.status_code, passed.data) == (200, b"[]")
    assert passed.headers.get("Content-Length") in (None, "2")


@pytest.mark.parametrize("media_type", ["message/rfc822", "multipart/mixed; boundary=x", "multipart/mixed"])
def test_every_valid_header_passes(media_type: str, in_front_of: InFrontOf) -> None:
    name = "X!#$%&'*+.^_`|~09"
    head = OK + f"{name}:1\r\n folded\r\nX-Empty:\r\nContent-Type: {media_type}\r\n".encode()
    with raw_core(sends(head + EMPTY_LIST)) as url:
        response = in_front_of(url).get(PASSED, buffered=True)
    assert (response.status_code, response.data) == (200, b"[]")
    assert [response.headers[each] for each in (name, "X-Empty", "Content-Type")] == ["1  folded", "", media_type]


@pytest.mark.parametrize(
    "response",
    [
        OK + b"X(Name): 1\r\n",
        OK + b"X-Name : 1\r\n",
        OK + b"X-N\xe4me: 1\r\n",
        OK + b": 1\r\n",
        OK + b"From nobody\r\n",
        OK + b" folded: under nothing\r\n",
        OK + b"X-Name: a\rX-Other b\r\n",
        OK + b"X-Name: a\x01b\r\n",
        OK + b"X-Name: \x7f\r\n",
        OK + b"Content-Type: message/rfc822\r\nnonsense\r\n",
        b"HTTP/1.1 100 Continue\r\nnonsense\r\n\r\n" + OK,
    ],
)
@PATHS
def test_invalid_header_is_not_passed_on(path: str, response: bytes, in_front_of: InFrontOf) -> None:
    """http.client would lose it and all headers after it, for example a cookie."""
    with raw_core(sends(response + b"Content-Type: application/json\r\n" + EMPTY_LIST)) as url:
        received = in_front_of(url).get(path, buffered=True)
    assert received.status_code == 502
    assert message(received).startswith(BAD_HEADER)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        JSON * 200,
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["nothing", "SSH", "no status", "headers without end", "only hints", "another protocol"],
)
@PATHS
def test_other_protocols_than_http_are_rejected(path: str, response: bytes, in_front_of: InFrontOf) -> None:
    with raw_core(sends(response)) as url:
        received = in_front_of(url).get(path, buffered=True)
    assert received.status_code == 502
    assert "Harbor core" in message(received)


@pytest.mark.parametrize("response", [OK[:-2], OK, JSON + b"Content-Le", JSON + b"Content-Length: 0\r\n"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_incomplete_headers_are_not_a_response(method: str, response: bytes, in_front_of: InFrontOf) -> None:
    """Without a length, the end of the connection would be the end of an empty body."""
    with raw_core(sends(response)) as url:
        received = in_front_of(url).open(f"{API}/registries/4", method=method, buffered=True)
    assert received.status_code == 502
    if method != "HEAD":
        assert "(IncompleteRead)" in message(received)


@pytest.mark.parametrize(
    "response",
    [
        JSON + b'Content-Length: 100\r\n\r\n["harbor"]',
        JSON + b'Transfer-Encoding: chunked\r\n\r\n5\r\n["har\r\n',
        JSON + b'Transfer-Encoding: chunked\r\n\r\nxyz\r\n["har\r\n',
    ],
    ids=["length", "chunks", "chunk size"],
)
def test_incomplete_body_never_looks_complete(response: bytes, another: StartAdapter) -> None:
    with raw_core(sends(response)) as url:
        portal = Client(another(harbor_core_url=url).provider)
        received = portal.get("/replication/adapters")
        assert received.status == 502
        assert "invalid HTTP response from Harbor core" in received.message()
        with contextlib.suppress(http.client.IncompleteRead):
            assert portal.get("/replication/adapters", SCRIPT).status == 502


def test_idle_connection_that_ended_is_replaced_for_a_get(in_front_of: InFrontOf) -> None:
    requests: list[bytes] = []

    def one_response(connection: socket.socket, request: bytes) -> None:
        requests.append(request)
        connection.sendall(JSON + EMPTY_LIST)
        # Takes the next request, and never responds.
        connection.recv(65536)

    with raw_core(one_response) as url:
        client = in_front_of(url)
        assert [client.get(PASSED, buffered=True).status_code for _ in range(3)] == [200, 200, 200]
    assert len(requests) == 3


def test_write_is_never_repeated(in_front_of: InFrontOf) -> None:
    requests: list[bytes] = []
    with raw_core(lambda _, request: requests.append(request)) as url:
        assert in_front_of(url).put(f"{API}/registries/4", data=b'{"name":"x"}').status_code == 502
    assert len(requests) == 1


def test_response_before_the_end_of_a_body_counts(another: StartAdapter) -> None:
    with raw_core(sends(b"HTTP/1.1 413 No\r\nContent-Length: 4\r\n\r\nmuch")) as url:
        portal = Client(another(harbor_core_url=url).provider)
        response = portal.send("POST", f"{API}/x", body=bytes(64 << 10))
    assert (response.status, response.body) == (413, b"much")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_core(authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(ssl_context=context) as server:
        core = ScriptedCore(server)
        core.returns(["harbor"])
        yield core.url


def test_core_with_tls(tls_core: str, authority: trustme.CA, tmp_path: Path, in_front_of: InFrontOf) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    client = in_front_of(tls_core, core_ca_bundle=bundle)
    assert [client.get(TRANSLATED, buffered=True).json for _ in range(2)] == [["harbor", NAME]] * 2
    untrusting = in_front_of(tls_core).get(TRANSLATED, buffered=True)
    assert untrusting.status_code == 502
    assert "SWR_ADAPTER_CORE_CA_BUNDLE" in message(untrusting)


@pytest.mark.parametrize(
    ("version", "reasons"),
    [
        (ssl.TLSVersion.TLSv1_2, ["handshake failure"]),
        # Core requests the certificate after the handshake, so the adapter may only notice the end of the connection.
        (ssl.TLSVersion.TLSv1_3, ["certificate required", "EOF occurred", "Connection reset by peer", "Broken pipe"]),
    ],
)
def test_core_that_requires_a_client_certificate_is_not_supported(
    version: ssl.TLSVersion, reasons: list[str], tmp_path: Path, in_front_of: InFrontOf
) -> None:
    context = core_tls(internal_tls_files(tmp_path), ssl.CERT_REQUIRED)
    context.maximum_version = version
    with HTTPServer("127.0.0.1", ssl_context=context) as server:
        client = in_front_of(server.url_for("").rstrip("/"), core_ca_bundle=tmp_path / "core-ca.crt")
        response = client.get(TRANSLATED, buffered=True)
    assert response.status_code == 502
    assert message(response).startswith("cannot reach Harbor core (")
    assert any(each in message(response) for each in reasons), message(response)
    page = (Path(__file__).parents[2] / "docs/install-compose.md").read_text()
    [row] = [line for line in page.splitlines() if line.startswith("| `cannot reach Harbor core (…)` with a TLS error")]
    assert reasons[0] in row


def test_unhandled_exception_is_logged_and_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, in_front_of: InFrontOf
) -> None:
    monkeypatch.setattr("adapter.provider.handler.Handler.respond", lambda *_: 1 / 0)
    response = in_front_of("http://127.0.0.1:9").get(f"{API}/x")
    assert response.status_code == 500
    assert message(response).startswith("internal error in the adapter")
    assert "ZeroDivisionError" in caplog.text


def test_idle_connection_that_core_ended_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without further traffic it would stay in CLOSE_WAIT."""
    monkeypatch.setattr(core_client, "_IDLE_CHECK_SECONDS", 0.1)
    with raw_core(sends(JSON + EMPTY_LIST)) as url:
        core = CoreClient(url, None)
        response = core.send("GET", "/x", [])
        response.read(100)
        response.close()
        eventually(lambda: not core._idle)
