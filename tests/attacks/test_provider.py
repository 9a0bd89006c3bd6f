"""The provider port without nginx: slow, silent or many clients leave threads to all others."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from gunicorn.http import body
from gunicorn.http.unreader import SocketUnreader
from werkzeug import Response

from adapter.errors import SizeInvalid
from adapter.provider import proxying, request_bodies
from adapter.provider.query_filters import restore_links
from adapter.provider.request_bodies import Incoming
from adapter.provider.threads import MAX_BODIES, MAX_FULL_TIME, THREADS
from adapter.transfer.request_body import Pace
from tests.conftest import StartAdapter
from tests.contract.http import eventually
from tests.provider.conftest import another, core, portal, scripted_swr, servers, shared_adapter
from tests.provider.forms import created
from tests.provider.harness import ANONYMOUS, API, NAME, Client, Received, ScriptedCore, reply, stored
from tests.swr.scripted import Swr
from tests.transfer.test_memory import peak, reset_peak, worker_of

__all__ = ["another", "core", "portal", "scripted_swr", "servers", "shared_adapter"]

SILENT = 20
"""More clients than threads."""
HEADS = {
    "document": f"POST {API}/registries HTTP/1.1\r\nContent-Length: 400",
    "passed in chunks": f"POST {API}/replication/policies HTTP/1.1\r\nTransfer-Encoding: chunked",
    "of a page": f"GET {API}/registries HTTP/1.1\r\nContent-Length: 400",
}
Connect = Callable[..., socket.socket]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Sends the beginning of a request: `connect(portal, head, body, buffer)`."""
    with contextlib.ExitStack() as stack:

        def start(portal: Client, head: str, body: bytes = b"", buffer: int | None = None) -> socket.socket:
            client = stack.enter_context(socket.socket())
            if buffer is not None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            client.settimeout(30)
            client.connect(portal.address)
            client.sendall(f"{head}\r\nHost: h\r\nCookie: sid=1\r\n\r\n".encode() + body)
            return client

        yield start


def readable(clients: list[socket.socket]) -> list[socket.socket]:
    """The clients that received something, or whose connection has ended."""
    return select.select(clients, [], [], 0)[0]


def wait_for_responses(clients: list[socket.socket], number: int) -> list[socket.socket]:
    deadline = time.monotonic() + 20
    while len(found := readable(clients)) < number and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(found) == number
    return found


def check_busy(client: socket.socket) -> None:
    response = http.client.HTTPResponse(client)
    response.begin()
    [error] = json.loads(response.read())["errors"]
    assert response.status == 503
    assert error["message"].endswith("try again in a few seconds")
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_bodies_that_stall_leave_half_of_the_threads(
    head: str, another: StartAdapter, core: ScriptedCore, scripted_swr: Swr, connect: Connect
) -> None:
    core.stores(stored(4))
    portal = Client(another().provider)
    stalled = [connect(portal, head, first_bytes(head)) for _ in range(SILENT)]
    # All but those with a slot are rejected.
    rejected = wait_for_responses(stalled, SILENT - MAX_BODIES)
    for each in rejected:
        check_busy(each)
    assert portal.get("/registries").json()[0]["type"] == NAME
    # A body that has arrived needs no slot.
    assert portal.write("POST", "/registries", created(url=scripted_swr.url)).status == 201
    assert not readable([each for each in stalled if each not in rejected])


def first_bytes(head: str) -> bytes:
    return b"1\r\n{" if "chunked" in head else b"{"


def test_clients_that_do_not_read_leave_threads_to_others(
    another: StartAdapter, core: ScriptedCore, connect: Connect
) -> None:
    """Those beyond `MAX_FULL_TIME` are disconnected while the others still have time."""
    page = b"x" * (8 << 20)
    core.runs(lambda received: reply(page if received.path.endswith("/large") else b"small"))
    portal = Client(another().provider)
    slow = [connect(portal, f"GET {API}/large HTTP/1.1", buffer=4096) for _ in range(THREADS)]
    wait_for_responses(slow, THREADS)
    assert portal.send("GET", f"{API}/systeminfo").body == b"small"
    assert slow[0].recv(4096).startswith(b"HTTP/1.1 200")


def test_core_that_stalls_on_one_page_leaves_threads_to_others(
    another: StartAdapter, core: ScriptedCore, connect: Connect
) -> None:
    path = "/registries/4/info"
    arrived, proceed = threading.Semaphore(0), threading.Event()

    def script(received: Received) -> Response:
        if received.path == API + path:
            arrived.release()
            proceed.wait(60)
        return reply([stored(4)])

    core.runs(script)
    portal = Client(another().provider)
    try:
        slow = [connect(portal, f"GET {API}{path} HTTP/1.1") for _ in range(THREADS - 1)]
        assert all(arrived.acquire(timeout=20) for _ in slow)
        # The last thread rejects a change at once, because core might apply it too late.
        assert portal.write("POST", "/registries", {"name": "x"}).status == 503
        slow.append(connect(portal, f"GET {API}{path} HTTP/1.1"))
        assert arrived.acquire(timeout=20)
        assert portal.get("/registries").json()[0]["type"] == NAME
        # It used a thread of those beyond `MAX_FULL_TIME`.
        assert 0 < len(readable(slow)) <= THREADS - MAX_FULL_TIME
    finally:
        proceed.set()


def test_anonymous_caller_fills_no_memory(another: StartAdapter, core: ScriptedCore) -> None:
    """With different URLs of a megabyte, and documents that consist of braces."""
    core.returns({}, 401)
    running = another()
    portal = Client(running.provider)
    values = b'{"id":4,"url":[' + b"{}," * 300_000 + b"0]}"

    def attack(number: int) -> set[int]:
        url = f"http://{number}{'a' * (900 << 10)}.example"
        return {
            portal.write("POST", "/registries/ping", {"type": "harbor", "url": url}, ANONYMOUS).status,
            portal.send("POST", f"{API}/registries/ping", ANONYMOUS, values).status,
        }

    with ThreadPoolExecutor(4) as pool:
        before = reset_peak(worker_of(running))
        statuses = set().union(*pool.map(attack, range(60)))
    assert statuses == {401, 413}
    assert peak(worker_of(running)) - before < 32 << 20


@pytest.mark.parametrize("link", ["<" * 60_000, "<?" * 30_000, "<x?" + "q=1&" * 15_000])
def test_link_header_takes_linear_time(link: str) -> None:
    """Quadratic time would exceed the time limit of the test."""
    assert restore_links(link * 8, "q=a", "q=b") == link * 8


def test_response_that_is_too_slow_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(list(proxying._limited(b"x" for _ in range(100)))) == 100
    monkeypatch.setattr(proxying, "RESPONSE_SECONDS", -1.0)
    with pytest.raises(ConnectionResetError):
        list(proxying._limited(b"x" * (1 << 10) for _ in range(100)))


def test_chunked_body_that_trickles_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn's own reader waits again for each byte."""
    monkeypatch.setattr(request_bodies, "PACE", Pace(0.3, math.inf))
    server, client = socket.socketpair()
    stop = threading.Event()

    def trickle() -> None:
        client.sendall(b"400\r\n")
        with contextlib.suppress(OSError):
            while not stop.wait(0.05):
                client.sendall(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    unreader = SocketUnreader(server)
    stream = body.Body(body.ChunkedReader(SimpleNamespace(unreader=unreader), unreader))
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": stream, "gunicorn.socket": server}
    try:
        with pytest.raises(SizeInvalid):
            list(Incoming(environ, lambda: None))
    finally:
        stop.set()
        thread.join()
        server.close()
        client.close()


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "end"])
@pytest.mark.parametrize("head", list(HEADS.values())[:2], ids=list(HEADS)[:2])
def test_client_that_disconnects_within_its_body_gets_the_blame(
    head: str, reset: bool, another: StartAdapter, core: ScriptedCore, connect: Connect
) -> None:
    """Core receives no whole request, and the log does not report it as unreachable."""
    core.returns([])
    running = another()
    client = connect(Client(running.provider), head, first_bytes(head))
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    else:
        client.shutdown(socket.SHUT_WR)
    eventually(lambda: '"door": "provider"' in running.service.output)
    [line] = [each for each in map(json.loads, running.service.output.splitlines()) if each.get("door") == "provider"]
    assert line["status"] == 400
    assert "nothing was stored: send it again" in line["error"]
    assert core.received == []
