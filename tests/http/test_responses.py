"""Damaged and incomplete responses."""

from __future__ import annotations

import logging
import socket
import threading
import time
from dataclasses import replace

import pytest

from adapter.errors import Unreachable
from adapter.swr import response_body
from adapter.swr.response_body import error_response_of, read_document, settle
from adapter.swr.retry import RetryPolicy
from adapter.swr.transport import Transport
from tests.attacks.raw import RawServer

ONCE = RetryPolicy(0, frozenset(), retry_broken=False, response_seconds=5)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLocation: /x",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK", b"HTTP/1.1 20", b""),
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nwhat is this\r\nLocation: /x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n",
    ],
)
def test_a_damaged_head_raises(
    raw: RawServer, transport: Transport, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    raw.answer("GET", answer)
    with pytest.raises(Unreachable, match="connection lost"):
        transport.send("GET", raw.url, headers={}, access_key=None, policy=ONCE)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "hint", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"]
)
def test_a_whole_response_is_read(raw: RawServer, transport: Transport, hint: bytes) -> None:
    for newline in (b"\r\n", b"\n"):
        raw.answer("GET", hint + newline.join([b"HTTP/1.1 200 OK", b"Content-Length: 2", b"", b"{}"]))
        response = transport.send("GET", raw.url, headers={}, access_key=None, policy=ONCE)
        assert response.status_code == 200
        assert read_document(response) == b"{}"


def test_the_rest_of_a_body_is_not_awaited(
    raw: RawServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status decides; the wait would hold a slot and a thread."""
    monkeypatch.setattr(response_body, "REMAINDER_SECONDS", 0.2)
    end = threading.Event()

    def stall(status: bytes, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: 5\r\n\r\n" % status)
        assert end.wait(10)

    policy = replace(ONCE, response_seconds=60)
    began = time.monotonic()
    raw.answer("PUT", lambda connection: stall(b"201 Created", connection))
    settle(transport.send("PUT", raw.url, headers={}, access_key=None, policy=policy))
    raw.answer("PUT", lambda connection: stall(b"503 Busy", connection))
    assert error_response_of(transport.send("PUT", raw.url, headers={}, access_key=None, policy=policy)).status == 503
    assert time.monotonic() - began < 8, "the server closed first"
    end.set()
