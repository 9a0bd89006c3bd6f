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
from adapter.transfer.download import Download, requested_range

DIGEST = "sha256:" + "a" * 64


@contextlib.contextmanager
def download_of(response: bytes) -> Iterator[tuple[Download, socket.socket]]:
    """A download whose source sends `response` and closes, and the far end of the client's connection."""
    near, far = socket.socketpair()
    far.settimeout(5)
    with socket.create_server(("127.0.0.1", 0)) as server, near, far, Transport(Settings()) as transport:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        download = Download(transport.send("GET", url, headers={"Range": "bytes=0-2"}, access_key=None), near)
        yield download, far
        download.close()
        thread.join(10)


@pytest.mark.parametrize(
    ("head", "content", "headers"),
    [
        (
            b"HTTP/1.1 206 Partial\r\nContent-Length: 3\r\nContent-Range: bytes 0-2/9\r\nSet-Cookie: x",
            b"abc",
            {"Content-Length": "3", "Content-Range": "bytes 0-2/9"},
        ),
        # Decoded content would not match the digest and the length.
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4",
            b"\x1f\x8bno",
            {"Content-Length": "4", "Content-Encoding": "gzip"},
        ),
    ],
    ids=["a part", "encoded content"],
)
def test_content_and_its_headers_are_passed_on(head: bytes, content: bytes, headers: dict[str, str]) -> None:
    with download_of(head + b"\r\n\r\n" + content) as (download, far):
        assert download.status == int(head[9:12])
        assert download.headers == headers
        assert not download.is_whole_blob
        assert b"".join(download) == content
        far.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.recv(1)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ],
)
def test_incomplete_content_ends_with_a_reset(response: bytes) -> None:
    with download_of(response) as (download, _):
        blocks: list[Any] = []
        with pytest.raises(ConnectionResetError):
            blocks.extend(download)
        assert b"".join(blocks) in (b"abc", b"")


@pytest.mark.parametrize("length", [b"", b"x", b"-1", b"+3", b"3.0", b"9" * 19, b"9" * 5000])
def test_invalid_content_length_is_rejected(length: bytes) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nabc"
    with pytest.raises(Unexpected, match="Content-Length"), download_of(response):
        pass


@pytest.mark.parametrize(
    ("value", "condition", "requested"),
    [
        (None, None, None),
        ("bytes=0-99", None, "bytes=0-99"),
        ("Bytes=5-", None, "bytes=5-"),
        ("BYTES= -7 ", None, "bytes=-7"),
        ("bytes=3-3", None, "bytes=3-3"),
        ("bytes=4-3", None, "bytes=4-3"),
        *((wrong, None, None) for wrong in ("bytes=-", "bytes=a-b", "bytes=0-1,4-5", "items=0-1", "nonsense", "")),
        ("bytes=" + "9" * 5000 + "-", None, None),
        ("bytes=0-1", f'"{DIGEST}"', "bytes=0-1"),
        *(("bytes=0-1", wrong, None) for wrong in (f'W/"{DIGEST}"', '"another"', "Tue, 24 Nov 2026 07:00:00 GMT", "")),
    ],
)
def test_requested_range(value: str | None, condition: str | None, requested: str | None) -> None:
    assert requested_range(value, condition, DIGEST) == requested
