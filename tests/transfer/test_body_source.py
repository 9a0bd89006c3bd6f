"""Both ways in, through a real gunicorn: they must behave alike, and the fast one must be the one in use."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import random
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from adapter.transfer.body_source import BLOCK, FLUSH, Reading, Receiving, source_of
from tests.certificates import Certificate
from tests.services import free_ports, running

IDLE = 2.0
DATA = random.Random(7).randbytes((3 << 20) + 17)
SIZES = [0, 1, 1023, 16384, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, len(DATA)]
HEAD_ROOM = 8192
"""Bytes that gunicorn reads at a time while it looks for the end of a head."""


@dataclass(frozen=True)
class Server:
    port: int
    context: ssl.SSLContext | None

    def connect(self) -> socket.socket:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return raw if self.context is None else self.context.wrap_socket(raw, server_hostname="localhost")


@pytest.fixture(scope="module", params=["plain", "TLS"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with echoing(Certificate(tmp_path_factory.mktemp("tls")) if request.param == "TLS" else None, IDLE) as server:
        yield server


@contextlib.contextmanager
def echoing(certificate: Certificate | None, idle: float) -> Iterator[Server]:
    (port,) = free_ports(1)
    files = () if certificate is None else (str(certificate.chain), str(certificate.key))
    context = None if certificate is None else certificate.context
    arguments = (str(port), str(idle), *files)
    with running("echo", *arguments, env={}, port=port, path="/", module="tests.transfer.echo", tls=context):
        yield Server(port, context)


def head(length: int | None, path: str = "/socket", *more: str) -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return "\r\n".join([f"PUT {path} HTTP/1.1", "Host: localhost", framing, *more, "", ""]).encode()


def answer(connection: socket.socket, head: bytes = b"") -> dict[str, Any]:
    """The next answer, of which `head` was read already, and not a byte of the one behind it."""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte
    length = http.client.parse_headers(io.BytesIO(head.partition(b"\r\n")[2]))["Content-Length"]
    body = b""
    while len(body) < int(length):
        part = connection.recv(int(length) - len(body))
        assert part
        body += part
    document: dict[str, Any] = json.loads(body)
    return document


def right(told: dict[str, Any], data: bytes, way: str) -> None:
    assert told["failure"] is None
    assert (told["way"], told["received"]) == (way, len(data))
    assert told["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", ["/socket", "/input"])
def test_every_size_and_the_connection_goes_on(server: Server, size: int, path: str) -> None:
    way = "Receiving" if path == "/socket" else "Reading"
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(head(size, path) + DATA[:size])
            right(answer(connection), DATA[:size], way)


@pytest.mark.parametrize("size", [1, 100_000, len(DATA)])
def test_chunked_coding_is_read_from_wsgi_input(server: Server, size: int) -> None:
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(head(None))
            for start in range(0, size, 32768):
                part = DATA[start : min(size, start + 32768)]
                connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
            connection.sendall(b"0\r\n\r\n")
            right(answer(connection), DATA[:size], "Reading")


@pytest.mark.parametrize("size", [0, 10, 3000, 5000, 7000, HEAD_ROOM, 3 * BLOCK])
def test_requests_that_come_together(server: Server, size: int) -> None:
    """The next request may lie in gunicorn's buffer, in the socket, or decrypted inside of TLS."""
    with server.connect() as connection:
        connection.sendall((head(size) + DATA[:size]) * 3)
        for _ in range(3):
            right(answer(connection), DATA[:size], "Receiving")


def test_a_body_that_trickles_goes_on_block_by_block(server: Server) -> None:
    pause = (IDLE + FLUSH) / 2
    with server.connect() as connection:
        connection.sendall(head(9))
        connection.sendall(DATA[:3])
        blocked(connection, pause)
        connection.sendall(DATA[3:6])
        blocked(connection, pause)
        connection.sendall(DATA[6:9])
        told = answer(connection)
    right(told, DATA[:9], "Receiving")
    assert len(told["blocks"]) > 1


def blocked(connection: socket.socket, seconds: float) -> None:
    """Waits, and sees that nothing is answered meanwhile."""
    connection.settimeout(seconds)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(20)


def test_a_client_that_waits_to_be_asked(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head(5, "/socket", "Expect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(DATA[:5])
        right(answer(connection), DATA[:5], "Receiving")


def test_bodies_that_stall_are_given_up(server: Server) -> None:
    with ExitStack() as stack:
        stalled = []
        for path in ("/socket", "/input"):
            for sent in (0, 1, 5000, BLOCK + 1):
                connection = stack.enter_context(server.connect())
                connection.sendall(head(2 * BLOCK, path) + DATA[:sent])
                stalled.append(connection)
        for connection in stalled:
            told = answer(connection)
            assert f"stopped after {told['received']} bytes" in told["failure"]
            assert connection.recv(1) == b""


@pytest.mark.parametrize("path", ["/socket", "/input"])
@pytest.mark.parametrize("sent", [0, 1, 5000, BLOCK + 1])
def test_a_client_that_hangs_up(server: Server, path: str, sent: int) -> None:
    with server.connect() as connection:
        connection.sendall(head(2 * BLOCK, path) + DATA[:sent])
        if server.context is None:  # TLS knows no half-close: who ends it reads no more
            connection.shutdown(socket.SHUT_WR)
            told = answer(connection)
            assert (told["received"], told["failure"] is None) == (sent, False)
    test_every_size_and_the_connection_goes_on(server, 1023, path)


def test_a_client_that_resets(server: Server) -> None:
    for _ in range(3):
        connection = server.connect()
        connection.sendall(head(2 * BLOCK) + DATA[:BLOCK])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    test_every_size_and_the_connection_goes_on(server, 1023, "/socket")


def test_an_answer_in_the_middle_ends_the_connection(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head(2 * BLOCK, "/socket?take=10") + DATA[:BLOCK])
        assert answer(connection)["received"] < 2 * BLOCK
        # What it does not take is refused when this comes late.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(DATA[:BLOCK])
            assert connection.recv(1) == b""


class Clock:
    """A stream that takes its time, and says what time it is."""

    def __init__(self, bytes_per_second: float) -> None:
        self.now = 0.0
        self.asked: list[int] = []
        self._speed = bytes_per_second

    def read(self, size: int, /) -> bytes:
        self.asked.append(size)
        self.now += size / self._speed
        return bytes(size)


@pytest.mark.parametrize(("speed", "least", "most"), [(8_000, 1_024, 8_000), (500, 1_024, 1_024), (1e9, 200_000, 1e6)])
def test_pieces_are_as_large_as_what_comes_in_a_moment(speed: float, least: float, most: float) -> None:
    stream = Clock(speed)
    reading = Reading(stream, clock=lambda: stream.now)
    view = memoryview(bytearray(BLOCK))
    for _ in range(20):
        assert reading.fill(view) == stream.asked[-1]
    assert all(least <= size <= most for size in stream.asked[8:])


def insides(**changes: Any) -> dict[str, Any]:
    """An environment as gunicorn makes it, but for the changes."""
    connection = SimpleNamespace(recv_into=lambda view: 0, gettimeout=lambda: None)
    nothing: Callable[..., bytes] = lambda *_: b""  # noqa: E731
    unreader = SimpleNamespace(sock=connection, take_buffered=nothing, unread=nothing)
    reader = SimpleNamespace(length=5, unreader=unreader)
    environ = {
        "wsgi.input": SimpleNamespace(reader=reader, buf=io.BytesIO()),
        "gunicorn.socket": connection,
        "CONTENT_LENGTH": "5",
    }
    for place, value in changes.items():
        target: Any = {"reader": reader, "unreader": unreader, "body": environ["wsgi.input"]}.get(
            place.partition("_")[0], environ
        )
        name = place.partition("_")[2]
        if target is environ:
            environ[place.replace("__", ".")] = value
        elif value is None:
            delattr(target, name)
        else:
            setattr(target, name, value)
    return environ


def read_already() -> io.BytesIO:
    begun = io.BytesIO()
    begun.write(b"x")
    return begun


def test_the_known_insides_are_recognised() -> None:
    assert isinstance(source_of(insides()), Receiving)


@pytest.mark.parametrize(
    "changes",
    [
        {"body_reader": None},
        {"body_buf": read_already()},
        {"reader_unreader": None},
        {"reader_length": 4},
        {"unreader_take_buffered": None},
        {"unreader_take_buffered": 5},
        {"unreader_sock": object()},
        {"CONTENT_LENGTH": ""},
        {"gunicorn__socket": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_insides_are_read_from_wsgi_input(changes: dict[str, Any]) -> None:
    assert isinstance(source_of(insides(**changes)), Reading)


def test_no_server_of_ours() -> None:
    assert isinstance(source_of({"wsgi.input": io.BytesIO(b"x"), "CONTENT_LENGTH": "1"}), Reading)


@pytest.mark.parametrize("whole", [True, False])
def test_the_connection_is_the_server_s_again_afterwards(whole: bool) -> None:
    ours, far = socket.socketpair()
    with ours, far:
        ours.settimeout(7)
        far.sendall(b"01234")
        far.shutdown(socket.SHUT_WR)
        unreader = SimpleNamespace(take_buffered=lambda: b"", unread=lambda _: None)
        source = Receiving(SimpleNamespace(length=5 if whole else 9, unreader=unreader), ours)
        assert source.fill(memoryview(bytearray(9))) == 5
        assert ours.gettimeout() == (7 if whole else None)
        source.release()
        assert ours.gettimeout() == 7
        assert not any(ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16))
