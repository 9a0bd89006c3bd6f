"""Latency of a small request: HEAD of a manifest, compared with the sink alone, and among stalled clients.

The client is Python for both, with keep-alive connections and alternating requests; the result is the difference.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import statistics
import time
from collections.abc import Callable, Iterator

from tests.bench.environment import Environment, Setting
from tests.bench.scale import Scale
from tests.bench.table import Bound, Line, Outcome
from tests.credentials import basic
from tests.running import RunningAdapter

MANIFEST = "/v2/bench/head/manifests/v1"
ADDED = Bound(most=2, unit="ms")
AMONG_STALLED = Bound(most=100, unit="ms")
STALLED = 64
TIMEOUT_SECONDS = 10.0
"""Timeout of a request among stalled clients."""
PROBES = 20


def ask(connection: http.client.HTTPConnection, method: str, target: str) -> float:
    """Milliseconds until the response, which must be 200, is read."""
    started_at = time.perf_counter()
    connection.request(method, target, headers={"Authorization": basic()})
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise RuntimeError(f"{method} {target} returned {response.status}")
    return (time.perf_counter() - started_at) * 1000


def connect(origin: str) -> http.client.HTTPConnection:
    """Connects to `http(s)://host:port` without verifying the certificate of this machine."""
    scheme, _, address = origin.partition("://")
    if scheme == "https":
        return http.client.HTTPSConnection(address, timeout=TIMEOUT_SECONDS, context=ssl._create_unverified_context())
    return http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)


def pairs(
    direct: http.client.HTTPConnection, through: http.client.HTTPConnection, target: str, method: str, count: int
) -> tuple[float, float]:
    """Medians of `count` alternating requests on both connections, after a warm-up."""
    for connection in (direct, through) * 20:
        ask(connection, method, target)
    samples = [(ask(direct, method, target), ask(through, method, target)) for _ in range(count)]
    alone, both = (statistics.median(column) for column in zip(*samples, strict=True))
    return alone, both


def head(upstream_tls: bool) -> Callable[[Environment, Scale], Outcome]:
    """The row: latency that the adapter adds to a HEAD, with or without TLS to the sink."""
    name = "head-tls" if upstream_tls else "head-plain"

    def measured(environment: Environment, scale: Scale) -> Outcome:
        setting = Setting(upstream_tls=upstream_tls, verify=True)
        sink = (
            f"https://127.0.0.1:{environment.tls_sink}"
            if upstream_tls
            else f"http://127.0.0.1:{environment.plain_sink}"
        )
        with (
            contextlib.closing(connect(sink)) as direct,
            contextlib.closing(connect(environment.running(setting).contract)) as through,
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
    # Uploads start before the first client stalls: later they might get no thread.
    locations = [_upload(adapter) for _ in range(STALLED)]
    with contextlib.ExitStack() as stack:
        for location in locations:
            stack.enter_context(contextlib.closing(kind((host, int(port)), location)))
        time.sleep(0.5)  # until all clients stall
        yield


def _upload(adapter: RunningAdapter) -> str:
    with contextlib.closing(connect(adapter.contract)) as connection:
        headers = {"Authorization": basic(), "Content-Length": "0"}
        connection.request("POST", "/v2/bench/stalled/blobs/uploads/", headers=headers)
        response = connection.getresponse()
        response.read()
        return response.headers["Location"]


def _worst(origin: str, method: str, target: str) -> float:
    """Milliseconds of the slowest request, each on a new connection; the timeout for one without response."""
    slowest = 0.0
    for _ in range(PROBES):
        started_at = time.perf_counter()
        with contextlib.closing(connect(origin)) as connection:
            try:
                ask(connection, method, target)
            except (TimeoutError, http.client.HTTPException, ConnectionError):
                return TIMEOUT_SECONDS * 1000
        slowest = max(slowest, (time.perf_counter() - started_at) * 1000)
    return slowest


def stalled(environment: Environment, scale: Scale) -> Outcome:
    """The row: HEAD and probe while 64 clients stall, before, in the head and in the body of a request."""
    lines = []
    kinds = {"said nothing": _silent, "stopped in the head": _in_head, "stopped in a body": _in_body}
    with environment.fresh(Setting(upstream_tls=False, verify=True)) as adapter:
        _worst(adapter.contract, "HEAD", MANIFEST)
        for words, kind in kinds.items():
            with _stalled(adapter, kind):
                slowest = _worst(adapter.contract, "HEAD", MANIFEST)
                probe = _worst(adapter.operations, "GET", "/probe/healthy")
            shown = f"HEAD {slowest:.0f}, probe {probe:.0f}"
            what = f"slowest of {PROBES}, {STALLED} {words}"
            lines.append(Line("head-stalled", what, shown, "–", max(slowest, probe), AMONG_STALLED, "ms"))
    return Outcome(tuple(lines), "threads: what stalls in the poller costs none, what stalls in a body keeps one")
