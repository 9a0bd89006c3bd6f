from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from adapter.errors import Unexpected
from adapter.settings import Settings
from adapter.swr.transport import Transport
from adapter.transfer.download import Download


@contextlib.contextmanager
def download_of(answer: bytes) -> Iterator[tuple[Download, socket.socket]]:
    """A download whose source sends `answer` and closes, and the far end of the caller's connection."""
    ours, far = socket.socketpair()
    far.settimeout(5)
    with socket.create_server(("127.0.0.1", 0)) as server, ours, far, Transport(Settings()) as transport:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        download = Download(transport.send("GET", url, headers={"Range": "bytes=0-2"}, account=None), ours)
        yield download, far
        download.close()
        thread.join(10)


def test_all_of_it() -> None:
    answer = b"HTTP/1.1 206 Partial\r\nContent-Length: 3\r\nContent-Range: bytes 0-2/9\r\nSet-Cookie: x\r\n\r\nabc"
    with download_of(answer) as (download, far):
        assert download.status == 206
        assert download.headers == {"Content-Length": "3", "Content-Range": "bytes 0-2/9"}
        assert b"".join(download) == b"abc"
        far.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.recv(1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ],
)
def test_a_part_is_never_passed_for_the_whole(answer: bytes) -> None:
    with download_of(answer) as (download, _):
        blocks: list[Any] = []
        with pytest.raises(ConnectionResetError):
            blocks.extend(download)
        assert b"".join(blocks) in (b"abc", b"")


def test_content_stays_as_it_is() -> None:
    """Decoding would break the digest and the length."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bno"
    with download_of(answer) as (download, _):
        assert b"".join(download) == b"\x1f\x8bno"
        assert download.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("length", [b"", b"x", b"-1", b"+3", b"3.0", b"9" * 19, b"9" * 5000])
def test_a_length_that_is_none(length: bytes) -> None:
    """Passed on, it would end in a stack trace of the server's."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nabc"
    with pytest.raises(Unexpected, match="Content-Length"), download_of(answer):
        pass
