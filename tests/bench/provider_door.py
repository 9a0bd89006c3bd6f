"""Latency that the provider listener adds to a page of the portal: median of a list of endpoints, and of core alone.

Both are measured in one run with alternating requests on keep-alive connections.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import statistics
import threading
import time

from tests.bench.environment import Environment
from tests.bench.scale import Scale
from tests.bench.table import Bound, Line, Outcome
from tests.credentials import ACCESS_ID
from tests.running import running_adapter

PUBLIC_URL = "http://adapter.example:8080"
TARGET = "/api/v2.0/registries?page=1&page_size=15"
ADDED = Bound(most=5, unit="ms")


def page() -> bytes:
    """Fifteen endpoints as core returns them, three of them of the adapter."""
    entries = [
        {
            "creation_time": "2026-11-23T22:44:07.322Z",
            "credential": {"access_key": ACCESS_ID, "access_secret": "*****", "type": "basic"},
            "id": number,
            "name": f"endpoint-{number}",
            "status": "healthy",
            "type": "harbor",
            "update_time": "2026-11-23T22:44:07.322Z",
            "url": PUBLIC_URL if number % 5 == 0 else f"https://registry-{number}.example",
        }
        for number in range(1, 16)
    ]
    return json.dumps(entries, separators=(",", ":")).encode()


def serve(listener: socket.socket, answer: bytes) -> None:
    """A core without notable cost; ends when the listener is closed."""

    def talk(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            while connection.recv(65536):
                connection.sendall(answer)

    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=talk, args=[connection], daemon=True).start()


def once(connection: http.client.HTTPConnection) -> float:
    """Milliseconds of one request."""
    started_at = time.perf_counter()
    connection.request("GET", TARGET, headers={"Cookie": "sid=session"})
    connection.getresponse().read()
    return (time.perf_counter() - started_at) * 1000


def list_of_endpoints(environment: Environment, scale: Scale) -> Outcome:
    """The row: latency of a list of endpoints."""
    body = page()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener, head.encode() + body), daemon=True).start()
        core = listener.getsockname()[1]
        regions = {"eu-de": {"registry": "https://swr.example", "api": "https://swr-api.example"}}
        settings = {"public_url": PUBLIC_URL, "harbor_core_url": f"http://127.0.0.1:{core}"}
        with (
            running_adapter(regions, **settings) as adapter,
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", core)) as direct,
            contextlib.closing(http.client.HTTPConnection(adapter.provider.removeprefix("http://"))) as door,
        ):
            for connection in (direct, door) * 20:
                once(connection)
            pairs = [(once(direct), once(door)) for _ in range(scale.requests)]
    alone, through = (statistics.median(column) for column in zip(*pairs, strict=True))
    line = Line(
        "provider-door", "list, ms", f"{through:.2f}", f"core alone {alone:.2f}", through - alone, ADDED, "ms more"
    )
    return Outcome((line,), "one Python thread reads, translates and writes: Flask and gunicorn cost most of it")
