"""Invalid HTTP from SWR, its object store or a proxy: a clear error, and no resource is held."""

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
from adapter.errors import AdapterError, SizeInvalid, TimedOut, Unexpected, Unreachable
from adapter.http.request_context import RequestContext
from adapter.references import digest_of
from adapter.settings import RegionHosts, Settings
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.response_body import read_document, settle
from adapter.swr.retry import BUFFERED_UPLOAD, STREAMED_UPLOAD, RetryPolicy, retry_after
from adapter.swr.token_response import lifetime_of
from adapter.swr.transport import Transport
from tests.attacks.raw import RawServer, answer
from tests.contract.http import Door, eventually, refused
from tests.credentials import PROJECT
from tests.running import running_adapter
from tests.services import free_ports

LAYER = b"a layer"
DIGEST = digest_of(LAYER)
BLOB = f"GET /v2/team/app/blobs/{DIGEST}"


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
    def test_an_invalid_header_raises(self, swr: RawServer, repository: Repository, field: str) -> None:
        swr.answer(BLOB, answer("200 OK", field, body=LAYER))
        with pytest.raises(Unexpected, match=f"returned an invalid {field.partition(':')[0]} header"):
            swr.client().registry.open_blob(repository, DIGEST)
        assert len(swr.asked) == 1

    def test_a_header_that_is_not_forwarded_may_contain_other_characters(
        self, swr: RawServer, repository: Repository
    ) -> None:
        swr.answer(BLOB, answer("200 OK", "Content-Disposition: \xe4\r\n folded", "X-Tab: a\tb", body=LAYER))
        swr.client().registry.open_blob(repository, DIGEST).close()

    def test_an_invalid_response_keeps_no_transfer_slot(self, swr: RawServer) -> None:
        regions = {PROJECT: {"registry": swr.url, "api": swr.url}}
        bad = answer("200 OK", "Content-Type: a/\x01b", body=LAYER)
        swr.answer(BLOB, *[bad] * 4, answer("200 OK", body=LAYER))
        with running_adapter(regions, threads=4) as adapter:
            door = Door(adapter.contract)
            path = f"/v2/team/app/blobs/{DIGEST}"
            for number in range(4):
                answered = door.ask("GET", path, headers={"X-Request-Id": f"damaged-{number}"})
                refused(answered, 502, "Content-Type")
                assert answered.header("X-Request-Id") == f"damaged-{number}"
            assert door.ask("GET", path).body == LAYER
            eventually(lambda: adapter.service.output.count('"message": "request"') >= 5)
            assert adapter.service.output.count('"status": 502') == 4
            assert "Traceback" not in adapter.service.output


ONCE = RetryPolicy(0, frozenset(), retry_broken=False, response_seconds=5)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets each name under `.example` resolve to this machine, as the zone of an attacker may."""
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".example") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def client_at(swr: RawServer, *objects: str, **settings: Any) -> SwrClient:
    """With a registry whose name does not show that it is local."""
    registry = f"http://registry.example:{urlsplit(swr.url).port}"
    regions = {"eu-de": RegionHosts(registry, None, objects)}
    return SwrClient.build(Settings(regions=regions, requests_per_second=0.0, **settings))


@pytest.mark.usefixtures("names")
class TestRedirects:
    """A registry, or an attacker in its place, redirects the adapter to services that trust this machine."""

    @pytest.mark.parametrize(
        "host",
        [
            *("127.0.0.1", "localhost", "localhost.", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"),
            *("[::]", "169.254.169.254", "[fe80::1]", "inside.example"),
        ],
    )
    def test_a_redirect_to_a_local_address_is_not_followed(
        self, swr: RawServer, repository: Repository, host: str
    ) -> None:
        port = urlsplit(swr.url).port
        message = r"a loopback or link-local address: .*`objects`"
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}:{port}/secret"))
        with pytest.raises(Unexpected, match=message):
            client_at(swr).registry.open_blob(repository, DIGEST)
        assert swr.asked == [BLOB]
        if not host.endswith(".example"):
            # Nor does a client get the URL, nor a proxy the request.
            with pytest.raises(Unexpected, match=message):
                client_at(swr).registry.blob_place(repository, DIGEST)
            swr.answer(BLOB.replace("/v2", "http://registry.example/v2"), answer("307 x", f"Location: http://{host}/"))
            regions = {"eu-de": RegionHosts("http://registry.example")}
            client = SwrClient.build(Settings(regions=regions, requests_per_second=0.0, proxy=swr.url))
            with pytest.raises(Unexpected, match=message):
                client.registry.open_blob(repository, DIGEST)
            assert len(swr.asked) == 3

    @pytest.mark.parametrize("host", ["10.1.2.3", "172.16.1.2", "192.168.1.2", "100.64.1.2", "[fd00::1]"])
    def test_private_ranges_are_allowed(self, swr: RawServer, repository: Repository, host: str) -> None:
        """Inside a VPC the cloud's own services resolve to such addresses."""
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}/there"))
        assert client_at(swr).registry.blob_place(repository, DIGEST) == f"http://{host}/there"

    @pytest.mark.parametrize("host", ["127.0.0.1", "inside.example", "registry.example"])
    def test_a_redirect_to_a_configured_host_is_followed(
        self, swr: RawServer, repository: Repository, host: str
    ) -> None:
        port = urlsplit(swr.url).port
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}:{port}/there"))
        swr.answer("GET /there", answer("200 OK", body=LAYER))
        objects = () if host == "registry.example" else (host,)
        with client_at(swr, *objects).registry.open_blob(repository, DIGEST) as response:
            assert response.content == LAYER

    def test_an_open_connection_to_a_local_address_is_not_used(self, swr: RawServer, transport: Transport) -> None:
        """Another region may list the host in `objects`; its connection is in the same pool."""

        def talk(connection: socket.socket) -> None:
            for _ in range(2):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                if not connection.recv(4096):
                    return

        swr.answer("GET", talk)
        url = f"http://inside.example:{urlsplit(swr.url).port}/"
        settle(transport.send("GET", url, headers={}, access_key=None, policy=ONCE))
        with pytest.raises(Unexpected, match="a loopback or link-local address"):
            transport.send("GET", url, headers={}, access_key=None, policy=ONCE, local_allowed=False)
        assert len(swr.asked) == 1


class TestCounting:
    """Each request that SWR received is counted, also if the adapter ended it."""

    @staticmethod
    def hold(connection: socket.socket) -> None:
        """Sends nothing until the adapter closes the connection."""
        while connection.recv(4096):
            pass

    def test_a_body_that_fails_while_it_is_sent_is_counted(
        self, swr: RawServer, transport: Transport, context: RequestContext
    ) -> None:
        def body() -> Iterator[bytes]:
            yield b"a"
            raise SizeInvalid("the body ended early")

        swr.answer("PUT", self.hold)
        with pytest.raises(SizeInvalid):
            transport.send("PUT", swr.url, headers={}, access_key=None, body=body(), policy=STREAMED_UPLOAD)
        assert context.requests == 1

    def test_a_client_that_disconnects_is_counted(
        self, swr: RawServer, transport: Transport, context: RequestContext
    ) -> None:
        context.client, far = socket.socketpair()

        def leave(connection: socket.socket) -> None:
            far.close()
            self.hold(connection)

        swr.answer("PUT", leave)
        with context.client, pytest.raises(AdapterError, match="client disconnected"):
            transport.send("PUT", swr.url, headers={}, access_key=None, policy=BUFFERED_UPLOAD)
        assert context.requests == 1

    def test_a_request_that_was_not_sent_is_not_counted(self, transport: Transport, context: RequestContext) -> None:
        with pytest.raises(Unreachable):
            transport.send("GET", f"http://127.0.0.1:{free_ports(1)[0]}", headers={}, access_key=None, policy=ONCE)
        assert context.requests == 0


class TestFraming:
    """A response whose end is ambiguous."""

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
    def test_ambiguous_framing_raises(
        self, swr: RawServer, repository: Repository, status: str, fields: list[str]
    ) -> None:
        swr.answer(BLOB, answer(status, *fields, body=LAYER))
        with pytest.raises(Unexpected, match=r"returned an invalid (Content-Length|Transfer-Encoding|Content-Range)"):
            swr.client().registry.open_blob(repository, DIGEST, "bytes=0-6")
        assert len(swr.asked) == 1

    @pytest.mark.parametrize("content_range", ["bytes 0-6/9", "bytes 0-6/*"])
    def test_a_part_is_accepted_only_if_requested(
        self, swr: RawServer, repository: Repository, content_range: str
    ) -> None:
        swr.answer(BLOB, answer("206 Partial Content", f"Content-Range: {content_range}", body=LAYER))
        with pytest.raises(Unexpected, match="a part of what was requested as a whole"):
            swr.client().registry.open_blob(repository, DIGEST)
        with swr.client().registry.open_blob(repository, DIGEST, "bytes=0-6") as response:
            assert response.content == LAYER

    @pytest.mark.parametrize(
        ("start", "endless"),
        [
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
            (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
            (b"HTTP/1.1 200 OK\r\n", b"a"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X-A: b\r\n"),
        ],
        ids=["100", "103", "fields", "line", "trailers"],
    )
    def test_an_endless_head_or_trailer_raises(
        self, swr: RawServer, transport: Transport, start: bytes, endless: bytes
    ) -> None:
        sent = 0

        def talk(connection: socket.socket) -> None:
            nonlocal sent
            connection.sendall(start)
            while sent < 64 << 20:
                sent += connection.send(endless * (65536 // len(endless)))

        swr.answer("GET", talk)
        with pytest.raises(Unreachable):
            read_document(transport.send("GET", swr.url, headers={}, access_key=None, policy=ONCE))
        assert sent < 16 << 20, "only what the buffers of the kernel take"

    def test_a_slow_head_times_out(self, swr: RawServer, transport: Transport) -> None:
        """Each byte arrives in time, but not the head."""
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
        policy = replace(ONCE, response_seconds=0.5)
        with pytest.raises(TimedOut):
            transport.send("GET", swr.url, headers={}, access_key=None, policy=policy)
        assert given_up.wait(5)


class TestLengths:
    """SWR or a proxy may omit the length for HEAD: a cache that receives 0 would serve an empty blob."""

    def test_head_of_a_blob_returns_the_length_of_a_get(self, swr: RawServer) -> None:
        silent, wrong = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        swr.answer("HEAD", silent, wrong, silent)
        chunked = answer("200 OK", "Transfer-Encoding: chunked", body=b"7\r\na layer\r\n0\r\n\r\n")
        swr.answer(BLOB, *[answer("200 OK", body=LAYER)] * 2, chunked)
        with running_adapter({PROJECT: {"registry": swr.url, "api": swr.url}}) as adapter:
            answers = [Door(adapter.contract).ask("HEAD", f"/v2/team/app/blobs/{DIGEST}") for _ in range(3)]
        assert [each.status for each in answers] == [200] * 3
        assert [each.headers["Content-Length"] for each in answers] == [str(len(LAYER)), str(len(LAYER)), None]


class TestNumbers:
    @pytest.mark.parametrize(
        "times",
        [
            *('"exp": ' + "9" * 4000, '"exp": 1e999', '"exp": NaN', '"exp": true', '"exp": "9"'),
            *('"exp": -1e300, "iat": 1e300', '"exp": 1, "iat": -' + "9" * 4000, '"exp": ' + "9" * 5000),
        ],
        ids=lambda value: value[:20],
    )
    def test_the_lifetime_of_a_token_is_limited(self, times: str) -> None:
        claims = base64.urlsafe_b64encode(b"{%b}" % times.encode()).decode().rstrip("=")
        for expires_in in (10**4000, float("inf"), float("nan"), True, -5, "9", None, 900):
            assert 0 <= lifetime_of(f"x.{claims}.x", expires_in, 1e9) <= 86_400

    @pytest.mark.parametrize("value", ["9" * 5000, "-1", "\u0665", "\xb2", "NaN", "inf", "1e9", "x" * 60_000, "1 Jan"])
    def test_retry_after_is_limited(self, value: str) -> None:
        assert 0 <= (retry_after(value, 0.0) or 0) <= 86_400

    def test_an_invalid_size_in_a_manifest_is_none(self) -> None:
        for size in (math.inf, 10**4000, -1, True, "seven"):
            assert _size({"config": {"size": size}, "layers": [{"size": 7}]}) is None
        assert _size({"config": {"size": 3}, "layers": [{"size": 7}]}) == 10
