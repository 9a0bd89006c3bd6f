"""Content that is received without urllib3, plain and over TLS."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import requests
from urllib3.exceptions import HTTPError

from adapter.http.request_context import RequestContext
from adapter.swr import body_reader
from adapter.swr.body_reader import LAST_BYTES, BodyReader, body_reader_for
from adapter.swr.retry import IDEMPOTENT
from adapter.swr.transport import Transport
from adapter.transfer.download import Download
from tests.attacks.raw import PLAIN_AND_TLS, RawServer

DATA = random.Random(8).randbytes((3 << 20) + 4567)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(DATA)
PLACES = pytest.mark.parametrize("place", [0, 1, 300_000, len(DATA) - LAST_BYTES], ids=str)

Ask = Callable[..., requests.Response]


@pytest.fixture
def ask(raw: RawServer, transport: Transport) -> Iterator[Ask]:
    """Gets a response with these bytes, `count` times; the rest of `DATA` follows once `wait` is set."""
    with contextlib.ExitStack() as stack:

        def send(data: bytes = HEAD + DATA, count: int = 1, wait: threading.Event | None = None) -> requests.Response:
            def respond(connection: socket.socket) -> None:
                for number in range(count):
                    if not number or connection.recv(65536):
                        connection.sendall(data)
                if wait is not None:
                    wait.wait(10)
                    connection.sendall(DATA[len(data) - len(HEAD) :])

            raw.answer("GET", respond)
            response = transport.send("GET", raw.url, headers={}, access_key=None, policy=IDEMPOTENT)
            return stack.enter_context(contextlib.closing(response))

        yield send


def opened(response: requests.Response) -> BodyReader:
    found = body_reader_for(response)
    assert found is not None
    return found


def received(response: requests.Response, size: int = 1 << 20) -> bytes:
    reader = opened(response)
    buffer = memoryview(bytearray(size))
    with reader.nonblocking():
        data = bytearray(reader.first(size))
        while reader.left and (count := reader.fill(buffer)):
            data += buffer[:count]
        if not reader.left:
            reader.last()
    if not reader.left:
        data += b"".join(response.raw.stream(1 << 20, decode_content=False))
    return bytes(data)


@PLAIN_AND_TLS
@pytest.mark.parametrize(
    ("length", "size"), [(len(DATA), 1 << 20), (len(DATA), 70_001), *((n, 1 << 20) for n in (2, 3, 5000, 9000, 20_000))]
)
def test_a_body_is_read_and_the_connection_reused(raw: RawServer, ask: Ask, length: int, size: int) -> None:
    """A small body arrives with the head."""
    response = ask(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (length, DATA[:length]), 2)
    assert received(response, size) == DATA[:length]
    response.close()
    assert received(ask(), size) == DATA[:length]
    assert len(raw.asked) == 1


@PLAIN_AND_TLS
@pytest.mark.parametrize("end", [0, 1, 100_000, len(DATA) - LAST_BYTES, len(DATA) - 1], ids=str)
def test_an_early_end_is_left_to_urllib3(ask: Ask, end: int) -> None:
    response = ask(HEAD + DATA[:end])
    with contextlib.suppress(HTTPError):
        assert received(response) == DATA[:end]
        assert end < len(DATA) - LAST_BYTES, "urllib3 raises at an end in its part"


@PLAIN_AND_TLS
def test_slow_content_is_returned_as_it_arrives(ask: Ask) -> None:
    go_on = threading.Event()
    reader = opened(ask(HEAD + DATA[:200_000], wait=go_on))
    buffer = memoryview(bytearray(1 << 20))
    with reader.nonblocking():
        data = bytearray(reader.first(10_000_000))
        while len(data) < 200_000:
            data += buffer[: reader.fill(buffer)]
        go_on.set()
        while reader.left:
            data += buffer[: reader.fill(buffer)]
    assert data == DATA[:-LAST_BYTES]


@PLAIN_AND_TLS
@PLACES
@pytest.mark.parametrize("disconnects", [False, True], ids=["SWR stalls", "client disconnects"])
def test_a_wait_for_content_ends(
    ask: Ask, context: RequestContext, place: int, disconnects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_reader, "DISCONNECT_POLL_SECONDS" if disconnects else "STALL_SECONDS", 0.1)
    end = threading.Event()
    response = ask(HEAD + DATA[:place], wait=end)
    context.client, far = socket.socketpair()
    with context.client, far:
        if disconnects:
            far.close()
        with pytest.raises(ConnectionAbortedError if disconnects else TimeoutError):
            received(response)
    end.set()


@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: %d\r\n\r\n" % LAST_BYTES + bytes(LAST_BYTES),
        b"Transfer-Encoding: chunked\r\n\r\n40000\r\n" + bytes(0x40000) + b"\r\n0\r\n\r\n",
        b"Connection: close\r\n\r\n" + bytes(9),
    ],
    ids=["short", "chunked", "of unknown length"],
)
def test_other_bodies_are_left_to_urllib3(ask: Ask, answer: bytes) -> None:
    response = ask(b"HTTP/1.1 200 OK\r\n" + answer)
    assert body_reader_for(response) is None
    assert set(b"".join(response.raw.stream(1 << 20))) == {0}
    assert body_reader_for(requests.Response()) is None


# As a download


@contextlib.contextmanager
def client() -> Iterator[tuple[socket.socket, bytearray]]:
    """The adapter's socket to a client, and what the client has received; all of it at the end."""
    ours, far = socket.socketpair()
    passed = bytearray()

    def receive() -> None:
        while block := far.recv(1 << 20):
            passed.extend(block)

    thread = threading.Thread(target=receive)
    with far:
        thread.start()
        with ours:
            yield ours, passed
        thread.join(10)
        assert not thread.is_alive()


@PLAIN_AND_TLS
def test_a_download_is_sent_to_the_socket_of_the_client(ask: Ask) -> None:
    counts: list[int] = []
    with client() as (ours, passed):
        download = Download(ask(), ours, counts.append)
        blocks = list(download)
        download.close()
    assert blocks[0] + passed + b"".join(blocks[1:]) == DATA
    assert sum(counts) == len(passed) > len(DATA) // 2


@pytest.mark.parametrize("end", [150_000, len(DATA) - LAST_BYTES, len(DATA) - 1])
def test_a_download_that_ends_early_raises(ask: Ask, end: int) -> None:
    with client() as (ours, _):
        download = Download(ask(HEAD + DATA[:end]), ours)
        with pytest.raises(ConnectionResetError):
            list(download)
        download.close()


def test_a_client_that_disconnects_ends_the_download(ask: Ask) -> None:
    ours, far = socket.socketpair()
    with ours:
        download = Download(ask(), ours)
        far.close()
        with pytest.raises(BrokenPipeError):
            list(download)
        connection = opened(download._response)._connection
        download.close()
        assert connection.fileno() < 0 or select.select([connection], [], [], 0)
