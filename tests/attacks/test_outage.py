"""SWR away, or answering nothing but 503: reads say so soon, so that Harbor serves the copy it has; uploads go on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from adapter.credentials import Credentials, parse_credentials
from adapter.errors import AdapterError, InvalidRequest, TimedOut, Unavailable, Unexpected, Unreachable
from adapter.http import resolver
from adapter.references import RepositoryName, digest_of
from adapter.settings import RegionHosts, Settings
from adapter.swr import retry, transport
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.retry import READ, for_upload
from tests.attacks.raw import RawServer, answer, raw_server
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY
from tests.services import free_ports
from tests.swr.scripted import jwt

REPOSITORY = RepositoryName("team", "app")
LAYER = b"a layer"
DIGEST = digest_of(LAYER)
ACCEPT = "application/vnd.docker.distribution.manifest.v2+json"
BUSY = answer("503 Service Unavailable")
UPLOADS = "POST /v2/team/app/blobs/uploads/"

Read = Callable[[SwrClient, Credentials], Any]
READS: dict[str, Read] = {
    "manifest": lambda client, who: client.registry.manifest(Repository(who, REPOSITORY), "v1", ACCEPT, head=True),
    "blob": lambda client, who: client.registry.blob(Repository(who, REPOSITORY), DIGEST),
    "content": lambda client, who: client.registry.open_blob(Repository(who, REPOSITORY), DIGEST),
    "repositories": lambda client, who: client.catalog.repositories(who, "team"),
    "tags": lambda client, who: client.catalog.tags(Repository(who, REPOSITORY)),
    "organizations": lambda client, who: client.organizations.all(who),
}


class Clock:
    """Time that passes by waiting alone, as if each attempt took none. `hook` is called after each wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.hook: Callable[[float], None] | None = None
        self._ahead = 0.0
        self._real = time.monotonic

    def monotonic(self) -> float:
        return self._real() + self._ahead

    def rest(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._ahead += seconds
        if self.hook is not None:
            self.hook(seconds)

    @property
    def waited(self) -> float:
        return sum(self.waits)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()

    class Time:
        monotonic = staticmethod(found.monotonic)
        time = staticmethod(time.time)

    monkeypatch.setattr(transport, "time", Time)
    monkeypatch.setattr(resolver, "time", Time)
    monkeypatch.setattr(transport, "interruptible_sleep", found.rest)
    # The longest waits that can be.
    monkeypatch.setattr(transport, "backoff", lambda number, told: retry.backoff(number, told, spread=1.0))
    return found


@pytest.fixture
def credentials() -> Credentials:
    return parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])


@pytest.fixture
def other() -> Credentials:
    return parse_credentials(f"eu-de@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, ["eu-de"])


@pytest.fixture
def swr() -> Iterator[RawServer]:
    with raw_server() as server:
        yield server


def client_at(url: str, **settings: Any) -> SwrClient:
    return SwrClient.build(Settings(regions={"eu-de": RegionHosts(url, url)}, requests_per_second=0.0, **settings))


@pytest.fixture
def nobody() -> SwrClient:
    return client_at(f"http://127.0.0.1:{free_ports(1)[0]}")


class TestUnreachable:
    @pytest.mark.parametrize("read", READS.values(), ids=READS)
    def test_a_read_says_so_within_5_s_and_the_next_at_once(
        self, read: Read, nobody: SwrClient, credentials: Credentials, clock: Clock
    ) -> None:
        with pytest.raises(Unreachable, match="connection refused"):
            read(nobody, credentials)
        assert 1 <= clock.waited <= 5
        before = len(clock.waits)
        for again in READS.values():
            with pytest.raises(Unreachable, match="connection refused"):
                again(nobody, credentials)
        assert len(clock.waits) == before

    def test_an_upload_goes_on_trying(self, nobody: SwrClient, credentials: Credentials, clock: Clock) -> None:
        with pytest.raises(Unreachable):
            nobody.registry.blob(Repository(credentials, REPOSITORY), DIGEST)
        read = clock.waited
        with pytest.raises(Unreachable):
            nobody.uploads.start(Repository(credentials, REPOSITORY))
        assert clock.waited - read > 45
        with pytest.raises(Unreachable):
            nobody.registry.put_manifest(Repository(credentials, REPOSITORY), "v1", b"{}", ACCEPT, digest_of(b"{}"))
        assert clock.waited - read > 90

    def test_nor_does_what_an_upload_reads(self, nobody: SwrClient, credentials: Credentials, clock: Clock) -> None:
        """An index that is put may need the manifests that it names."""
        with pytest.raises(Unreachable):
            nobody.registry.blob(Repository(credentials, REPOSITORY), DIGEST)
        for read in (READS["manifest"], READS["content"]):
            waited = clock.waited
            with pytest.raises(Unreachable), for_upload():
                read(nobody, credentials)
            assert clock.waited - waited > 40

    def test_one_that_comes_back_is_read_again(self, credentials: Credentials, clock: Clock) -> None:
        (port,) = free_ports(1)
        client = client_at(f"http://127.0.0.1:{port}")
        read = READS["content"]
        with pytest.raises(Unreachable):
            read(client, credentials)
        with raw_server(port=port) as server:
            server.answer("GET /v2", answer("200 OK", body=LAYER))
            # An upload finds out, whoever waits.
            client.tokens.bearer(Repository(credentials, REPOSITORY), "pull,push")
            assert read(client, credentials).status_code == 200

    def test_names_that_nobody_resolves_and_addresses_that_drop_packets_take_5_s(
        self, credentials: Credentials, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A name with several addresses gets no more time than one with one."""
        timeouts: list[float] = []

        class Dropping(socket.socket):
            def connect(self, _: Any) -> None:
                timeouts.append(self.gettimeout() or 0)
                clock._ahead += timeouts[-1]
                raise TimeoutError

        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{number}", 443)) for number in range(4)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        monkeypatch.setattr(socket, "socket", Dropping)
        with pytest.raises((TimedOut, Unreachable)):
            READS["blob"](client_at("http://swr.example"), credentials)
        assert 4 <= sum(timeouts) < 5.1
        assert len(timeouts) >= 4

    def test_one_connection_that_fails_is_nobody_elses(
        self, clock: Clock, credentials: Credentials, other: Credentials
    ) -> None:
        """While the first waits to try again, another one reads."""
        (port,) = free_ports(1)
        client = client_at(f"http://127.0.0.1:{port}")
        with ExitStack() as stack:

            def meanwhile(_: float) -> None:
                clock.hook = None
                stack.enter_context(raw_server(port=port)).answer("HEAD", answer("200 OK", body=LAYER))
                assert READS["blob"](client, other).length == len(LAYER)

            clock.hook = meanwhile
            assert READS["blob"](client, credentials).length == len(LAYER)

    def test_nor_is_one_after_answers(
        self, clock: Clock, credentials: Credentials, other: Credentials, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is given up, but the host was out of reach for one attempt."""
        monkeypatch.setattr(retry, "MAX_BACKOFF_SECONDS", 8.0)
        (port,) = free_ports(1)
        client = client_at(f"http://127.0.0.1:{port}")
        with ExitStack() as stack:

            def gone(_: float) -> None:
                if clock.waited > 8:
                    stack.close()

            clock.hook = gone
            stack.enter_context(raw_server(port=port)).answer("HEAD", BUSY)
            with pytest.raises(Unreachable):
                READS["blob"](client, credentials)
            stack.enter_context(raw_server(port=port)).answer("HEAD", answer("200 OK", body=LAYER))
            assert READS["blob"](client, other).length == len(LAYER)

    def test_a_handshake_that_does_not_come_is_no_answer_that_does_not(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, transport.Transport(Settings()) as sending:
            url, policy = f"https://127.0.0.1:{silent.getsockname()[1]}", replace(READ, connect_seconds=0.3)
            with pytest.raises(TimedOut, match=r"no TLS connection to 127\.0\.0\.1 within 0\.3 s"):
                sending.send("GET", url, headers={}, access_key=None, policy=policy)


class TestUnavailable:
    def test_a_manifest_is_given_up_after_20_s_and_the_next_after_one_try(
        self, swr: RawServer, credentials: Credentials, other: Credentials, clock: Clock
    ) -> None:
        swr.answer("HEAD", BUSY)
        swr.answer("GET /v2", BUSY)
        client = client_at(swr.url)
        with pytest.raises(Unavailable):
            READS["manifest"](client, credentials)
        assert 8 <= clock.waited <= 20
        asked, waited = len(swr.asked), clock.waited
        assert asked <= 10
        with pytest.raises(Unavailable):
            READS["manifest"](client, credentials)
        assert clock.waited == waited
        assert len(swr.asked) - asked <= 2
        # Another account's trouble is its own: SWR throttles with 503.
        with pytest.raises(Unavailable):
            READS["manifest"](client, other)
        assert clock.waited - waited >= 8

    def test_a_made_up_secret_says_nothing_of_others(
        self, swr: RawServer, credentials: Credentials, clock: Clock
    ) -> None:
        """SWR knows neither yet, and so both wait for the same turns."""
        token = answer("200 OK", body=json.dumps({"token": jwt()}).encode())
        client = client_at(swr.url)
        swr.answer("GET /swr/auth", BUSY)
        with pytest.raises(Unavailable):
            READS["manifest"](client, parse_credentials(ACCESS_ID, "made-up", ["eu-de"]))
        swr.answer("GET /swr/auth", BUSY, token)
        swr.answer("HEAD", answer("200 OK", body=LAYER))
        assert READS["blob"](client, credentials).length == len(LAYER)

    def test_a_store_that_is_busy_for_one_is_not_for_others(
        self, swr: RawServer, credentials: Credentials, other: Credentials, clock: Clock
    ) -> None:
        client = client_at(swr.url)
        with raw_server("127.0.0.3") as store:
            swr.answer("GET /v2", answer("307 x", f"Location: {store.url}/a"))
            store.answer("GET", BUSY)
            with pytest.raises(Unavailable):
                READS["content"](client, credentials)
            store.answer("GET", BUSY, answer("200 OK", body=LAYER))
            assert READS["content"](client, other).content == LAYER

    def test_a_success_ends_it(self, swr: RawServer, credentials: Credentials, clock: Clock) -> None:
        swr.answer("HEAD", BUSY)
        client = client_at(swr.url)
        with pytest.raises(AdapterError):
            READS["blob"](client, credentials)
        swr.answer("HEAD", answer("200 OK", body=LAYER), BUSY, answer("200 OK", body=LAYER))
        for _ in range(2):
            assert READS["blob"](client, credentials).length == len(LAYER)

    def test_a_push_succeeds_through_twenty_of_them(
        self, swr: RawServer, credentials: Credentials, clock: Clock
    ) -> None:
        client = client_at(swr.url)
        swr.answer("HEAD", BUSY)
        with pytest.raises(AdapterError):
            READS["blob"](client, credentials)
        swr.answer(UPLOADS, *[BUSY] * 20, answer("202 Accepted", "Location: /up"))
        swr.answer("PUT /up", answer("201 Created"))
        swr.answer("PUT /v2", *[BUSY] * 12, answer("201 Created"))
        location = client.uploads.start(Repository(credentials, REPOSITORY))
        client.uploads.finish(Repository(credentials, REPOSITORY), location, DIGEST, LAYER)
        digest = digest_of(b"{}")
        assert client.registry.put_manifest(Repository(credentials, REPOSITORY), "v1", b"{}", ACCEPT, digest) == digest


def coded(status: str, number: str) -> bytes:
    """As the management API has it (`docs/facts/swr.md §4.12`)."""
    return answer(status, body=b'[{"errorCode": "SVCSTG.SWR.%b", "errorMessage": "x"}]' % number.encode())


class TestPassing:
    """Refusals that are over soon by SWR's own code, whatever their status."""

    @pytest.mark.parametrize(
        "refusal", [coded("409 Conflict", "4090023"), coded("403 Forbidden", "4031032"), coded("403 No", "4031042")]
    )
    def test_is_repeated(self, swr: RawServer, credentials: Credentials, clock: Clock, refusal: bytes) -> None:
        client = client_at(swr.url)
        swr.answer("PUT /v2", refusal, refusal, answer("201 Created"))
        assert client.registry.put_manifest(
            Repository(credentials, REPOSITORY), "v1", b"{}", ACCEPT, digest_of(b"{}")
        ) == digest_of(b"{}")
        assert len(clock.waits) == 2
        swr.answer("POST /v2/manage/namespaces", refusal, answer("201 Created"))
        client.management.create_organization(credentials, "team")

    @pytest.mark.parametrize(
        ("refusal", "status"), [(coded("409 Conflict", "4090023"), 503), (coded("403 Forbidden", "4031032"), 429)]
    )
    def test_ends_as_what_it_is(
        self, swr: RawServer, credentials: Credentials, clock: Clock, refusal: bytes, status: int
    ) -> None:
        client = client_at(swr.url)
        asks: list[Callable[[], object]] = [
            lambda: client.registry.put_manifest(
                Repository(credentials, REPOSITORY), "v1", b"{}", ACCEPT, digest_of(b"{}")
            ),
            lambda: client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, LAYER),
            lambda: client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, iter([LAYER])),
            lambda: client.organizations.create(credentials, "team"),
            lambda: client.catalog.repositories(credentials, "team"),
        ]
        for start in ("PUT", "POST", "GET /v2"):
            swr.answer(start, refusal)
        for ask in asks:
            with pytest.raises(AdapterError) as caught:
                ask()
            assert caught.value.status == status, caught.value.sentence
        assert swr.tokens <= 2, "a token is not thrown away for it"

    @pytest.mark.parametrize("refusal", [coded("409 Conflict", "4090006"), coded("403 Forbidden", "4039002")])
    def test_others_stand(self, swr: RawServer, credentials: Credentials, clock: Clock, refusal: bytes) -> None:
        swr.answer("PUT", refusal)
        with pytest.raises(AdapterError):
            client_at(swr.url).registry.put_manifest(
                Repository(credentials, REPOSITORY), "v1", b"{}", ACCEPT, digest_of(b"{}")
            )
        assert clock.waits == []


class TestWhoFailed:
    @pytest.mark.parametrize(
        ("scheme", "status", "words"),
        [
            ("http", "407 Proxy Authentication Required", r"the proxy requires .* SWR_ADAPTER_PROXY"),
            ("https", "407 Proxy Authentication Required", r"the proxy requires .* SWR_ADAPTER_PROXY"),
            ("https", "403 Forbidden", r"the proxy denies a connection to swr\.example \(403\)"),
        ],
    )
    def test_a_proxy(
        self, swr: RawServer, credentials: Credentials, clock: Clock, scheme: str, status: str, words: str
    ) -> None:
        swr.answer("GET" if scheme == "http" else "CONNECT", answer(status))
        swr.answer("GET http://swr.example", answer(status))
        client = client_at(f"{scheme}://swr.example", proxy=swr.url)
        with pytest.raises(Unexpected, match=words):
            client.uploads.start(Repository(credentials, REPOSITORY))
        with pytest.raises(Unexpected, match=words):
            client.registry.blob(Repository(credentials, REPOSITORY), DIGEST)
        assert clock.waits == []

    @pytest.mark.parametrize("value", ["\xa0a/b", "a\x01b", "a/b\r\nX: y", "\xe4", " a", "\x7f"], ids=ascii)
    def test_a_header_that_cannot_be_sent(
        self, swr: RawServer, credentials: Credentials, clock: Clock, value: str
    ) -> None:
        client = client_at(swr.url)
        asks: list[Callable[[], object]] = [
            lambda: client.registry.manifest(Repository(credentials, REPOSITORY), "v1", value, head=False),
            lambda: client.registry.open_blob(Repository(credentials, REPOSITORY), DIGEST, value),
            lambda: client.registry.put_manifest(
                Repository(credentials, REPOSITORY), "v1", b"{}", value, digest_of(b"{}")
            ),
        ]
        for ask in asks:
            with pytest.raises(InvalidRequest, match="has invalid characters"):
                ask()
        assert clock.waits == []
        assert swr.asked == []

    def test_an_expired_address_is_asked_for_anew(self, swr: RawServer, credentials: Credentials) -> None:
        expired = answer("403 Forbidden", body=b"<Error><Code>AccessDenied</Code><Message>expired</Message></Error>")
        blob = f"GET /v2/team/app/blobs/{DIGEST}"
        with raw_server("127.0.0.3") as store:
            swr.answer(blob, answer("307 x", f"Location: {store.url}/a"), answer("307 x", f"Location: {store.url}/b"))
            store.answer("GET /a", expired)
            store.answer("GET /b", answer("200 OK", body=LAYER))
            with client_at(swr.url).registry.open_blob(Repository(credentials, REPOSITORY), DIGEST) as response:
                assert response.content == LAYER
            store.answer("GET /b", expired)
            store.asked.clear()
            with pytest.raises(Unexpected, match=r"the object store 127\.0\.0\.3 rejected .*\(403 AccessDenied\)"):
                client_at(swr.url).registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)
            assert store.asked == ["GET /b", "GET /b"]

    @pytest.mark.parametrize(
        ("status", "code"), [("404 Not Found", "NoSuchBucket"), ("404 Not Found", ""), ("400 Bad Request", "NoSuchKey")]
    )
    def test_a_store_without_the_blob_does_not_speak_for_the_registry(
        self, swr: RawServer, credentials: Credentials, status: str, code: str
    ) -> None:
        with raw_server("127.0.0.3") as store:
            swr.answer(f"GET /v2/team/app/blobs/{DIGEST}", answer("307 x", f"Location: {store.url}/a"))
            store.answer("GET", answer(status, body=f"<Error><Code>{code}</Code></Error>".encode()))
            with pytest.raises(Unexpected, match=rf"127\.0\.0\.3 .*\({status[:3]}.*{code}\)"):
                client_at(swr.url).registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)
