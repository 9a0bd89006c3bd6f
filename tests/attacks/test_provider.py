"""The provider door without nginx before it: clients that are slow, silent or many leave threads to all others."""

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
from adapter.provider import incoming, proxying
from adapter.provider.incoming import Incoming
from adapter.provider.query_filters import restored
from adapter.provider.threads import MAX_BODIES, MAX_SLOW, THREADS
from adapter.transfer.request_body import Pace
from tests.conftest import StartAdapter
from tests.contract.http import eventually
from tests.provider.conftest import another, core, portal, scripted_swr, servers, shared_adapter
from tests.provider.forms import created
from tests.provider.harness import API, NAME, Client, PlayedCore, Seen, reply, stored
from tests.provider.test_admitted import ANONYMOUS
from tests.swr.scripted import Swr
from tests.transfer.test_memory import peak, reset_peak, worker_of

__all__ = ["another", "core", "portal", "scripted_swr", "servers", "shared_adapter"]

SILENT = 20
"""More clients than the door has threads."""


class Clients:
    """Connections that are opened by a test and end with it."""

    def __init__(self, portal: Client) -> None:
        host, port = portal.host.split(":")
        self._address, self._stack = (host, int(port)), contextlib.ExitStack()

    def send(self, head: str, body: bytes = b"", buffer: int | None = None) -> socket.socket:
        client = self._stack.enter_context(socket.socket())
        if buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(30)
        client.connect(self._address)
        client.sendall(f"{head}\r\nHost: h\r\nCookie: sid=1\r\n\r\n".encode() + body)
        return client

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def clients() -> Iterator[Callable[[Client], Clients]]:
    with contextlib.ExitStack() as stack:

        def start(portal: Client) -> Clients:
            opened = Clients(portal)
            stack.callback(opened.close)
            return opened

        yield start


def refused(client: socket.socket) -> bool:
    """Whether the answer is that the door has no place, in Harbor's envelope."""
    response = http.client.HTTPResponse(client)
    response.begin()
    [error] = json.loads(response.read())["errors"]
    assert error["message"].endswith("try again in some seconds")
    assert int(response.headers["Retry-After"]) > 0
    return response.status == 503


HEADS = {
    "document": f"POST {API}/registries HTTP/1.1\r\nContent-Length: 400",
    "passed in chunks": f"POST {API}/replication/policies HTTP/1.1\r\nTransfer-Encoding: chunked",
    "of a page": f"GET {API}/registries HTTP/1.1\r\nContent-Length: 400",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_silent_bodies_leave_half_of_the_threads(
    head: str, another: StartAdapter, core: PlayedCore, scripted_swr: Swr, clients: Callable[[Client], Clients]
) -> None:
    core.stores(stored(4))
    portal = Client(another().provider)
    opened = clients(portal)
    first = b"1\r\n{" if "chunked" in head else b"{"
    silent = [opened.send(head, first) for _ in range(SILENT)]
    # All but those that hold a place are answered while nobody has sent another byte.
    answered = answers(silent, SILENT - MAX_BODIES)
    assert all(map(refused, answered))
    assert portal.get("/registries").json()[0]["type"] == NAME
    # A change of somebody else, whose body is here, needs no place.
    assert portal.write("POST", "/registries", created(url=scripted_swr.url)).status == 201
    assert not readable([each for each in silent if each not in answered])


def readable(clients: list[socket.socket]) -> list[socket.socket]:
    """Those that something has come to, the end included."""
    return select.select(clients, [], [], 0)[0]


def answers(clients: list[socket.socket], number: int) -> list[socket.socket]:
    """So many clients that got an answer, as soon as there are so many."""
    until = time.monotonic() + 20
    while len(found := readable(clients)) < number and time.monotonic() < until:
        time.sleep(0.02)
    assert len(found) == number
    return found


def test_clients_that_take_nothing_leave_threads_to_others(
    another: StartAdapter, core: PlayedCore, clients: Callable[[Client], Clients]
) -> None:
    """More of them than threads: those beyond `MAX_SLOW` are cut while the others still have time."""
    page = b"x" * (8 << 20)
    core.plays(lambda seen: reply(page if seen.path.endswith("/large") else b"small"))
    portal = Client(another().provider)
    opened = clients(portal)
    slow = [opened.send(f"GET {API}/large HTTP/1.1", buffer=4096) for _ in range(THREADS)]
    answers(slow, THREADS)
    assert portal.send("GET", f"{API}/systeminfo").body == b"small"
    # Each of the first ones still gets something for each bit that it takes.
    assert [first for first in slow[:1] if first.recv(4096).startswith(b"HTTP/1.1 200")]


def test_a_core_that_does_not_answer_one_page_answers_others(
    another: StartAdapter, core: PlayedCore, clients: Callable[[Client], Clients]
) -> None:
    path = "/registries/4/info"
    asked, over = threading.Semaphore(0), threading.Event()

    def script(seen: Seen) -> Response:
        if seen.path == API + path:
            asked.release()
            over.wait(60)
        return reply([stored(4)])

    core.plays(script)
    portal = Client(another().provider)
    opened = clients(portal)
    try:
        slow = [opened.send(f"GET {API}{path} HTTP/1.1") for _ in range(THREADS - 1)]
        assert all(asked.acquire(timeout=20) for _ in slow)
        # One thread is left: it rejects a change at once, since core might carry that out too late.
        assert portal.write("POST", "/registries", {"name": "x"}).status == 503
        slow.append(opened.send(f"GET {API}{path} HTTP/1.1"))
        assert asked.acquire(timeout=20)
        assert portal.get("/registries").json()[0]["type"] == NAME
        # It had a thread of those beyond `MAX_SLOW`; the others still wait.
        assert 0 < len(readable(slow)) <= THREADS - MAX_SLOW
    finally:
        over.set()


def test_a_stranger_fills_no_memory(another: StartAdapter, core: PlayedCore) -> None:
    """URLs of a megabyte, each another one, and documents of nothing but braces, of callers whom core does not know."""
    core.plays(lambda _: reply({}, 401))
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
def test_a_link_header_costs_no_more_than_its_length(link: str) -> None:
    """Bound by the test's own time: what looks at everything again for each letter takes minutes."""
    assert restored(link * 8, "q=a", "q=b") == link * 8


def test_an_answer_that_goes_too_slowly_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxying, "ANSWER_SECONDS", -1.0)
    blocks = proxying._paced(b"x" * (1 << 10) for _ in range(100))
    with pytest.raises(ConnectionResetError):
        list(blocks)
    monkeypatch.setattr(proxying, "ANSWER_SECONDS", 60.0)
    assert len(list(proxying._paced(b"x" for _ in range(100)))) == 100


def test_a_chunked_body_that_trickles_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of gunicorn's own reader, which waits anew for each byte."""
    monkeypatch.setattr(incoming, "PACE", Pace(0.3, math.inf))
    ours, client = socket.socketpair()
    over = threading.Event()

    def trickle() -> None:
        client.sendall(b"400\r\n")
        with contextlib.suppress(OSError):
            while not over.wait(0.05):
                client.sendall(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    unreader = SocketUnreader(ours)
    stream = body.Body(body.ChunkedReader(SimpleNamespace(unreader=unreader), unreader))
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": stream, "gunicorn.socket": ours}
    try:
        with pytest.raises(SizeInvalid):
            list(Incoming(environ, lambda: None))
    finally:
        over.set()
        thread.join()
        ours.close()
        client.close()


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "end"])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_client_that_leaves_in_its_body_is_the_one_that_left(
    head: str, reset: bool, another: StartAdapter, core: PlayedCore, clients: Callable[[Client], Clients]
) -> None:
    """Core gets no whole request, and is not said to be out of reach."""
    core.answers([])
    running = another()
    client = clients(Client(running.provider)).send(head, b"1\r\n{" if "chunked" in head else b"{")
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    else:
        client.shutdown(socket.SHUT_WR)
    eventually(lambda: '"door": "provider"' in running.service.output)
    [line] = [each for each in map(json.loads, running.service.output.splitlines()) if each.get("door") == "provider"]
    assert line["status"] == 400
    assert line["error"].startswith("SizeInvalid: the body ")
    assert core.seen == []
