"""Clients that do not take their answers, or take a byte now and then."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from gunicorn.config import Config

from adapter.connection import Connection, PacedSocket, PacedTLSSocket
from adapter.listeners import Listener
from adapter.transfer.request_body import BLOB, Pace
from tests.certificates import Certificate
from tests.contract.stubbed import DIGEST, Stubbed
from tests.transfer.test_body_source import Server, answer, echoing, head

IDLE = 600.0
"""Seconds that the server waits for a client that takes nothing at all: no test lives that long."""
THREADS = 8
"""Of the server."""
FEW_BYTES = 4096
"""That a client has room for."""
UNSENT = 1 << 18


@pytest.fixture(scope="module", params=["plain", "TLS"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with echoing(Certificate(tmp_path_factory.mktemp("tls")) if request.param == "TLS" else None, IDLE) as server:
        yield server


def opened(server: Server) -> socket.socket:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FEW_BYTES)
    plain.settimeout(20)
    plain.connect(("127.0.0.1", server.port))
    return plain if server.context is None else server.context.wrap_socket(plain, server_hostname="localhost")


def test_requests_behind_answers_that_nobody_takes_hold_no_thread(server: Server) -> None:
    """One connection more than there are threads, each with more answers than the kernel keeps for it."""
    asked = 40
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(opened(server)) for _ in range(THREADS + 1)]
        for client in clients:
            client.sendall(head(0, "/socket?pad=50000") * asked)
        with server.connect() as another:
            another.sendall(head(0))
            assert answer(another)["failure"] is None
        # They are served as soon as they take what there is.
        for _ in range(asked):
            assert answer(clients[0])["failure"] is None


@contextlib.contextmanager
def pair(tls: Certificate | None) -> Iterator[tuple[PacedSocket | PacedTLSSocket, socket.socket]]:
    """Ours, and the client's."""
    first, second = socket.socketpair()
    for each in (first, second):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FEW_BYTES)
        each.settimeout(20)
    ours, client = PacedSocket(fileno=first.detach()), second
    ours.settimeout(IDLE)
    if tls is None:
        with ours, client:
            yield ours, client
        return
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.chain, tls.key)
    context.sslsocket_class = PacedTLSSocket
    said: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: said.append(tls.context.wrap_socket(client, server_hostname="localhost")))
    thread.start()
    secured = context.wrap_socket(ours, server_side=True)
    thread.join()
    assert isinstance(secured, PacedTLSSocket)
    with secured, said[0]:
        yield secured, said[0]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
class TestPace:
    def test_an_answer_that_is_taken_too_slowly_ends(self, tls: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Bytes go on being taken, and each wait is a short one."""
        certificate = Certificate(tmp_path_factory.mktemp("tls")) if tls else None
        size, over = 100 << 20, threading.Event()
        taken: list[int] = []
        with pair(certificate) as (ours, client):

            def trickle() -> None:
                with contextlib.suppress(OSError):
                    while not over.wait(0.02) and (block := client.recv(1 << 14)):
                        taken.append(len(block))

            thread = threading.Thread(target=trickle)
            thread.start()
            try:
                ours.begin_response(Pace(0.3, 1 << 40))
                with pytest.raises(TimeoutError):
                    ours.sendall(bytes(size))
            finally:
                over.set()
                thread.join()
            assert sum(taken) < size // 10
            assert ours.gettimeout() == IDLE

    def test_one_that_is_taken_fast_enough_does_not(self, tls: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
        certificate = Certificate(tmp_path_factory.mktemp("tls")) if tls else None
        size = 4 << 20
        taken: list[int] = []
        with pair(certificate) as (ours, client):

            def take() -> None:
                while sum(taken) < size:
                    taken.append(len(client.recv(1 << 16)))

            thread = threading.Thread(target=take)
            thread.start()
            ours.begin_response(Pace(5.0, 1.0))
            ours.sendall(bytes(size))
            thread.join()
        assert sum(taken) == size


def test_bytes_that_were_taken_give_more_time() -> None:
    """The time that there is at first is over long before the last byte."""
    with pair(None) as (ours, client):

        def take() -> None:
            left = 1 << 20
            for number in itertools.count():
                time.sleep(0.05 if number < 40 else 0)
                left -= len(client.recv(1 << 16))
                if not left:
                    return

        thread = threading.Thread(target=take)
        thread.start()
        ours.begin_response(Pace(1.0, 1.0))
        ours.sendall(bytes(1 << 20))
        thread.join()


def test_each_request_begins_with_the_pace_of_a_document() -> None:
    """Whatever was left of the time for the answer before."""
    with pair(None) as (ours, client):
        connection = Connection(cast(Listener, SimpleNamespace(cfg=Config(), address=None)), ours, None)
        ours.begin_response(Pace(0.0, 1 << 40))
        connection.begin()
        ours.settimeout(20)
        thread = threading.Thread(target=lambda: client.makefile("rb").read(1 << 20))
        thread.start()
        ours.sendall(bytes(1 << 20))
        thread.join()


def test_a_small_answer_that_fits_is_not_waited_with() -> None:
    """The kernel reports room for far more than that only."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FEW_BYTES)
        client.connect(server.getsockname())
        accepted = server.accept()[0]
        with PacedSocket(fileno=accepted.detach()) as ours:
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
            ours.settimeout(0)
            while select.select([], [ours], [], 0.3)[1]:
                ours.send(bytes(1000))
            ours.settimeout(IDLE)
            ours.begin_response(Pace(0.2, 1 << 40))
            ours.sendall(b"head")
            ours.sendall(b"body")


def test_a_request_has_its_slot_until_its_answer_has_gone() -> None:
    """All answers that one credential does not take must not hold all threads."""
    door = Stubbed(calls=1)
    asks = ["/v2/team/app/manifests/v1", "/api/v2.0/projects", f"/v2/team/app/blobs/{DIGEST}"]
    for target in asks[:2]:
        held = door.open(target)
        assert held.status_code == 200
        assert [door.open(each).status_code for each in asks] == [503] * 3
        held.close()
    # A download has a slot of its own.
    held = door.open(asks[2])
    for target in asks[:2]:
        with door.open(target) as answer:
            assert answer.status_code == 200
    held.close()


def test_a_download_is_taken_at_the_pace_of_a_blob() -> None:
    """Harbor may be throttled; its manifests never are."""
    door, begun = Stubbed(), list[Pace]()
    for target in (f"/v2/team/app/blobs/{DIGEST}", "/v2/team/app/manifests/v1"):
        with door.open(target, {"adapter.begin_answer": begun.append}) as answer:
            assert answer.status_code == 200
    assert begun == [BLOB]
