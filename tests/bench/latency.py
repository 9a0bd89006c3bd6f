"""What a small request waits: HEAD of a manifest, beside the sink alone and among stalled clients.

The client is Python on both ways, over kept connections, request by request in turn: what is told is the difference.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import statistics
import time
from collections.abc import Callable, Iterator

from tests.bench.scale import Scale
from tests.bench.stage import Setting, Stage
from tests.bench.table import Bound, Line, Outcome
from tests.credentials import basic
from tests.running import RunningAdapter

MANIFEST = "/v2/bench/head/manifests/v1"
ADDED = Bound(most=2, unit="ms")
AMONG_STALLED = Bound(most=100, unit="ms")
STALLED = 64
PATIENCE = 10.0
"""Seconds after which a request among stalled clients counts as not answered."""
LOOKS = 20


def ask(connection: http.client.HTTPConnection, method: str, target: str) -> float:
    """Milliseconds until the answer, which must be 200, is read."""
    begun = time.perf_counter()
    connection.request(method, target, headers={"Authorization": basic()})
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise RuntimeError(f"{method} {target} was answered {response.status}")
    return (time.perf_counter() - begun) * 1000


def connect(origin: str) -> http.client.HTTPConnection:
    """To `http(s)://host:port`; certificates are not verified, it is this machine."""
    scheme, _, address = origin.partition("://")
    if scheme == "https":
        return http.client.HTTPSConnection(address, timeout=PATIENCE, context=ssl._create_unverified_context())
    return http.client.HTTPConnection(address, timeout=PATIENCE)


def pairs(
    direct: http.client.HTTPConnection, through: http.client.HTTPConnection, target: str, method: str, count: int
) -> tuple[float, float]:
    """The medians of `count` requests each way, in turn, after some that do not count."""
    for connection in (direct, through) * 20:
        ask(connection, method, target)
    samples = [(ask(direct, method, target), ask(through, method, target)) for _ in range(count)]
    alone, both = (statistics.median(column) for column in zip(*samples, strict=True))
    return alone, both


def head(upstream_tls: bool) -> Callable[[Stage, Scale], Outcome]:
    """The row: what the adapter adds to a HEAD, with TLS towards the sink or without."""
    name = "head-tls" if upstream_tls else "head-plain"

    def measured(stage: Stage, scale: Scale) -> Outcome:
        setting = Setting(upstream_tls=upstream_tls, verify=True)
        sink = f"https://127.0.0.1:{stage.tls_sink}" if upstream_tls else f"http://127.0.0.1:{stage.plain_sink}"
        with (
            contextlib.closing(connect(sink)) as direct,
            contextlib.closing(connect(stage.running(setting).contract)) as through,
        ):
            alone, both = pairs(direct, through, MANIFEST, "HEAD", scale.requests)
        line = Line(name, "HEAD, ms", f"{both:.2f}", f"sink alone {alone:.2f}", both - alone, ADDED, "ms more")
        return Outcome((line,), "one Python thread reads, asks and writes: most of it in gunicorn, Flask and requests")

    return measured


# Stalled clients


def _silent(address: tuple[str, int], _: str) -> socket.socket:
    return socket.create_connection(address)


def _in_head(address: tuple[str, int], _: str) -> socket.socket:
    connection = socket.create_connection(address)
    connection.sendall(f"HEAD {MANIFEST} HTTP/1.1\r\nHost: bench\r\n".encode())
    return connection


def _in_body(address: tuple[str, int], location: str) -> socket.socket:
    connection = socket.create_connection(address)
    target = f"{location}?digest=sha256:{'0' * 64}"
    head = f"PUT {target} HTTP/1.1\r\nHost: bench\r\nAuthorization: {basic()}\r\nContent-Length: {1 << 30}\r\n\r\n"
    connection.sendall(head.encode() + bytes(64 << 10))
    return connection


@contextlib.contextmanager
def _stalled(adapter: RunningAdapter, kind: Callable[[tuple[str, int], str], socket.socket]) -> Iterator[None]:
    host, _, port = adapter.contract.removeprefix("http://").rpartition(":")
    # Uploads are opened before the first client stalls: later they might get no thread.
    locations = [_upload(adapter) for _ in range(STALLED)]
    with contextlib.ExitStack() as stack:
        for location in locations:
            stack.enter_context(contextlib.closing(kind((host, int(port)), location)))
        time.sleep(0.5)  # all have arrived where they stall
        yield


def _upload(adapter: RunningAdapter) -> str:
    with contextlib.closing(connect(adapter.contract)) as connection:
        headers = {"Authorization": basic(), "Content-Length": "0"}
        connection.request("POST", "/v2/bench/stalled/blobs/uploads/", headers=headers)
        response = connection.getresponse()
        response.read()
        return response.headers["Location"]


def _worst(origin: str, method: str, target: str) -> float:
    """The slowest of some requests in ms, a connection each; `PATIENCE` for one that is not answered."""
    slowest = 0.0
    for _ in range(LOOKS):
        begun = time.perf_counter()
        with contextlib.closing(connect(origin)) as connection:
            try:
                ask(connection, method, target)
            except (TimeoutError, http.client.HTTPException, ConnectionError):
                return PATIENCE * 1000
        slowest = max(slowest, (time.perf_counter() - begun) * 1000)
    return slowest


def stalled(stage: Stage, scale: Scale) -> Outcome:
    """The row: HEAD and probe while 64 clients have stopped, in each of the places where a client can."""
    lines = []
    kinds = {"said nothing": _silent, "stopped in the head": _in_head, "stopped in a body": _in_body}
    with stage.fresh(Setting(upstream_tls=False, verify=True)) as adapter:
        _worst(adapter.contract, "HEAD", MANIFEST)
        for words, kind in kinds.items():
            with _stalled(adapter, kind):
                slowest = _worst(adapter.contract, "HEAD", MANIFEST)
                probe = _worst(adapter.operations, "GET", "/probe/healthy")
            shown = f"HEAD {slowest:.0f}, probe {probe:.0f}"
            what = f"slowest of {LOOKS}, {STALLED} {words}"
            lines.append(Line("head-stalled", what, shown, "–", max(slowest, probe), AMONG_STALLED, "ms"))
    return Outcome(tuple(lines), "threads: what stalls in the poller costs none, what stalls in a body keeps one")
