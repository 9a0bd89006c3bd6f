"""Answers of SWR, its object store, or what stands in between, as no HTTP allows them: a clear 502, nothing is held."""

from __future__ import annotations

import base64
import contextlib
import math
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapter.contract.repositories import _size
from adapter.credentials import Credentials, parse_credentials
from adapter.errors import AdapterError, SizeInvalid, TimedOut, Unexpected, Unreachable
from adapter.http import request_context
from adapter.references import RepositoryName, digest_of
from adapter.settings import RegionHosts, Settings
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.response_body import read_document, settle
from adapter.swr.retry import BUFFERED_UPLOAD, STREAMED_UPLOAD, RetryPolicy, retry_after
from adapter.swr.token_response import lifetime_of
from adapter.swr.transport import Transport
from tests.attacks.raw import RawServer, answer, raw_server
from tests.contract.http import Door, refused
from tests.credentials import ACCESS_ID, PROJECT, SECRET_KEY
from tests.running import running_adapter

REPOSITORY = RepositoryName("team", "app")
LAYER = b"a layer"
DIGEST = digest_of(LAYER)
BLOB = f"GET /v2/team/app/blobs/{DIGEST}"
MANIFEST = "GET /v2/team/app/manifests/v1"


@pytest.fixture
def swr() -> Iterator[RawServer]:
    with raw_server() as server:
        yield server


@pytest.fixture
def credentials() -> Credentials:
    return parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])


class TestHeaders:
    @pytest.mark.parametrize(
        "field",
        [
            "Content-Type: a/\x01b",
            "Content-Type: a/\xe4",
            "Content-Type: a/b\r\n c",
            "Content-Range: bytes\x7f0-1/2",
            "Accept-Ranges: b\x00ytes",
            "Content-Encoding: \x85",
            "Docker-Content-Digest: sha256:\x9b",
            "X-Other: \x1b[31m",
        ],
        ids=ascii,
    )
    def test_what_no_server_may_send_on_is_refused(self, swr: RawServer, credentials: Credentials, field: str) -> None:
        swr.answer(BLOB, answer("200 OK", field, body=LAYER))
        with pytest.raises(Unexpected, match=f"returned an invalid {field.partition(':')[0]} header"):
            swr.client().registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)
        assert len(swr.asked) == 1, "a head that is no good does not get better"

    def test_what_is_not_sent_on_may_hold_more_than_ascii(self, swr: RawServer, credentials: Credentials) -> None:
        swr.answer(BLOB, answer("200 OK", "Content-Disposition: \xe4\r\n folded", "X-Tab: a\tb", body=LAYER))
        swr.client().registry.open_blob(Repository(credentials, REPOSITORY), DIGEST).close()

    def test_no_slot_of_a_transfer_is_lost(self, swr: RawServer) -> None:
        regions = {PROJECT: {"registry": swr.url, "api": swr.url}}
        bad = answer("200 OK", "Content-Type: a/\x01b", body=LAYER)
        swr.answer(BLOB, *[bad] * 4, answer("200 OK", body=LAYER))
        with running_adapter(regions, threads=4) as adapter:
            door = Door(adapter.contract)
            path = f"/v2/team/app/blobs/{DIGEST}"
            for _ in range(4):
                refused(door.ask("GET", path), 502, "Content-Type")
            assert door.ask("GET", path).body == LAYER
            assert adapter.service.output.count('"status": 502') == 4


ONCE = RetryPolicy(0, frozenset(), retry_broken=False, response_seconds=5)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name under `.example` is this machine, as an attacker's own zone may say."""
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".example") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def client_at(swr: RawServer, *objects: str, **settings: Any) -> SwrClient:
    """With a registry whose name does not tell that it is here."""
    registry = f"http://registry.example:{urlsplit(swr.url).port}"
    regions = {"eu-de": RegionHosts(registry, None, objects)}
    return SwrClient.build(Settings(regions=regions, requests_per_second=0.0, **settings))


@pytest.mark.usefixtures("names")
class TestRedirects:
    """A registry, or whoever answers in its place, sends the adapter to services that trust this machine."""

    @pytest.mark.parametrize(
        "host",
        [
            *("127.0.0.1", "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"),
            *("169.254.169.254", "[fe80::1]", "inside.example"),
        ],
    )
    def test_to_this_machine_is_not_followed(self, swr: RawServer, credentials: Credentials, host: str) -> None:
        port = urlsplit(swr.url).port
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}:{port}/secret"))
        with pytest.raises(Unexpected, match=r"a loopback or link-local address: .*`objects`"):
            client_at(swr).registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)
        assert swr.asked == [BLOB]

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost.", "[fe80::1]"])
    def test_nor_is_a_client_sent_there(self, swr: RawServer, credentials: Credentials, host: str) -> None:
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}/secret"))
        with pytest.raises(Unexpected, match="a loopback or link-local address"):
            client_at(swr).registry.blob_place(Repository(credentials, REPOSITORY), DIGEST)

    @pytest.mark.parametrize("host", ["10.1.2.3", "172.16.1.2", "192.168.1.2", "100.64.1.2", "[fd00::1]"])
    def test_private_ranges_are_allowed(self, swr: RawServer, credentials: Credentials, host: str) -> None:
        """Inside a VPC the cloud's own services resolve to such addresses."""
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}/there"))
        assert client_at(swr).registry.blob_place(Repository(credentials, REPOSITORY), DIGEST) == f"http://{host}/there"

    @pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "localhost", "127.1"])
    def test_nor_is_a_proxy_asked_for_it(self, swr: RawServer, credentials: Credentials, host: str) -> None:
        swr.answer(
            f"GET http://registry.example/v2/team/app/blobs/{DIGEST}", answer("307 x", f"Location: http://{host}/")
        )
        regions = {"eu-de": RegionHosts("http://registry.example")}
        client = SwrClient.build(Settings(regions=regions, requests_per_second=0.0, proxy=swr.url))
        with pytest.raises(Unexpected, match="a loopback or link-local address"):
            client.registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)
        assert len(swr.asked) == 1

    @pytest.mark.parametrize("host", ["127.0.0.1", "inside.example", "registry.example"])
    def test_what_the_region_names_is(self, swr: RawServer, credentials: Credentials, host: str) -> None:
        port = urlsplit(swr.url).port
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}:{port}/there"))
        swr.answer("GET /there", answer("200 OK", body=LAYER))
        objects = () if host == "registry.example" else (host,)
        with client_at(swr, *objects).registry.open_blob(Repository(credentials, REPOSITORY), DIGEST) as response:
            assert response.content == LAYER

    def test_a_connection_that_is_there_already_is_not_used_for_it(self) -> None:
        """Another region may name the host; its connection is in the same pool."""

        def talk(connection: socket.socket) -> None:
            for _ in range(2):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                if not connection.recv(4096):
                    return

        with raw_server() as server, Transport(Settings(requests_per_second=0)) as transport:
            server.answer("GET", talk)
            url = f"http://inside.example:{urlsplit(server.url).port}/"
            settle(transport.send("GET", url, headers={}, access_key=None, policy=ONCE))
            with pytest.raises(Unexpected, match="loopback or link-local"):
                transport.send("GET", url, headers={}, access_key=None, policy=ONCE, local_allowed=False)
            assert len(server.asked) == 1


class TestCounting:
    """Whatever SWR got is counted, also when it was our own error that ended the request."""

    @pytest.fixture
    def counted(self) -> Iterator[request_context.RequestContext]:
        found = request_context.RequestContext()
        token = request_context.current_request.set(found)
        yield found
        request_context.current_request.reset(token)

    @staticmethod
    def hold(connection: socket.socket) -> None:
        """Says nothing until the other side goes."""
        while connection.recv(4096):
            pass

    def test_a_body_that_is_refused_while_it_is_sent(
        self, swr: RawServer, counted: request_context.RequestContext
    ) -> None:
        def body() -> Iterator[bytes]:
            yield b"a"
            raise SizeInvalid("the body ended early")

        swr.answer("PUT", self.hold)
        with Transport(Settings(requests_per_second=0)) as transport, pytest.raises(SizeInvalid):
            transport.send("PUT", swr.url, headers={}, access_key=None, body=body(), policy=STREAMED_UPLOAD)
        assert counted.requests == 1

    def test_a_caller_that_leaves(self, swr: RawServer, counted: request_context.RequestContext) -> None:
        ours, far = socket.socketpair()

        def leave(connection: socket.socket) -> None:
            far.close()
            self.hold(connection)

        swr.answer("PUT", leave)
        with ours, Transport(Settings(requests_per_second=0)) as transport:
            counted.client = ours
            with pytest.raises(AdapterError, match="client disconnected"):
                transport.send("PUT", swr.url, headers={}, access_key=None, policy=BUFFERED_UPLOAD)
        assert counted.requests == 1

    def test_what_never_went_out_is_not(self, counted: request_context.RequestContext) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Transport(Settings(requests_per_second=0)) as transport, pytest.raises(Unreachable):
            transport.send("GET", url, headers={}, access_key=None, policy=ONCE)
        assert counted.requests == 0


class TestFraming:
    """Where two readers could disagree on where an answer ends, none is right."""

    @pytest.mark.parametrize(
        ("status", "fields"),
        [
            ("200 OK", ["Content-Length: 7", "Transfer-Encoding: chunked"]),
            ("200 OK", ["Content-Length: 7", "Content-Length: 8"]),
            ("200 OK", ["Content-Length: 7, 8"]),
            ("200 OK", ["Content-Length: " + "7" * 5000]),
            ("200 OK", ["Content-Length: -7"]),
            ("200 OK", ["Content-Length: +7"]),
            ("200 OK", ["Content-Length: 7_0"]),
            ("200 OK", ["Content-Length: seven"]),
            ("200 OK", ["Transfer-Encoding: gzip, chunked"]),
            ("200 OK", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]),
            ("206 Partial Content", []),
            ("206 Partial Content", ["Content-Range: bytes 0-8/9"]),
            ("206 Partial Content", ["Content-Range: bytes 6-0/9"]),
            ("206 Partial Content", ["Content-Range: bytes 0-6/" + "9" * 5000]),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_is_refused(self, swr: RawServer, credentials: Credentials, status: str, fields: list[str]) -> None:
        swr.answer(BLOB, answer(status, *fields, body=LAYER))
        with pytest.raises(Unexpected, match=r"returned an invalid (Content-Length|Transfer-Encoding|Content-Range)"):
            swr.client().registry.open_blob(Repository(credentials, REPOSITORY), DIGEST, "bytes=0-6")
        assert len(swr.asked) == 1

    def test_a_part_that_nobody_asked_for(self, swr: RawServer, credentials: Credentials) -> None:
        swr.answer(BLOB, answer("206 Partial Content", "Content-Range: bytes 0-6/9", body=LAYER))
        with pytest.raises(Unexpected, match="a part of what was requested as a whole"):
            swr.client().registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)

    @pytest.mark.parametrize("content_range", ["bytes 0-6/9", "bytes 0-6/*"])
    def test_one_that_was_asked_for(self, swr: RawServer, credentials: Credentials, content_range: str) -> None:
        swr.answer(BLOB, answer("206 Partial Content", f"Content-Range: {content_range}", body=LAYER))
        with swr.client().registry.open_blob(Repository(credentials, REPOSITORY), DIGEST, "bytes=0-6") as response:
            assert response.content == LAYER

    @pytest.mark.parametrize(
        "endless",
        [
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
            b"X-A: b\r\n",
            b"a",
        ],
        ids=["100", "103", "fields", "line"],
    )
    def test_a_head_without_end(self, swr: RawServer, endless: bytes) -> None:
        sent = 0

        def talk(connection: socket.socket) -> None:
            nonlocal sent
            connection.sendall(b"" if endless.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n")
            while sent < 64 << 20:
                sent += connection.send(endless * (65536 // len(endless)))

        swr.answer("GET", talk)
        with Transport(Settings(requests_per_second=0)) as transport, pytest.raises(Unreachable):
            transport.send("GET", swr.url, headers={}, access_key=None, policy=ONCE)
        assert sent < 16 << 20, "what the kernel holds, and no more"

    def test_a_head_that_trickles(self, swr: RawServer) -> None:
        """Each byte comes in time, the whole does not."""
        given_up = threading.Event()

        def talk(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
            with contextlib.suppress(OSError):
                for _ in range(200):
                    connection.sendall(b"b")
                    time.sleep(0.05)
                return
            given_up.set()

        swr.answer("GET", talk)
        soon = replace(ONCE, response_seconds=0.5)
        with Transport(Settings(requests_per_second=0)) as transport, pytest.raises(TimedOut):
            transport.send("GET", swr.url, headers={}, access_key=None, policy=soon)
        assert given_up.wait(5)

    def test_trailers_without_end(self, swr: RawServer) -> None:
        sent = 0

        def talk(connection: socket.socket) -> None:
            nonlocal sent
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
            while sent < 64 << 20:
                sent += connection.send(b"X-A: b\r\n" * 8000)

        swr.answer("GET", talk)
        with Transport(Settings(requests_per_second=0)) as transport:
            response = transport.send("GET", swr.url, headers={}, access_key=None, policy=ONCE)
            with pytest.raises(Unreachable):
                read_document(response)
        assert sent < 16 << 20


class TestLengths:
    """SWR leaves the length out of a HEAD, or a proxy does: a cache that is told 0 serves an empty blob."""

    def test_of_a_blob_is_that_of_a_get(self, swr: RawServer) -> None:
        silent, wrong = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        swr.answer("HEAD", silent, wrong, silent)
        chunked = answer("200 OK", "Transfer-Encoding: chunked", body=b"7\r\na layer\r\n0\r\n\r\n")
        swr.answer(BLOB, *[answer("200 OK", body=LAYER)] * 2, chunked)
        with running_adapter({PROJECT: {"registry": swr.url, "api": swr.url}}) as adapter:
            told = [Door(adapter.contract).ask("HEAD", f"/v2/team/app/blobs/{DIGEST}") for _ in range(3)]
        assert [each.status for each in told] == [200] * 3
        assert [each.headers["Content-Length"] for each in told] == [str(len(LAYER)), str(len(LAYER)), None]


class TestNumbers:
    @pytest.mark.parametrize(
        "times",
        [
            *('"exp": ' + "9" * 4000, '"exp": 1e999', '"exp": NaN', '"exp": true', '"exp": "9"'),
            *('"exp": -1e300, "iat": 1e300', '"exp": 1, "iat": -' + "9" * 4000, '"exp": ' + "9" * 5000),
        ],
        ids=lambda value: value[:20],
    )
    def test_of_a_token(self, times: str) -> None:
        claims = base64.urlsafe_b64encode(b"{%b}" % times.encode()).decode().rstrip("=")
        for expires_in in (10**4000, float("inf"), float("nan"), True, -5, "9", None, 900):
            assert 0 <= lifetime_of(f"x.{claims}.x", expires_in, 1e9) <= 86_400

    @pytest.mark.parametrize("value", ["9" * 5000, "-1", "\u0665", "\xb2", "NaN", "inf", "1e9", "x" * 60_000, "1 Jan"])
    def test_of_a_wait(self, value: str) -> None:
        assert 0 <= (retry_after(value, 0.0) or 0) <= 86_400

    def test_of_the_parts_of_a_manifest(self) -> None:
        for size in (math.inf, 10**4000, -1, True, "seven"):
            assert _size({"config": {"size": size}, "layers": [{"size": 7}]}) is None
        assert _size({"config": {"size": 3}, "layers": [{"size": 7}]}) == 10
