"""Content that is received past urllib3: plain and over TLS, from raw servers."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from urllib3.exceptions import HTTPError

from adapter.http import request_context
from adapter.settings import Settings
from adapter.swr import body_reader
from adapter.swr.body_reader import LAST_BYTES, BodyReader, body_reader_for
from adapter.swr.retry import IDEMPOTENT
from adapter.swr.transport import Transport
from adapter.transfer.download import Download
from tests.certificates import Certificate

DATA = random.Random(8).randbytes((3 << 20) + 4567)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(DATA)

Serve = Callable[[socket.socket], None]
Ask = Callable[[], requests.Response]


@pytest.fixture(params=["plain", "tls"])
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> Certificate | None:
    return Certificate(tmp_path) if request.param == "tls" else None


@contextlib.contextmanager
def server_of(serve: Serve, certificate: Certificate | None, requests_: int = 1) -> Iterator[tuple[Transport, Ask]]:
    """Serves one connection, so many requests on it; gives a client, and what asks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def run() -> None:
            with contextlib.suppress(OSError):
                plain, _ = listener.accept()
                plain.settimeout(10)
                with plain if certificate is None else secured(plain, certificate) as connection:
                    for _ in range(requests_):
                        if connection.recv(65536):
                            serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        settings = Settings(ca_bundle=certificate.authority) if certificate else Settings()
        with Transport(settings) as transport:
            url = f"{'https' if certificate else 'http'}://127.0.0.1:{listener.getsockname()[1]}/"
            yield transport, lambda: transport.send("GET", url, headers={}, access_key=None, policy=IDEMPOTENT)
        thread.join(15)
        assert not thread.is_alive()


def secured(plain: socket.socket, certificate: Certificate) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    return context.wrap_socket(plain, server_side=True)


def whole(connection: socket.socket) -> None:
    connection.sendall(HEAD + DATA)


def opened(response: requests.Response) -> BodyReader:
    found = body_reader_for(response)
    assert found is not None
    return found


def socket_of(response: requests.Response) -> socket.socket:
    return opened(response)._connection


def received(response: requests.Response, size: int = 1 << 20) -> bytes:
    taken = opened(response)
    buffer = memoryview(bytearray(size))
    with taken.nonblocking():
        data = bytearray(taken.first(size))
        while taken.left and (count := taken.fill(buffer)):
            data += buffer[:count]
        if not taken.left:
            taken.last()
    if not taken.left:
        data += b"".join(response.raw.stream(1 << 20, decode_content=False))
    return bytes(data)


@pytest.mark.parametrize("size", [1 << 20, 70_001])
def test_all_of_it_and_the_connection_is_good_for_more(certificate: Certificate | None, size: int) -> None:
    with server_of(whole, certificate, requests_=2) as (_, ask):
        for _ in range(2):
            response = ask()
            assert received(response, size) == DATA
            response.close()


@pytest.mark.parametrize("size", [2, 3, 5000, 9000, 20_000])
def test_one_that_came_along_with_the_head(certificate: Certificate | None, size: int) -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, DATA[:size]))

    with server_of(serve, certificate, requests_=2) as (_, ask):
        for _ in range(2):
            response = ask()
            assert received(response) == DATA[:size]
            response.close()


@pytest.mark.parametrize("end", [0, 1, 100_000, len(DATA) - LAST_BYTES, len(DATA) - 1], ids=str)
def test_an_early_end(certificate: Certificate | None, end: int) -> None:
    def cut(connection: socket.socket) -> None:
        connection.sendall(HEAD + DATA[:end])
        connection.shutdown(socket.SHUT_RDWR)

    with (
        server_of(cut, certificate) as (_, ask),
        contextlib.closing(ask()) as response,
        contextlib.suppress(HTTPError),
    ):
        assert received(response) == DATA[:end]
        assert end < len(DATA) - LAST_BYTES, "its end is urllib3's to judge"


def test_what_comes_slowly_is_not_held_back(certificate: Certificate | None) -> None:
    go = threading.Event()

    def pausing(connection: socket.socket) -> None:
        connection.sendall(HEAD + DATA[:200_000])
        go.wait(10)
        connection.sendall(DATA[200_000:])

    with server_of(pausing, certificate) as (_, ask):
        response = ask()
        taken = opened(response)
        buffer = memoryview(bytearray(1 << 20))
        with taken.nonblocking():
            data = bytearray(taken.first(10_000_000))
            while len(data) < 200_000:
                data += buffer[: taken.fill(buffer)]
            go.set()
            while taken.left:
                data += buffer[: taken.fill(buffer)]
        assert data == DATA[:-LAST_BYTES]
        response.close()


def stalling_at(place: int, over: threading.Event) -> Serve:
    def stall(connection: socket.socket) -> None:
        connection.sendall(HEAD + DATA[:place])
        over.wait(10)

    return stall


PLACES = pytest.mark.parametrize("place", [0, 1, 300_000, len(DATA) - LAST_BYTES], ids=str)


@PLACES
def test_swr_that_stalls_is_given_up(
    certificate: Certificate | None, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_reader, "STALL_SECONDS", 0.2)
    over = threading.Event()
    with server_of(stalling_at(place, over), certificate) as (_, ask):
        response = ask()
        with pytest.raises(TimeoutError, match="stopped sending"):
            received(response)
        over.set()
        response.close()


@PLACES
def test_a_caller_that_leaves_waits_for_nothing(
    certificate: Certificate | None, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_reader, "DISCONNECT_POLL_SECONDS", 0.05)
    over = threading.Event()
    ours, far = socket.socketpair()
    with server_of(stalling_at(place, over), certificate) as (_, ask), ours:
        response = ask()
        token = request_context.current_request.set(request_context.RequestContext(ours))
        far.close()
        with pytest.raises(ConnectionAbortedError):
            received(response)
        request_context.current_request.reset(token)
        over.set()
        response.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: %d\r\n\r\n" % LAST_BYTES + bytes(LAST_BYTES),
        b"Transfer-Encoding: chunked\r\n\r\n40000\r\n" + bytes(0x40000) + b"\r\n0\r\n\r\n",
        b"Connection: close\r\n\r\n" + bytes(9),
    ],
    ids=["short", "chunked", "of unknown length"],
)
def test_others_are_left_to_urllib3(answer: bytes) -> None:
    def other(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + answer)
        connection.shutdown(socket.SHUT_WR)

    with server_of(other, None) as (_, ask):
        response = ask()
        assert body_reader_for(response) is None
        assert set(b"".join(response.raw.stream(1 << 20))) == {0}


def test_insides_that_have_changed() -> None:
    assert body_reader_for(requests.Response()) is None


# As a download


def test_a_download_goes_past_the_server(certificate: Certificate | None) -> None:
    ours, far = socket.socketpair()
    told: list[int] = []
    passed = bytearray()

    def take() -> None:
        while block := far.recv(1 << 20):
            passed.extend(block)

    with server_of(whole, certificate) as (_, ask), ours, far:
        taker = threading.Thread(target=take)
        taker.start()
        download = Download(ask(), ours, told.append)
        blocks = list(download)
        download.close()
        ours.shutdown(socket.SHUT_RDWR)
        taker.join(10)
    assert blocks[0] + passed + b"".join(blocks[1:]) == DATA
    assert sum(told) == len(passed) > len(DATA) // 2


@pytest.mark.parametrize("end", [150_000, len(DATA) - LAST_BYTES, len(DATA) - 1])
def test_a_download_that_swr_ends_early_is_cut(end: int) -> None:
    def cut(connection: socket.socket) -> None:
        connection.sendall(HEAD + DATA[:end])

    ours, far = socket.socketpair()
    with server_of(cut, None) as (_, ask), ours, far:
        taker = threading.Thread(target=lambda: [None for _ in iter(lambda: far.recv(1 << 20), b"")])
        taker.start()
        download = Download(ask(), ours)
        with pytest.raises(ConnectionResetError):
            list(download)
        download.close()
        ours.close()
        taker.join(10)
        assert not taker.is_alive()


def test_the_caller_that_leaves_is_no_fault_of_swr() -> None:
    ours, far = socket.socketpair()
    with server_of(whole, None) as (_, ask), ours:
        download = Download(ask(), ours)
        far.close()
        with pytest.raises(BrokenPipeError):
            list(download)
        connection = socket_of(download._response)
        download.close()
        assert connection.fileno() < 0 or select.select([connection], [], [], 0)
