"""Answers of SWR, its object store, or what stands in between, as no HTTP allows them: a clear 502, nothing is held."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapter.errors import AdapterError, SizeInvalid, Unexpected, Unreachable
from adapter.identity import Identity, parse_identity
from adapter.names import Repository, digest_of
from adapter.settings import Settings
from adapter.swr import trace
from adapter.swr.client import SwrClient
from adapter.swr.patience import BUFFERED, STREAM, Patience
from adapter.swr.transport import Transport, settle
from adapter.values import RegionHosts
from tests.attacks.raw import RawServer, answer, raw_server
from tests.contract.http import Door, refused
from tests.credentials import ACCESS_ID, PROJECT, SECRET_KEY
from tests.running import running_adapter

REPOSITORY = Repository("team", "app")
LAYER = b"a layer"
DIGEST = digest_of(LAYER)
BLOB = f"GET /v2/team/app/blobs/{DIGEST}"
MANIFEST = "GET /v2/team/app/manifests/v1"


@pytest.fixture
def swr() -> Iterator[RawServer]:
    with raw_server() as server:
        yield server


@pytest.fixture
def identity() -> Identity:
    return parse_identity(ACCESS_ID, SECRET_KEY, ["eu-de"])


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
    def test_what_no_server_may_send_on_is_refused(self, swr: RawServer, identity: Identity, field: str) -> None:
        swr.answer(BLOB, answer("200 OK", field, body=LAYER))
        with pytest.raises(Unexpected, match=f"returned an invalid {field.partition(':')[0]} header"):
            swr.client().registry.open_blob(identity, REPOSITORY, DIGEST)
        assert len(swr.asked) == 1, "a head that is no good does not get better"

    def test_what_is_not_sent_on_may_hold_more_than_ascii(self, swr: RawServer, identity: Identity) -> None:
        swr.answer(BLOB, answer("200 OK", "Content-Disposition: \xe4\r\n folded", "X-Tab: a\tb", body=LAYER))
        swr.client().registry.open_blob(identity, REPOSITORY, DIGEST).close()

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


ONCE = Patience(0, frozenset(), broken=False, answer=5)


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
    def test_to_this_machine_is_not_followed(self, swr: RawServer, identity: Identity, host: str) -> None:
        port = urlsplit(swr.url).port
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}:{port}/secret"))
        with pytest.raises(Unexpected, match=r"an address of this machine or its link: .*`objects`"):
            client_at(swr).registry.open_blob(identity, REPOSITORY, DIGEST)
        assert swr.asked == [BLOB]

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost.", "[fe80::1]"])
    def test_nor_is_a_client_sent_there(self, swr: RawServer, identity: Identity, host: str) -> None:
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}/secret"))
        with pytest.raises(Unexpected, match="of this machine or its link"):
            client_at(swr).registry.blob_place(identity, REPOSITORY, DIGEST)

    @pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "localhost", "127.1"])
    def test_nor_is_a_proxy_asked_for_it(self, swr: RawServer, identity: Identity, host: str) -> None:
        swr.answer(
            f"GET http://registry.example/v2/team/app/blobs/{DIGEST}", answer("307 x", f"Location: http://{host}/")
        )
        regions = {"eu-de": RegionHosts("http://registry.example")}
        client = SwrClient.build(Settings(regions=regions, requests_per_second=0.0, proxy=swr.url))
        with pytest.raises(Unexpected, match="of this machine or its link"):
            client.registry.open_blob(identity, REPOSITORY, DIGEST)
        assert len(swr.asked) == 1

    @pytest.mark.parametrize("host", ["127.0.0.1", "inside.example", "registry.example"])
    def test_what_the_region_names_is(self, swr: RawServer, identity: Identity, host: str) -> None:
        port = urlsplit(swr.url).port
        swr.answer(BLOB, answer("307 Temporary Redirect", f"Location: http://{host}:{port}/there"))
        swr.answer("GET /there", answer("200 OK", body=LAYER))
        objects = () if host == "registry.example" else (host,)
        with client_at(swr, *objects).registry.open_blob(identity, REPOSITORY, DIGEST) as response:
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
            settle(transport.send("GET", url, headers={}, account=None, patience=ONCE))
            with pytest.raises(Unexpected, match="of this machine"):
                transport.send("GET", url, headers={}, account=None, patience=ONCE, local_allowed=False)
            assert len(server.asked) == 1


class TestCounting:
    """Whatever SWR got is counted, also when it was our own error that ended the request."""

    @pytest.fixture
    def counted(self) -> Iterator[trace.Trace]:
        found = trace.Trace()
        token = trace.current.set(found)
        yield found
        trace.current.reset(token)

    @staticmethod
    def hold(connection: socket.socket) -> None:
        """Says nothing until the other side goes."""
        while connection.recv(4096):
            pass

    def test_a_body_that_is_refused_while_it_is_sent(self, swr: RawServer, counted: trace.Trace) -> None:
        def body() -> Iterator[bytes]:
            yield b"a"
            raise SizeInvalid("the body ended early")

        swr.answer("PUT", self.hold)
        with Transport(Settings(requests_per_second=0)) as transport, pytest.raises(SizeInvalid):
            transport.send("PUT", swr.url, headers={}, account=None, body=body(), patience=STREAM)
        assert counted.requests == 1

    def test_a_caller_that_leaves(self, swr: RawServer, counted: trace.Trace) -> None:
        ours, far = socket.socketpair()

        def leave(connection: socket.socket) -> None:
            far.close()
            self.hold(connection)

        swr.answer("PUT", leave)
        with ours, Transport(Settings(requests_per_second=0)) as transport:
            counted.caller = ours
            with pytest.raises(AdapterError, match="the client left"):
                transport.send("PUT", swr.url, headers={}, account=None, patience=BUFFERED)
        assert counted.requests == 1

    def test_what_never_went_out_is_not(self, counted: trace.Trace) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Transport(Settings(requests_per_second=0)) as transport, pytest.raises(Unreachable):
            transport.send("GET", url, headers={}, account=None, patience=ONCE)
        assert counted.requests == 0
