"""Connections to SWR: responses before the end of a request body, reuse and idle time; plain and over TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from urllib3.util.ssl_ import create_urllib3_context

from adapter.errors import Unexpected, UpstreamError
from adapter.http import pools, tls
from adapter.http.pools import PooledAdapter
from adapter.http.upstream_connections import _EarlyResponseMixin
from adapter.settings import SPARE_THREADS, Settings
from adapter.swr.response_body import error_response_of, read_document, settle
from adapter.swr.retry import IDEMPOTENT, STREAMED_UPLOAD
from adapter.swr.transport import Transport
from tests.attacks.raw import OK, PLAIN_AND_TLS, RawServer
from tests.contract.http import eventually

SIZE = 64 << 20
REFUSAL = b'{"errors":[{"code":"SIZE_INVALID","message":"too large"}]}'
ANSWER = b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n%s" % (len(REFUSAL), REFUSAL)

SHORT = replace(STREAMED_UPLOAD, response_seconds=2.0)
"""For a response that has arrived already."""


class Sized:
    def __len__(self) -> int:
        return SIZE

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(SIZE >> 20):
            yield bytes(1 << 20)


def put(raw: RawServer, transport: Transport) -> int:
    refusal = error_response_of(transport.send("PUT", raw.url, headers={}, access_key=None, body=Sized(), policy=SHORT))
    assert refusal.message == "too large"
    return refusal.status


@pytest.fixture
def end() -> Iterator[threading.Event]:
    """Ends what waits for it on the server."""
    found = threading.Event()
    yield found
    found.set()


@PLAIN_AND_TLS
@pytest.mark.parametrize("reads", [0, 1, SIZE], ids=["no body", "part of the body", "the body"])
@pytest.mark.parametrize("stays", [False, True], ids=["then closes", "then stays"])
def test_an_early_error_is_returned(
    raw: RawServer, transport: Transport, end: threading.Event, reads: int, stays: bool
) -> None:
    def respond(connection: socket.socket) -> None:
        if reads == 1:
            connection.recv(1 << 20)
        connection.sendall(ANSWER)
        while reads == SIZE and connection.recv(1 << 20):
            pass
        assert not stays or end.wait(5)

    raw.answer("PUT", respond)
    assert put(raw, transport) == 413


@PLAIN_AND_TLS
@pytest.mark.parametrize("body", [Sized(), bytes(SIZE)], ids=["streamed", "from memory"])
def test_an_early_success_raises_and_is_not_repeated(
    raw: RawServer, transport: Transport, end: threading.Event, body: Any
) -> None:
    def respond(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        end.wait(5)

    raw.answer("PUT", respond)
    with pytest.raises(Unexpected, match="before the whole body was sent"):
        transport.send("PUT", raw.url, headers={}, access_key=None, body=body, policy=IDEMPOTENT)
    assert len(raw.asked) == 1


@PLAIN_AND_TLS
@pytest.mark.parametrize("stays", [False, True], ids=["closes", "stops reading"])
def test_a_server_that_closes_or_stops_reading_raises(
    raw: RawServer, transport: Transport, end: threading.Event, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_EarlyResponseMixin, "send_timeout", 0.3)
    raw.answer("PUT", lambda _: end.wait(5) if stays else None)  # type: ignore[arg-type]
    with pytest.raises(UpstreamError):
        put(raw, transport)


def test_an_authority_without_key_usage_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 creates strict contexts, which reject Harbor's internal CA."""

    def strict() -> ssl.SSLContext:
        context = create_urllib3_context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(tls, "create_urllib3_context", strict)
    context = tls.tls_context(None)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    ("method", "idle_seconds", "connections"), [("GET", 60.0, 1), ("HEAD", 60.0, 1), ("GET", 0.0, 6)]
)
def test_a_connection_is_reused_unless_it_was_idle_for_long(
    raw: RawServer,
    transport: Transport,
    method: str,
    idle_seconds: float,
    connections: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_EarlyResponseMixin, "max_idle_seconds", idle_seconds)

    def respond(connection: socket.socket) -> None:
        connection.sendall(OK if method == "GET" else OK.removesuffix(b"{}"))
        while connection.recv(4096):
            connection.sendall(OK if method == "GET" else OK.removesuffix(b"{}"))

    raw.answer(method, respond)
    for _ in range(3):
        settle(transport.send(method, raw.url, headers={}, access_key=None))
        read_document(transport.send(method, raw.url, headers={}, access_key=None))
    assert len(raw.asked) == connections


def idle_threads() -> int:
    return sum(thread.name == "idle-connections" for thread in threading.enumerate())


@PLAIN_AND_TLS
@pytest.mark.parametrize("too_old", [False, True], ids=["closed by SWR", "too old"])
def test_idle_connections_are_closed_without_traffic(
    raw: RawServer, transport: Transport, end: threading.Event, too_old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_EarlyResponseMixin, "max_idle_seconds", 0.2 if too_old else 60.0)
    monkeypatch.setattr(pools, "_IDLE_CHECK_SECONDS", 0.1)
    eventually(lambda: idle_threads() == 0, 20)

    def respond(connection: socket.socket) -> None:
        connection.sendall(OK)
        if too_old:
            connection.recv(1)
            end.set()

    raw.answer("GET", respond)
    settle(transport.send("GET", raw.url, headers={}, access_key=None))
    (pool,) = cast("PooledAdapter", transport._adapter)._idle._pools
    eventually(lambda: all(each is None for each in pool.pool.queue))
    assert not too_old or end.wait(10)
    assert pool.pool.qsize() == Settings().threads + SPARE_THREADS
    # The thread ends with its last connection.
    eventually(lambda: idle_threads() == 0)
