"""The proxy itself: each fault does what it says, at the byte that it says, and nothing else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.contract.http import eventually
from tests.faults.faults import CUTS, END, Fault, Kind, Unit, Way
from tests.faults.proxy import FaultProxy

BODY = bytes(range(256)) * 1000
REQUEST = b"PUT /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(BODY)
CODED_HEAD = b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
CODED = CODED_HEAD + b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"

PLACES = pytest.mark.parametrize("at", [0, 1, 100_000, len(BODY) - 1])
ANSWER_PLACES = pytest.mark.parametrize("at", [0, 1, len(ANSWER) // 2, len(ANSWER) - 1])


def read(connection: socket.socket, until: bytes) -> tuple[bytes, str]:
    """What comes, and how it ends: `whole` when it ends with `until`."""
    got = bytearray()
    try:
        while data := connection.recv(1 << 16):
            got += data
            if got.endswith(until):
                return bytes(got), "whole"
    except ConnectionResetError:
        return bytes(got), "reset"
    return bytes(got), "closed"


class Server:
    """Answers a request when all of it is there; keeps what the last connection brought, and how it ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.address: tuple[str, int] = listener.getsockname()
        self.got = b""
        self.end: str | None = None

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.end = None
            with connection:
                self.got, end = read(connection, BODY if self._sized(connection) else b"\r\n0\r\n\r\n")
                if end == "whole":
                    connection.sendall(ANSWER)
                    _, end = read(connection, b"never")
            self.end = end

    @staticmethod
    def _sized(connection: socket.socket) -> bool:
        return b"Content-Length" in connection.recv(200, socket.MSG_PEEK)


@pytest.fixture
def server() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener)
        thread = threading.Thread(target=server.run)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.address) as proxy:
        yield proxy


def send(proxy: FaultProxy, request: bytes = REQUEST + BODY) -> tuple[bytes, str]:
    """The answer, and how it ended."""
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as connection:
        try:
            connection.sendall(request)
        except (ConnectionResetError, BrokenPipeError):
            return b"", "reset"
        return read(connection, ANSWER)


def ended(server: Server) -> str | None:
    eventually(lambda: server.end is not None)
    return server.end


@pytest.mark.parametrize("request_", [REQUEST + BODY, CODED], ids=["sized", "coded"])
def test_without_a_fault(proxy: FaultProxy, server: Server, request_: bytes) -> None:
    assert send(proxy, request_) == (ANSWER, "whole")
    assert (ended(server), server.got) == ("closed", request_)
    (link,) = proxy.with_request("PUT", "/x")
    eventually(link.left.is_set)
    assert not link.ended
    assert proxy.passed(Way.UP) == len(request_)
    assert proxy.passed(Way.DOWN) == len(ANSWER)


class TestUpward:
    @PLACES
    def test_reset(self, proxy: FaultProxy, server: Server, at: int) -> None:
        order = proxy.order(Fault(Kind.RESET, Way.UP, at))
        assert send(proxy) == (b"", "reset")
        assert ended(server) == "reset"
        assert (REQUEST + BODY[:at]).startswith(server.got)
        assert order.acted.is_set()

    @PLACES
    def test_truncate(self, proxy: FaultProxy, server: Server, at: int) -> None:
        order = proxy.order(Fault(Kind.TRUNCATE, Way.UP, at))
        assert send(proxy)[0] == b""
        assert (ended(server), server.got) == ("closed", REQUEST + BODY[:at])
        assert order.link is not None
        assert order.link.ended

    @PLACES
    def test_half_close(self, proxy: FaultProxy, server: Server, at: int) -> None:
        proxy.order(Fault(Kind.HALF_CLOSE, Way.UP, at))
        assert send(proxy) == (b"", "closed")
        assert (ended(server), server.got) == ("closed", REQUEST + BODY[:at])

    @PLACES
    def test_stall(self, proxy: FaultProxy, server: Server, at: int) -> None:
        proxy.order(Fault(Kind.STALL, Way.UP, at, seconds=0.2))
        assert send(proxy)[0] == b""
        assert (ended(server), server.got) == ("closed", REQUEST + BODY[:at])

    @PLACES
    def test_flip(self, proxy: FaultProxy, server: Server, at: int) -> None:
        damaged = bytearray(BODY)
        damaged[at] ^= 1
        proxy.order(Fault(Kind.FLIP, Way.UP, at))
        with socket.create_connection(("127.0.0.1", proxy.port), 10) as connection:
            connection.sendall(REQUEST + BODY)
            connection.shutdown(socket.SHUT_WR)
            assert ended(server) == "closed"
        assert server.got == REQUEST + damaged

    @PLACES
    def test_delay(self, proxy: FaultProxy, server: Server, at: int) -> None:
        begun = time.monotonic()
        proxy.order(Fault(Kind.DELAY, Way.UP, at, seconds=0.2))
        assert send(proxy) == (ANSWER, "whole")
        assert time.monotonic() - begun >= 0.2
        assert server.got == REQUEST + BODY

    @pytest.mark.parametrize(
        ("at", "content"), [(0, b"3\r\n"), (1, b"3\r\na"), (3, b"3\r\nabc\r\n4;x=y\r\n"), (END, CODED[47:-5])]
    )
    def test_the_framing_does_not_count(self, proxy: FaultProxy, server: Server, at: int, content: bytes) -> None:
        proxy.order(Fault(Kind.HALF_CLOSE, Way.UP, at))
        assert send(proxy, CODED) == (b"", "closed")
        assert (ended(server), server.got) == ("closed", CODED_HEAD + content)

    def test_a_place_in_the_head(self, proxy: FaultProxy, server: Server) -> None:
        proxy.order(Fault(Kind.HALF_CLOSE, Way.UP, lambda size: size - len(BODY) - 1, Unit.MESSAGE))
        assert send(proxy) == (b"", "closed")
        assert (ended(server), server.got) == ("closed", REQUEST[:-1])
        (link,) = proxy.links
        eventually(lambda: link.asked[0].passed is False)


class TestDownward:
    @ANSWER_PLACES
    @pytest.mark.parametrize("kind", CUTS, ids=str)
    def test_cuts(self, proxy: FaultProxy, server: Server, kind: Kind, at: int) -> None:
        proxy.order(Fault(kind, Way.DOWN, at, Unit.MESSAGE))
        got, end = send(proxy)
        assert (got, end) == (ANSWER[:at], "closed") if kind is not Kind.RESET else end == "reset"
        assert ended(server) == ("reset" if kind is Kind.RESET else "closed")
        assert server.got == REQUEST + BODY

    @ANSWER_PLACES
    def test_flip_is_the_last_answer(self, proxy: FaultProxy, at: int) -> None:
        damaged = bytearray(ANSWER)
        damaged[at] ^= 1
        proxy.order(Fault(Kind.FLIP, Way.DOWN, at, Unit.MESSAGE))
        assert send(proxy) == (bytes(damaged), "closed")

    def test_content(self, proxy: FaultProxy) -> None:
        proxy.order(Fault(Kind.HALF_CLOSE, Way.DOWN, 2))
        assert send(proxy) == (ANSWER[:-3], "closed")


class TestWhichMessage:
    def test_only_the_one_that_is_meant(self, proxy: FaultProxy) -> None:
        orders = [
            proxy.order(Fault(Kind.RESET, Way.UP, 0, method="PATCH")),
            proxy.order(Fault(Kind.RESET, Way.UP, 0, target="/y")),
            proxy.order(Fault(Kind.RESET, Way.UP, 0, passed=1)),
        ]
        assert send(proxy) == (ANSWER, "whole")
        assert not any(order.acted.is_set() for order in orders)
        assert send(proxy) == (b"", "reset")
        assert [order.acted.is_set() for order in orders] == [False, False, True]
        assert send(proxy) == (ANSWER, "whole")

    @pytest.mark.parametrize("at", [0, 1, len(REQUEST) + 5, len(REQUEST + BODY) - 1])
    def test_raw_bytes(self, server: Server, at: int) -> None:
        with FaultProxy(server.address, opaque=True) as proxy:
            order = proxy.order(Fault(Kind.HALF_CLOSE, Way.UP, at, Unit.RAW))
            assert send(proxy) == (b"", "closed")
            assert (ended(server), server.got) == ("closed", (REQUEST + BODY)[:at])
            assert order.acted.is_set()

    @pytest.mark.parametrize("kind", CUTS, ids=str)
    def test_who_asks_again_on_a_dead_connection_is_late(self, proxy: FaultProxy, kind: Kind) -> None:
        with socket.create_connection(("127.0.0.1", proxy.port), 10) as connection:
            connection.sendall(REQUEST + BODY)
            assert read(connection, ANSWER) == (ANSWER, "whole")
            assert proxy.kill(kind) == 1
            try:
                connection.sendall(REQUEST)
            except (ConnectionResetError, BrokenPipeError):
                assert kind is Kind.RESET
            else:
                (link,) = proxy.links
                eventually(lambda: len(link.asked) == 2)
                assert [asked.late for asked in link.asked] == [False, True]
        assert proxy.kill(kind) == 0
