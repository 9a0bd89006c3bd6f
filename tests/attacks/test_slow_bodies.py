"""Bodies of which a byte comes now and then, or none: they end when their own time is over, not the connection's."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest

from tests.certificates import Certificate
from tests.transfer.test_body_source import Server, answer, echoing, head

IDLE = 600.0
"""Seconds that the server lets a connection be silent: no test lives that long."""
GRACE = 0.3
MAX_PIECES = 60
"""Far more than come in `GRACE`, and far fewer than any body here has."""


@pytest.fixture(scope="module", params=["plain", "TLS"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with echoing(Certificate(tmp_path_factory.mktemp("tls")) if request.param == "TLS" else None, IDLE) as server:
        yield server


def begun(server: Server, length: int | None, sent: bytes) -> socket.socket:
    connection = server.connect()
    connection.sendall(head(length, f"/socket?grace={GRACE}") + sent)
    return connection


@pytest.mark.parametrize(
    ("length", "sent"),
    [(1_000_000, b""), (1_000_000, b"{"), (None, b""), (None, b"f4240\r\n{"), (None, b"f42"), (None, b"1\r\n{\r")],
    ids=["length", "length, a byte", "chunked", "chunked, a byte", "half a chunk size", "half a chunk end"],
)
def test_silence(server: Server, length: int | None, sent: bytes) -> None:
    with begun(server, length, sent) as connection:
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
def test_a_trickle(server: Server, length: int | None, first: bytes, piece: bytes) -> None:
    """Each byte comes long before the connection's own timeout."""
    with begun(server, length, first) as connection:
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
def test_a_body_in_time_comes_whole_and_the_connection_continues(server: Server, length: int | None) -> None:
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(head(length, f"/socket?grace={GRACE}"))
            for _part in range(4):
                connection.sendall(b"a" * 10 if length else b"a\r\n" + b"a" * 10 + b"\r\n")
            connection.sendall(b"" if length else b"0\r\n\r\n")
            told = answer(connection)
            assert (told["received"], told["failure"]) == (40, None)
