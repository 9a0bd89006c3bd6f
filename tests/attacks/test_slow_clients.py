"""Clients that send a body, or receive a response, slowly or not at all: each has its own time limit."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import pytest
from gunicorn.config import Config

from adapter.inbound_connection import Connection, PacedSocket, PacedTLSSocket
from adapter.listeners import Listener
from adapter.transfer.request_body import BLOB, Pace
from tests.certificates import Certificate
from tests.contract.stubbed import DIGEST, Stubbed
from tests.transfer.test_body_source import Server, answer, echoing, head

IDLE_SECONDS = 600.0
"""Timeout of the server for a silent connection: no test takes that long."""
GRACE_SECONDS = 0.3
MAX_PIECES = 60
"""Far more than a client sends in `GRACE_SECONDS`, and far fewer than any body here has."""
THREADS = 8
"""Of the server."""
BUFFER_BYTES = 4096
"""Receive buffer of a client."""
UNSENT_BYTES = 1 << 18
UNREACHED_RATE = 1 << 40
"""Bytes a second that no client reaches, so that only the grace counts."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["plain", "TLS"])
def server(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[Server]:
    with echoing(certificate if request.param == "TLS" else None, IDLE_SECONDS) as server:
        yield server


class TestBody:
    @pytest.mark.parametrize(
        ("length", "sent"),
        [(1_000_000, b"{"), (None, b""), (None, b"f4240\r\n{"), (None, b"f42"), (None, b"1\r\n{\r")],
        ids=["length", "chunked", "chunked, a byte", "half a chunk size", "half a chunk end"],
    )
    def test_silence_ends_the_body(self, server: Server, length: int | None, sent: bytes) -> None:
        with server.connect() as connection:
            connection.sendall(head(length, f"/socket?grace={GRACE_SECONDS}") + sent)
            assert "the body" in answer(connection)["failure"]

    @pytest.mark.parametrize(
        ("length", "first", "piece"),
        [
            (1_000_000, b"", b"x"),
            (None, b"f4240\r\n", b"x"),
            (None, b"", b"1\r\nx\r\n"),
            (None, b"1;a=", b"x"),
            (None, b"0\r\na: ", b"x"),
        ],
        ids=["length", "in a chunk", "chunk by chunk", "in a chunk's extension", "in a trailer"],
    )
    def test_trickle_ends_the_body(self, server: Server, length: int | None, first: bytes, piece: bytes) -> None:
        """Each byte comes long before the timeout of the connection."""
        with server.connect() as connection:
            connection.sendall(head(length, f"/socket?grace={GRACE_SECONDS}") + first)
            connection.settimeout(0.05)
            for count in itertools.count():
                assert count < MAX_PIECES, "the body goes on"
                try:
                    byte = connection.recv(1)
                    break
                except TimeoutError:
                    connection.sendall(piece)
            connection.settimeout(20)
            assert "the body" in answer(connection, byte)["failure"]

    @pytest.mark.parametrize("length", [40, None])
    def test_body_in_time_is_whole_and_keeps_the_connection(self, server: Server, length: int | None) -> None:
        with server.connect() as connection:
            for _ in range(2):
                connection.sendall(head(length, f"/socket?grace={GRACE_SECONDS}"))
                for _part in range(4):
                    connection.sendall(b"a" * 10 if length else b"a\r\n" + b"a" * 10 + b"\r\n")
                connection.sendall(b"" if length else b"0\r\n\r\n")
                report = answer(connection)
                assert (report["received"], report["failure"]) == (40, None)


def connect(server: Server) -> socket.socket:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    plain.settimeout(20)
    plain.connect(("127.0.0.1", server.port))
    return plain if server.context is None else server.context.wrap_socket(plain, server_hostname="localhost")


def test_requests_behind_unread_responses_hold_no_thread(server: Server) -> None:
    """One connection more than there are threads, each with more responses than the kernel keeps for it."""
    requests = 40
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(THREADS + 1)]
        for client in clients:
            client.sendall(head(0, "/socket?pad=50000") * requests)
        with server.connect() as another:
            another.sendall(head(0))
            assert answer(another)["failure"] is None
        # The others are served once they receive their responses.
        for _ in range(requests):
            assert answer(clients[0])["failure"] is None


@contextlib.contextmanager
def pair(certificate: Certificate | None = None) -> Iterator[tuple[PacedSocket | PacedTLSSocket, socket.socket]]:
    """The socket of the adapter, and that of its client; with TLS if there is a certificate."""
    first, client = socket.socketpair()
    for each in (first, client):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        each.settimeout(20)
    if certificate is None:
        ours: PacedSocket | PacedTLSSocket = PacedSocket(fileno=first.detach())
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
        context.sslsocket_class = PacedTLSSocket
        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(context.wrap_socket, first, server_side=True)
            client = certificate.context.wrap_socket(client, server_hostname="localhost")
            ours = cast(PacedTLSSocket, accepted.result())
    with ours, client:
        ours.settimeout(IDLE_SECONDS)
        yield ours, client


@contextlib.contextmanager
def receiving(client: socket.socket, size: int, pause: float) -> Iterator[list[int]]:
    """Receives blocks of at most `size` bytes, with a pause before each; the sizes so far."""
    received: list[int] = []
    stop = threading.Event()

    def receive() -> None:
        with contextlib.suppress(OSError):
            while not stop.wait(pause) and (block := client.recv(size)):
                received.append(len(block))

    thread = threading.Thread(target=receive)
    thread.start()
    try:
        yield received
    finally:
        stop.set()
        thread.join()


def test_too_slow_a_client_ends_the_response() -> None:
    """Bytes are received all the time, and each wait is a short one."""
    size = 100 << 20
    with pair() as (ours, client):
        with receiving(client, 1 << 14, 0.02) as received:
            ours.begin_response(Pace(0.3, UNREACHED_RATE))
            with pytest.raises(TimeoutError):
                ours.sendall(bytes(size))
        assert sum(received) < size // 10
        assert ours.gettimeout() == IDLE_SECONDS


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_received_bytes_extend_the_time(certificate: Certificate, tls: bool) -> None:
    """The grace ends long before the last byte."""
    with pair(certificate if tls else None) as (ours, client), receiving(client, 1 << 14, 0.02):
        ours.begin_response(Pace(GRACE_SECONDS, 1.0))
        ours.sendall(bytes(1 << 20))


def test_each_request_starts_with_the_pace_of_a_document() -> None:
    """Whatever was left of the time for the response before."""
    with pair() as (ours, client):
        config = cast(Listener, SimpleNamespace(cfg=Config(), address=None))
        connection = Connection(config, ours, None)
        ours.begin_response(Pace(0.0, UNREACHED_RATE))
        connection.begin()
        ours.settimeout(20)
        with receiving(client, 1 << 20, 0):
            ours.sendall(bytes(1 << 20))


def test_response_may_take_longer_than_the_timeout_of_the_connection() -> None:
    """The timeout is for each wait."""
    seconds, start = 0.5, time.monotonic()
    with pair() as (ours, client), receiving(client, 1 << 14, 0.02):
        ours.settimeout(seconds)
        ours.begin_response(Pace(20.0, 1.0))
        ours.sendall(bytes(1 << 20))
    assert time.monotonic() - start > seconds


def test_small_response_that_fits_is_sent_without_waiting() -> None:
    """The kernel would report room only for far more."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        client.connect(server.getsockname())
        accepted = server.accept()[0]
        with PacedSocket(fileno=accepted.detach()) as ours:
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            ours.settimeout(0)
            while select.select([], [ours], [], 0.3)[1]:
                ours.send(bytes(1000))
            ours.settimeout(IDLE_SECONDS)
            ours.begin_response(Pace(0.2, UNREACHED_RATE))
            ours.sendall(b"head")
            ours.sendall(b"body")


def test_request_holds_its_slot_until_its_response_is_sent() -> None:
    """Otherwise unread responses of one credential could hold all threads."""
    door = Stubbed(calls=1)
    targets = ["/v2/team/app/manifests/v1", "/api/v2.0/projects", f"/v2/team/app/blobs/{DIGEST}"]
    for target in targets[:2]:
        held = door.open(target)
        assert held.status_code == 200
        assert [door.open(each).status_code for each in targets] == [503] * 3
        held.close()
    # A download has a slot of its own.
    held = door.open(targets[2])
    for target in targets[:2]:
        with door.open(target) as response:
            assert response.status_code == 200
    held.close()


def test_download_has_the_pace_of_a_blob() -> None:
    """Harbor may throttle blobs, never manifests."""
    door, paces = Stubbed(), list[Pace]()
    for target in (f"/v2/team/app/blobs/{DIGEST}", "/v2/team/app/manifests/v1"):
        with door.open(target, {"adapter.begin_response": paces.append}) as response:
            assert response.status_code == 200
    assert paces == [BLOB]
