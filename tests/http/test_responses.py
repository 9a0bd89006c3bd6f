"""Answers as they must not be, from a raw server."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from adapter.errors import Unreachable
from adapter.settings import Settings
from adapter.swr import response_body
from adapter.swr.response_body import error_response_of, read_document, settle
from adapter.swr.retry import RetryPolicy
from adapter.swr.transport import Transport

ONCE = RetryPolicy(0, frozenset(), retry_broken=False, response_seconds=5)


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """A server that says this to whatever it is asked, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        thread.join(10)


def asked(answer: bytes) -> bytes:
    with saying(answer) as url, Transport(Settings(requests_per_second=0)) as transport:
        response = transport.send("GET", url, headers={}, access_key=None, policy=ONCE)
        assert response.status_code == 200
        return read_document(response)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLocation: /x",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 20",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nwhat is this\r\nLocation: /x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n",
    ],
)
def test_damaged_headers_are_no_answer(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Unreachable, match="connection lost"):
        asked(answer)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "hint", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"]
)
def test_whole_ones_are(hint: bytes) -> None:
    assert asked(hint + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") == b"{}"
    assert asked(hint + b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}") == b"{}"


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status has said all that counts; a slot and a thread would wait for as long as SWR may think."""
    monkeypatch.setattr(response_body, "REMAINDER_SECONDS", 0.2)
    held = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            for status in (b"201 Created", b"503 Busy"):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: 5\r\n\r\n" % status)
                    held.wait(10)
                    held.clear()

        thread = threading.Thread(target=run)
        thread.start()
        with Transport(Settings(requests_per_second=0)) as transport:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
            policy = replace(ONCE, response_seconds=60)
            settle(transport.send("PUT", url, headers={}, access_key=None, policy=policy))
            held.set()
            refusal = error_response_of(transport.send("PUT", url, headers={}, access_key=None, policy=policy))
            assert refusal.status == 503
            assert not held.is_set(), "the server gave up first"
            held.set()
        thread.join(10)
