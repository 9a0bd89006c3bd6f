"""SWR unreachable or busy: reads fail soon, so that Harbor serves its own copy; uploads are repeated."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from adapter.credentials import parse_credentials
from adapter.errors import AdapterError, InvalidRequest, TimedOut, Unavailable, Unexpected, Unreachable
from adapter.http import resolver
from adapter.references import digest_of
from adapter.settings import RegionHosts, Settings
from adapter.swr import retry, transport
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.retry import READ, for_upload
from tests.attacks.raw import RawServer, answer, raw_server
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY
from tests.services import free_ports
from tests.swr.scripted import jwt

LAYER = b"a layer"
DIGEST = digest_of(LAYER)
ACCEPT = "application/vnd.docker.distribution.manifest.v2+json"
BUSY = answer("503 Service Unavailable")
UPLOADS = "POST /v2/team/app/blobs/uploads/"

Read = Callable[[SwrClient, Repository], Any]
READS: dict[str, Read] = {
    "manifest": lambda client, who: client.registry.manifest(who, "v1", ACCEPT, head=True),
    "blob": lambda client, who: client.registry.blob(who, DIGEST),
    "content": lambda client, who: client.registry.open_blob(who, DIGEST),
    "repositories": lambda client, who: client.catalog.repositories(who.credentials, "team"),
    "tags": lambda client, who: client.catalog.tags(who),
    "organizations": lambda client, who: client.organizations.all(who.credentials),
}


class Clock:
    """Time that passes only in waits, in addition to the real time. `hook` is called after each wait."""

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
    # The longest possible waits.
    monkeypatch.setattr(transport, "backoff", lambda number, told: retry.backoff(number, told, spread=1.0))
    return found


@pytest.fixture
def other(repository: Repository) -> Repository:
    """The repository with the credentials of another account."""
    return replace(repository, credentials=parse_credentials(f"eu-de@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, ["eu-de"]))


def put(client: SwrClient, repository: Repository, media_type: str = ACCEPT) -> str:
    return client.registry.put_manifest(repository, "v1", b"{}", media_type, digest_of(b"{}"))


def client_at(url: str, **settings: Any) -> SwrClient:
    return SwrClient.build(Settings(regions={"eu-de": RegionHosts(url, url)}, requests_per_second=0.0, **settings))


@pytest.fixture
def nobody() -> SwrClient:
    return client_at(f"http://127.0.0.1:{free_ports(1)[0]}")


class TestUnreachable:
    @pytest.mark.parametrize("read", READS.values(), ids=READS)
    def test_a_read_fails_within_5_s_and_the_next_at_once(
        self, read: Read, nobody: SwrClient, repository: Repository, clock: Clock
    ) -> None:
        with pytest.raises(Unreachable, match="connection refused"):
            read(nobody, repository)
        assert 1 <= clock.waited <= 5
        before = len(clock.waits)
        for again in READS.values():
            with pytest.raises(Unreachable, match="connection refused"):
                again(nobody, repository)
        assert len(clock.waits) == before

    def test_an_upload_and_its_reads_are_repeated(
        self, nobody: SwrClient, repository: Repository, clock: Clock
    ) -> None:
        """A pushed index may need the manifests to which it refers."""
        with pytest.raises(Unreachable):
            READS["blob"](nobody, repository)
        sends: list[tuple[float, Callable[[], object]]] = [
            (45, lambda: nobody.uploads.start(repository)),
            (45, lambda: put(nobody, repository)),
            *((40, lambda read=READS[name]: read(nobody, repository)) for name in ("manifest", "content")),
        ]
        for seconds, send in sends:
            waited = clock.waited
            with pytest.raises(Unreachable), for_upload():
                send()
            assert clock.waited - waited > seconds

    def test_a_host_that_is_back_is_read_again(self, repository: Repository, clock: Clock) -> None:
        (port,) = free_ports(1)
        client = client_at(f"http://127.0.0.1:{port}")
        read = READS["content"]
        with pytest.raises(Unreachable):
            read(client, repository)
        with raw_server(port=port) as server:
            server.answer("GET /v2", answer("200 OK", body=LAYER))
            # An upload notices that the host is back.
            client.tokens.bearer(repository, "pull,push")
            assert read(client, repository).status_code == 200

    def test_addresses_that_drop_packets_take_5_s_together(
        self, repository: Repository, clock: Clock, monkeypatch: pytest.MonkeyPatch
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
            READS["blob"](client_at("http://swr.example"), repository)
        assert 4 <= sum(timeouts) < 5.1
        assert len(timeouts) >= 4

    def test_a_failed_connection_does_not_affect_a_successful_one(
        self, clock: Clock, repository: Repository, other: Repository
    ) -> None:
        """Another client reads while the first one waits for its next attempt."""
        (port,) = free_ports(1)
        client = client_at(f"http://127.0.0.1:{port}")
        with ExitStack() as stack:

            def meanwhile(_: float) -> None:
                clock.hook = None
                stack.enter_context(raw_server(port=port)).answer("HEAD", answer("200 OK", body=LAYER))
                assert READS["blob"](client, other).length == len(LAYER)

            clock.hook = meanwhile
            assert READS["blob"](client, repository).length == len(LAYER)

    def test_a_failed_connection_after_responses_does_not_affect_others(
        self, clock: Clock, repository: Repository, other: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The request fails, but only its last attempt did not reach the host."""
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
                READS["blob"](client, repository)
            stack.enter_context(raw_server(port=port)).answer("HEAD", answer("200 OK", body=LAYER))
            assert READS["blob"](client, other).length == len(LAYER)

    def test_a_missing_handshake_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, transport.Transport(Settings()) as sending:
            url, policy = f"https://127.0.0.1:{silent.getsockname()[1]}", replace(READ, connect_seconds=0.3)
            with pytest.raises(TimedOut, match=r"no TLS connection to 127\.0\.0\.1 within 0\.3 s"):
                sending.send("GET", url, headers={}, access_key=None, policy=policy)


class TestUnavailable:
    def test_a_manifest_fails_within_20_s_and_the_next_after_one_attempt(
        self, swr: RawServer, repository: Repository, other: Repository, clock: Clock
    ) -> None:
        swr.answer("HEAD", BUSY)
        swr.answer("GET /v2", BUSY)
        client = client_at(swr.url)
        with pytest.raises(Unavailable):
            READS["manifest"](client, repository)
        assert 8 <= clock.waited <= 20
        asked, waited = len(swr.asked), clock.waited
        assert asked <= 10
        with pytest.raises(Unavailable):
            READS["manifest"](client, repository)
        assert clock.waited == waited
        assert len(swr.asked) - asked <= 2
        # SWR may throttle one account with 503: others are not affected.
        with pytest.raises(Unavailable):
            READS["manifest"](client, other)
        assert clock.waited - waited >= 8

    def test_an_invented_secret_does_not_affect_others(
        self, swr: RawServer, repository: Repository, clock: Clock
    ) -> None:
        """Neither is accepted yet, so both share a rate limit."""
        token = answer("200 OK", body=json.dumps({"token": jwt()}).encode())
        client = client_at(swr.url)
        swr.answer("GET /swr/auth", BUSY)
        with pytest.raises(Unavailable):
            READS["manifest"](
                client, replace(repository, credentials=parse_credentials(ACCESS_ID, "made-up", ["eu-de"]))
            )
        swr.answer("GET /swr/auth", BUSY, token)
        swr.answer("HEAD", answer("200 OK", body=LAYER))
        assert READS["blob"](client, repository).length == len(LAYER)

    def test_a_busy_object_store_affects_one_account(
        self, swr: RawServer, repository: Repository, other: Repository, clock: Clock
    ) -> None:
        client = client_at(swr.url)
        with raw_server("127.0.0.3") as store:
            swr.answer("GET /v2", answer("307 x", f"Location: {store.url}/a"))
            store.answer("GET", BUSY)
            with pytest.raises(Unavailable):
                READS["content"](client, repository)
            store.answer("GET", BUSY, answer("200 OK", body=LAYER))
            assert READS["content"](client, other).content == LAYER

    def test_a_success_ends_the_outage(self, swr: RawServer, repository: Repository, clock: Clock) -> None:
        swr.answer("HEAD", BUSY)
        client = client_at(swr.url)
        with pytest.raises(AdapterError):
            READS["blob"](client, repository)
        swr.answer("HEAD", answer("200 OK", body=LAYER), BUSY, answer("200 OK", body=LAYER))
        for _ in range(2):
            assert READS["blob"](client, repository).length == len(LAYER)

    def test_a_push_succeeds_after_twenty_503(self, swr: RawServer, repository: Repository, clock: Clock) -> None:
        client = client_at(swr.url)
        swr.answer("HEAD", BUSY)
        with pytest.raises(AdapterError):
            READS["blob"](client, repository)
        swr.answer(UPLOADS, *[BUSY] * 20, answer("202 Accepted", "Location: /up"))
        swr.answer("PUT /up", answer("201 Created"))
        swr.answer("PUT /v2", *[BUSY] * 12, answer("201 Created"))
        location = client.uploads.start(repository)
        client.uploads.finish(repository, location, DIGEST, LAYER)
        digest = digest_of(b"{}")
        assert client.registry.put_manifest(repository, "v1", b"{}", ACCEPT, digest) == digest


def coded(status: str, number: str) -> bytes:
    """In the format of the management API (`docs/facts/swr.md §4.12`)."""
    return answer(status, body=b'[{"errorCode": "SVCSTG.SWR.%b", "errorMessage": "x"}]' % number.encode())


class TestPassing:
    """Errors that are temporary according to SWR's code, whatever their status."""

    @pytest.mark.parametrize(
        ("refusal", "status"),
        [
            (coded("409 Conflict", "4090023"), 503),
            (coded("403 Forbidden", "4031032"), 429),
            (coded("403 No", "4031042"), 429),
        ],
    )
    def test_a_temporary_error_is_repeated_and_keeps_its_status(
        self, swr: RawServer, repository: Repository, clock: Clock, refusal: bytes, status: int
    ) -> None:
        client = client_at(swr.url)
        swr.answer("PUT /v2", refusal, refusal, answer("201 Created"))
        assert put(client, repository) == digest_of(b"{}")
        assert len(clock.waits) == 2
        swr.answer("POST /v2/manage/namespaces", refusal, answer("201 Created"))
        client.management.create_organization(repository.credentials, "team")
        sends: list[Callable[[], object]] = [
            lambda: put(client, repository),
            lambda: client.uploads.finish(repository, "/up", DIGEST, LAYER),
            lambda: client.uploads.finish(repository, "/up", DIGEST, iter([LAYER])),
            lambda: client.organizations.create(repository.credentials, "team2"),
            lambda: client.catalog.repositories(repository.credentials, "team"),
        ]
        for start in ("PUT /v2", "PUT", "POST /v2/manage/namespaces", "POST", "GET /v2"):
            swr.answer(start, refusal)
        for send in sends:
            with pytest.raises(AdapterError) as caught:
                send()
            assert caught.value.status == status, caught.value.sentence
        assert swr.tokens <= 2, "the error does not discard a token"

    @pytest.mark.parametrize("refusal", [coded("409 Conflict", "4090006"), coded("403 Forbidden", "4039002")])
    def test_another_error_is_not_repeated(
        self, swr: RawServer, repository: Repository, clock: Clock, refusal: bytes
    ) -> None:
        swr.answer("PUT", refusal)
        with pytest.raises(AdapterError):
            put(client_at(swr.url), repository)
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
    def test_a_rejection_of_the_proxy_is_named(
        self, swr: RawServer, repository: Repository, clock: Clock, scheme: str, status: str, words: str
    ) -> None:
        swr.answer("GET" if scheme == "http" else "CONNECT", answer(status))
        swr.answer("GET http://swr.example", answer(status))
        client = client_at(f"{scheme}://swr.example", proxy=swr.url)
        with pytest.raises(Unexpected, match=words):
            client.uploads.start(repository)
        with pytest.raises(Unexpected, match=words):
            client.registry.blob(repository, DIGEST)
        assert clock.waits == []

    @pytest.mark.parametrize("value", ["\xa0a/b", "a\x01b", "a/b\r\nX: y", "\xe4", " a", "\x7f"], ids=ascii)
    def test_a_header_with_invalid_characters_is_not_sent(
        self, swr: RawServer, repository: Repository, clock: Clock, value: str
    ) -> None:
        client = client_at(swr.url)
        sends: list[Callable[[], object]] = [
            lambda: client.registry.manifest(repository, "v1", value, head=False),
            lambda: client.registry.open_blob(repository, DIGEST, value),
            lambda: put(client, repository, value),
        ]
        for send in sends:
            with pytest.raises(InvalidRequest, match="has invalid characters"):
                send()
        assert (clock.waits, swr.asked) == ([], [])

    def test_an_expired_redirect_is_requested_again(self, swr: RawServer, repository: Repository) -> None:
        expired = answer("403 Forbidden", body=b"<Error><Code>AccessDenied</Code><Message>expired</Message></Error>")
        blob = f"GET /v2/team/app/blobs/{DIGEST}"
        with raw_server("127.0.0.3") as store:
            swr.answer(blob, answer("307 x", f"Location: {store.url}/a"), answer("307 x", f"Location: {store.url}/b"))
            store.answer("GET /a", expired)
            store.answer("GET /b", answer("200 OK", body=LAYER))
            with client_at(swr.url).registry.open_blob(repository, DIGEST) as response:
                assert response.content == LAYER
            store.answer("GET /b", expired)
            store.asked.clear()
            with pytest.raises(Unexpected, match=r"the object store 127\.0\.0\.3 rejected .*\(403 AccessDenied\)"):
                client_at(swr.url).registry.open_blob(repository, DIGEST)
            assert store.asked == ["GET /b", "GET /b"]
            # A missing object in the store is no missing blob in the registry.
            for status, code in (("404 Not Found", "NoSuchBucket"), ("404 Not Found", ""), ("400 x", "NoSuchKey")):
                store.answer("GET /b", answer(status, body=f"<Error><Code>{code}</Code></Error>".encode()))
                with pytest.raises(Unexpected, match=rf"127\.0\.0\.3 .*\({status[:3]}.*{code}\)"):
                    client_at(swr.url).registry.open_blob(repository, DIGEST)
