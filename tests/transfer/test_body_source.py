"""Both sources, through a real gunicorn: they must behave alike, and the fast one must be in use."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from adapter.transfer.body_source import BLOCK_BYTES, FLUSH_SECONDS, SocketSource, StreamSource, source_of
from tests.certificates import Certificate
from tests.services import free_ports, running

IDLE = 2.0
DATA = random.Random(7).randbytes((3 << 20) + 17)
SIZES = [0, 1, 1023, 16384, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES, len(DATA)]
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


def check_body(report: dict[str, Any], data: bytes, way: str) -> None:
    assert report["failure"] is None
    assert (report["way"], report["received"]) == (way, len(data))
    assert report["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", ["/socket", "/input"])
def test_every_size_and_the_connection_continues(server: Server, size: int, path: str) -> None:
    way = "SocketSource" if path == "/socket" else "StreamSource"
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(head(size, path) + DATA[:size])
            check_body(answer(connection), DATA[:size], way)


@pytest.mark.parametrize("size", [1, 100_000, len(DATA)])
def test_chunked_coding_is_read_from_wsgi_input(server: Server, size: int) -> None:
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(head(None))
            for start in range(0, size, 32768):
                part = DATA[start : min(size, start + 32768)]
                connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
            connection.sendall(b"0\r\n\r\n")
            check_body(answer(connection), DATA[:size], "StreamSource")


@pytest.mark.parametrize("size", [0, 10, 3000, 5000, 7000, HEAD_ROOM, 3 * BLOCK_BYTES])
def test_pipelined_requests(server: Server, size: int) -> None:
    """The next request may lie in gunicorn's buffer, in the socket, or decrypted inside of TLS."""
    with server.connect() as connection:
        connection.sendall((head(size) + DATA[:size]) * 3)
        for _ in range(3):
            check_body(answer(connection), DATA[:size], "SocketSource")


def test_slow_body_is_passed_on_block_by_block(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head(9))
        for start in (0, 3, 6):
            connection.sendall(DATA[start : start + 3])
            time.sleep((IDLE + FLUSH_SECONDS) / 2 if start < 6 else 0)
        report = answer(connection)
    check_body(report, DATA[:9], "SocketSource")
    assert len(report["blocks"]) > 1


def test_expect_100_continue(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head(5, "/socket", "Expect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(DATA[:5])
        check_body(answer(connection), DATA[:5], "SocketSource")


def test_stalled_bodies_are_rejected(server: Server) -> None:
    with ExitStack() as stack:
        stalled = []
        for path in ("/socket", "/input"):
            for sent in (0, 1, 5000, BLOCK_BYTES + 1):
                connection = stack.enter_context(server.connect())
                connection.sendall(head(2 * BLOCK_BYTES, path) + DATA[:sent])
                stalled.append(connection)
        for connection in stalled:
            report = answer(connection)
            assert f"stopped after {report['received']} bytes" in report["failure"]
            assert connection.recv(1) == b""


@pytest.mark.parametrize("path", ["/socket", "/input"])
@pytest.mark.parametrize("sent", [0, 1, 5000, BLOCK_BYTES + 1])
def test_client_that_disconnects(server: Server, path: str, sent: int) -> None:
    with server.connect() as connection:
        connection.sendall(head(2 * BLOCK_BYTES, path) + DATA[:sent])
        if server.context is None:  # TLS knows no half-close: who ends it reads no more
            connection.shutdown(socket.SHUT_WR)
            report = answer(connection)
            assert (report["received"], report["failure"] is None) == (sent, False)
    test_every_size_and_the_connection_continues(server, 1023, path)


def test_response_before_the_end_of_the_body_closes_the_connection(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head(2 * BLOCK_BYTES, "/socket?take=10") + DATA[:BLOCK_BYTES])
        assert answer(connection)["received"] < 2 * BLOCK_BYTES
        # What it does not take is refused when this comes late.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(DATA[:BLOCK_BYTES])
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
def test_size_of_reads_follows_the_speed(speed: float, least: float, most: float) -> None:
    stream = Clock(speed)
    reading = StreamSource(stream, clock=lambda: stream.now)
    view = memoryview(bytearray(BLOCK_BYTES))
    for _ in range(20):
        assert reading.fill(view) == stream.asked[-1]
    assert all(least <= size <= most for size in stream.asked[8:])


def internals() -> dict[str, Any]:
    """An environment as gunicorn makes it."""
    nothing: Callable[..., bytes] = lambda *_: b""  # noqa: E731
    connection = SimpleNamespace(recv_into=lambda view: 0, recv=nothing, gettimeout=lambda: None)
    unreader = SimpleNamespace(sock=connection, take_buffered=nothing, unread=nothing)
    body = SimpleNamespace(reader=SimpleNamespace(length=5, unreader=unreader), buf=io.BytesIO())
    return {"wsgi.input": body, "gunicorn.socket": connection, "CONTENT_LENGTH": "5"}


@pytest.mark.parametrize(
    "change",
    [
        lambda environ: delattr(environ["wsgi.input"], "reader"),
        lambda environ: environ["wsgi.input"].buf.write(b"x"),
        lambda environ: delattr(environ["wsgi.input"].reader, "unreader"),
        lambda environ: setattr(environ["wsgi.input"].reader, "length", 4),
        lambda environ: delattr(environ["wsgi.input"].reader.unreader, "take_buffered"),
        lambda environ: setattr(environ["wsgi.input"].reader.unreader, "take_buffered", 5),
        lambda environ: setattr(environ["wsgi.input"].reader.unreader, "sock", object()),
        lambda environ: environ.update({"CONTENT_LENGTH": ""}),
        lambda environ: environ.pop("gunicorn.socket"),
        lambda environ: environ.update({"wsgi.input": io.BytesIO(b"x")}),
    ],
)
def test_other_internals_are_read_from_wsgi_input(change: Callable[[dict[str, Any]], object]) -> None:
    environ = internals()
    assert isinstance(source_of(environ), SocketSource)
    change(environ)
    assert isinstance(source_of(environ), StreamSource)


@pytest.mark.parametrize("whole", [True, False])
def test_timeouts_of_the_connection_are_restored(whole: bool) -> None:
    ours, far = socket.socketpair()
    with ours, far:
        ours.settimeout(7)
        far.sendall(b"01234")
        far.shutdown(socket.SHUT_WR)
        unreader = SimpleNamespace(take_buffered=lambda: b"", unread=lambda _: None)
        source = SocketSource(SimpleNamespace(length=5 if whole else 9, unreader=unreader), ours)
        assert source.fill(memoryview(bytearray(9))) == 5
        assert ours.gettimeout() == (7 if whole else None)
        source.release()
        assert ours.gettimeout() == 7
        assert not any(ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16))
