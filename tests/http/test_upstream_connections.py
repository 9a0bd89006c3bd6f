"""What SWR says while a body is still being sent must come through: plain and over TLS, against raw servers."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
from urllib3.util.ssl_ import create_urllib3_context

from adapter.errors import TimedOut, Unexpected, UpstreamError
from adapter.http import pools, tls
from adapter.http.pools import PooledAdapter
from adapter.http.upstream_connections import _EarlyResponseMixin
from adapter.settings import SPARE_THREADS, Settings
from adapter.swr.response_body import error_response_of, read_document, settle
from adapter.swr.retry import IDEMPOTENT, STREAMED_UPLOAD
from adapter.swr.transport import Transport
from tests.contract.http import eventually

SIZE = 64 << 20
REFUSAL = b'{"errors":[{"code":"SIZE_INVALID","message":"too large"}]}'
ANSWER = b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n%s" % (len(REFUSAL), REFUSAL)

SHORT = replace(STREAMED_UPLOAD, response_seconds=2.0)
"""For an answer that is there already."""

Behaviour = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.contextmanager
def server_of(behaviour: Behaviour, authority: trustme.CA | None) -> Iterator[str]:
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                # As servers do: a small answer that waits for an acknowledgement dies with the connection.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if context is None:
                    behaviour(connection)
                else:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        behaviour(secured)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"{'https' if authority else 'http'}://127.0.0.1:{listener.getsockname()[1]}/x"
        thread.join(15)
        assert not thread.is_alive()


def blocks() -> Iterator[bytes]:
    for _ in range(SIZE >> 20):
        yield bytes(1 << 20)


class Sized:
    def __len__(self) -> int:
        return SIZE

    def __iter__(self) -> Iterator[bytes]:
        return blocks()


def put(url: str, authority: trustme.CA | None, tmp_path: Path) -> int:
    bundle = None
    if authority is not None:
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
    with Transport(Settings(requests_per_second=0, ca_bundle=bundle)) as transport:
        refusal = error_response_of(transport.send("PUT", url, headers={}, access_key=None, body=Sized(), policy=SHORT))
    assert refusal.message == "too large"
    return refusal.status


def read_head(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        block = connection.recv(4096)
        if not block:
            raise ConnectionResetError
        data += block


def answer_then_close(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(ANSWER)


def answer_then_read_on(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(ANSWER)
    while connection.recv(1 << 20):
        pass


def answer_in_the_body_then_stay(connection: socket.socket) -> None:
    """As servers that would keep the connection: whoever waits for its end waits for ever."""
    read_head(connection)
    connection.recv(1 << 20)
    connection.sendall(ANSWER)
    stalled.wait(5)


def answer_then_stall(connection: socket.socket) -> None:
    """Neither reads nor closes until the client gives up."""
    read_head(connection)
    connection.sendall(ANSWER)
    stalled.wait(5)


stalled = threading.Event()


BEHAVIOURS = [answer_then_close, answer_then_read_on, answer_then_stall, answer_in_the_body_then_stay]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_an_early_answer_is_heard(behaviour: Behaviour, secured: bool, authority: trustme.CA, tmp_path: Path) -> None:
    stalled.clear()
    ca = authority if secured else None
    with server_of(behaviour, ca) as url:
        try:
            assert put(url, ca, tmp_path) == 413
        finally:
            stalled.set()


def success_without_reading(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    stalled.wait(5)


@pytest.mark.parametrize("body", [Sized(), bytes(SIZE)], ids=["streamed", "from memory"])
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_an_early_success_is_not_believed_nor_tried_again(
    body: Any, secured: bool, authority: trustme.CA, tmp_path: Path
) -> None:
    bundle = None
    if secured:
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
    stalled.clear()
    with (
        server_of(success_without_reading, authority if secured else None) as url,
        Transport(Settings(requests_per_second=0, ca_bundle=bundle)) as transport,
    ):
        with pytest.raises(Unexpected, match="before the whole body was sent"):
            transport.send("PUT", url, headers={}, access_key=None, body=body, policy=IDEMPOTENT)
        stalled.set()


def die(connection: socket.socket) -> None:
    read_head(connection)


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_a_server_that_dies_is_an_error(secured: bool, authority: trustme.CA, tmp_path: Path) -> None:
    ca = authority if secured else None
    with server_of(die, ca) as url, pytest.raises(UpstreamError):
        put(url, ca, tmp_path)


def stop_reading(connection: socket.socket) -> None:
    read_head(connection)
    stalled.wait(5)


def test_a_server_that_stops_reading_is_given_up(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_EarlyResponseMixin, "send_timeout", 0.3)
    stalled.clear()
    with server_of(stop_reading, None) as url:
        try:
            with pytest.raises((TimedOut, UpstreamError)):
                put(url, None, tmp_path)
        finally:
            stalled.set()


def test_private_authorities_need_no_extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 makes strict contexts; Harbor's internal CA has no key usage and would be refused by one."""

    def strict() -> ssl.SSLContext:
        context = create_urllib3_context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(tls, "create_urllib3_context", strict)
    context = tls.tls_context(None)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@contextlib.contextmanager
def counting_server() -> Iterator[tuple[str, list[int]]]:
    """Answers every request of every connection; the list has one entry for each connection."""
    accepted: list[int] = []

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while head := connection.recv(4096):
                body = b"" if head.startswith(b"HEAD") else b"{}"
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body)

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, address = listener.accept()
                accepted.append(address[1])
                threading.Thread(target=talk, args=[connection], daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=accept, args=[listener])
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/", accepted
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_connections_are_used_again(method: str) -> None:
    with counting_server() as (url, accepted), Transport(Settings(requests_per_second=0)) as transport:
        for _ in range(3):
            settle(transport.send(method, url, headers={}, access_key=None))
            read_document(transport.send(method, url, headers={}, access_key=None))
    assert len(accepted) == 1


def test_a_connection_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_EarlyResponseMixin, "max_idle_seconds", 0.0)
    with counting_server() as (url, accepted), Transport(Settings(requests_per_second=0)) as transport:
        for _ in range(2):
            settle(transport.send("GET", url, headers={}, access_key=None))
    assert len(accepted) == 2


def answer_once(connection: socket.socket) -> None:
    """Ends the connection after its answer, without a word of that."""
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def answer_and_wait(connection: socket.socket) -> None:
    """Leaves it to the other side to end the connection."""
    answer_once(connection)
    connection.recv(1)
    ended.set()


ended = threading.Event()


def idle_threads() -> int:
    return sum(thread.name == "idle-connections" for thread in threading.enumerate())


@pytest.mark.parametrize("behaviour", [answer_once, answer_and_wait], ids=["ended by SWR", "too old"])
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_idle_connections_are_closed_without_traffic(
    behaviour: Behaviour, secured: bool, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_EarlyResponseMixin, "max_idle_seconds", 0.2 if behaviour is answer_and_wait else 60.0)
    monkeypatch.setattr(pools, "_IDLE_CHECK_SECONDS", 0.1)
    ended.clear()
    eventually(lambda: idle_threads() == 0, 20)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with (
        server_of(behaviour, authority if secured else None) as url,
        Transport(Settings(requests_per_second=0, ca_bundle=bundle)) as transport,
    ):
        settle(transport.send("GET", url, headers={}, access_key=None))
        (pool,) = cast("PooledAdapter", transport._adapter)._idle._pools
        eventually(lambda: all(each is None for each in pool.pool.queue))
        assert behaviour is answer_once or ended.wait(10)
        assert pool.pool.qsize() == Settings().threads + SPARE_THREADS
        # The thread has ended with its last connection.
        eventually(lambda: idle_threads() == 0)
