"""Clients that connect and stay: each listener has its own limit."""

from __future__ import annotations

import contextlib
import errno
import logging
import select
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from adapter.listeners import (
    OPERATIONS_CONNECTIONS,
    DescriptorReserve,
    Limits,
    Listener,
    ListenerConfig,
)
from adapter.request_heads import MAX_HEADERS, MAX_HEADERS_BYTES, Head
from adapter.server import MAX_CONTRACT_LINE_BYTES, PROVIDER_THREADS
from adapter.settings import SPARE_THREADS
from adapter.worker import Worker
from tests.certificates import Certificate
from tests.contract.http import Door as Client
from tests.contract.http import eventually, saying
from tests.running import RunningAdapter, running_adapter

REGIONS = {"eu-de": {"registry": "http://127.0.0.1:9", "api": "http://127.0.0.1:9"}}
NOBODY = "http://127.0.0.1:9"
FILES = 256
REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def few_files() -> Iterator[RunningAdapter]:
    """An adapter with few file descriptors."""
    with running_adapter(REGIONS, files=FILES, harbor_core_url=NOBODY) as adapter:
        yield adapter


def status(url: str, path: str) -> int:
    return Client(url, documented=False).ask("GET", path, authorization=None, timeout=5).status


def test_full_listener_ends_the_longest_silent_connection_and_disturbs_no_other(few_files: RunningAdapter) -> None:
    for data in (b"", b"GET /v2/ HT", REQUEST):
        with saying(few_files.contract, FILES + 50, data, 5) as opened:
            assert status(few_files.operations, "/probe/healthy") == 200
            assert status(few_files.provider, "/api/v2.0/nothing") == 502
            assert status(few_files.contract, "/v2/") == 401
            assert has_end(opened[0])
            assert not has_end(opened[-1])
    with (
        saying(few_files.contract, FILES, b"", 5),
        saying(few_files.provider, FILES, b"", 5),
        saying(few_files.operations, FILES, b"", 5),
    ):
        # The descriptors of the operations port are set aside.
        assert [status(few_files.operations, "/probe/healthy") for _ in range(3)] == [200] * 3
    assert few_files.service.output.count("contract listener is full") == 1


def test_client_that_sends_on_after_an_error_holds_no_thread(few_files: RunningAdapter) -> None:
    """The provider port has few threads; no connection ends before the last client has its response."""
    rejected = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: deflate\r\n\r\n"
    with saying(few_files.provider, PROVIDER_THREADS + 4, rejected, 20) as opened:
        assert [each.recv(12) for each in opened] == [b"HTTP/1.1 501"] * len(opened)

        def send() -> bool:
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                return all(each.send(b"x") for each in opened)
            return False

        # A connection that has ended fails at the second of these.
        assert [send() for _ in range(3)] == [True] * 3
        eventually(lambda: not send(), 20)


def hello() -> bytes:
    """The first message of a TLS client."""
    output = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), output, server_hostname="x").do_handshake()
    return output.read()


def test_client_that_stalls_in_tls_holds_no_thread(tmp_path: Path) -> None:
    """In the handshake, and in a head; more clients than the contract port has threads."""
    certificate = Certificate(tmp_path)
    settings = {"tls_certificate": certificate.chain, "tls_key": certificate.key, "threads": 4}
    with running_adapter(REGIONS, **settings) as adapter, ExitStack() as stack:
        door = Client(adapter.contract, context=certificate.context, documented=False)
        opened, first = [], hello()
        for number in range(SPARE_THREADS + 40):
            plain = stack.enter_context(socket.create_connection(door.address, 20))
            opened.append(plain)
            if number % 8:
                plain.sendall(first)
            else:
                tls = stack.enter_context(certificate.context.wrap_socket(plain, server_hostname="127.0.0.1"))
                tls.sendall(REQUEST[:-2])
                opened[-1] = tls
        assert door.ask("GET", "/v2/", authorization=None).status == 401
        assert not any(has_end(each) for each in opened), "the answer came when others had ended"
        for each in opened:
            if isinstance(each, ssl.SSLSocket):
                each.settimeout(20)
                each.sendall(REQUEST[-2:])
                assert each.recv(12) == b"HTTP/1.1 401"


def has_end(connection: socket.socket) -> bool:
    """Whether the other side has ended the connection, whatever it has sent before."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


@pytest.mark.parametrize("files", [100, 256, 700, 1024, 4096, 1 << 20])
def test_limits_fit_into_the_descriptors(files: int) -> None:
    limits = Limits.of(files, contract_threads=288, provider_threads=8)
    assert limits.operations == OPERATIONS_CONNECTIONS
    if files >= 256:
        beside = min(limits.contract, 288) + min(limits.provider, 8)
        assert limits.contract + limits.provider + limits.operations + beside <= files
    assert min(limits.contract, limits.provider) >= 8


def test_reserve_is_taken_and_put_back() -> None:
    reserve = DescriptorReserve(2)
    assert [reserve.take() for _ in range(3)] == [True, True, False]
    reserve.put_back()
    assert [reserve.take() for _ in range(2)] == [True, False]


class Failing:
    """A listening socket whose `accept` fails."""

    def __init__(self, server: socket.socket, number: int) -> None:
        self._server = server
        self._number = number
        self.calls = 0

    def accept(self) -> Any:
        self.calls += 1
        raise OSError(self._number, "as ordered")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


@pytest.mark.parametrize(
    ("number", "pauses"),
    [
        *((number, True) for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EPERM, errno.EPROTO)),
        *((number, False) for number in (errno.ECONNABORTED, errno.EAGAIN, errno.EINTR)),
    ],
)
def test_failed_accept_pauses_the_listener_unless_the_client_left(number: int, pauses: bool) -> None:
    """The listener stays readable, so without a pause the main loop would do nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        failing = Failing(server, number)
        worker = Worker.__new__(Worker)
        worker.poller, worker.log = selectors.DefaultSelector(), logging.getLogger()
        worker._listeners = {failing: Listener(failing, ListenerConfig(1), None)}
        worker.poller.register(failing, selectors.EVENT_READ, worker.accept)
        for _ in range(20):
            for key, _events in worker.poller.select(0):
                key.data(key.fileobj)
        assert failing.calls == (1 if pauses else 20)
        worker._resume(float("inf"))
        assert worker.poller.select(0)
        worker.poller.close()


class Counting(bytearray):
    """Counts the bytes that are searched."""

    searched = 0

    def find(self, sub: Any, start: Any = 0, *rest: Any) -> int:
        found = super().find(sub, start, *rest)
        self.searched += (len(self) if found < 0 else found + 1) - start
        return found


class TestHead:
    @pytest.mark.parametrize("piece", [1, 7, 1000])
    def test_each_byte_is_searched_once(self, piece: int) -> None:
        whole = b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n" + b"Name: value\r\n" * 90 + b"\r\n"
        head = Head(MAX_CONTRACT_LINE_BYTES)
        head.data = counted = Counting()
        pieces = [whole[start : start + piece] for start in range(0, len(whole), piece)]
        assert [head.add(each) for each in pieces].index(True) == len(pieces) - 1
        assert head.fault is None
        assert counted.searched <= len(whole)

    @pytest.mark.parametrize(
        "data",
        [
            b"GET /" + b"a" * 9000,
            b"GET / HTTP/1.1\r\n" + b"N: v\r\n" * (MAX_HEADERS + 1),
            b"GET / HTTP/1.1\r\n" + (b"N: " + b"v" * 1000 + b"\r\n") * (MAX_HEADERS_BYTES // 1000 + 1),
            b"GET / HTTP/1.1\r\nN: " + b"v" * (MAX_HEADERS_BYTES + 1),
            b"GET / HTTP/1.1\n",
            b"GET / HTTP/1.1\r\nN: v\n",
            *(b"\x16\x03\x01", b"\0", b" GET", b"\xff"),
        ],
        ids=lambda data: repr(data[:20]),
    )
    def test_invalid_head_is_decided_at_once(self, data: bytes) -> None:
        head = Head(8190)
        assert head.add(data)
        assert head.fault is not None

    @pytest.mark.parametrize("data", [b"", b"\r", b"\r\n", b"\r\nGET", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nA"])
    def test_valid_start_of_a_head_is_not_decided(self, data: bytes) -> None:
        assert not Head(8190).add(data)
