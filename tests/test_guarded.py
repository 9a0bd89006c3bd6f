"""The worker under clients that cost nothing to whoever sends them: no thread, no descriptor and no stop is theirs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from adapter.settings import SPARE_THREADS
from tests.contract.http import Door, digest_of, saying
from tests.running import TENANT, RunningAdapter, RunningSandbox, running_adapter

NOWHERE = {"eu-de": {"registry": "http://127.0.0.1:9", "api": "http://127.0.0.1:9"}}
THREADS = 4


@pytest.fixture(scope="module")
def running() -> Iterator[RunningAdapter]:
    with running_adapter(NOWHERE, threads=THREADS, harbor_core_url="http://127.0.0.1:9") as adapter:
        yield adapter


def answers(adapter: RunningAdapter) -> bool:
    """Every door does: the challenge, a probe, and a page that only passes (core is not there)."""
    return (
        Door(adapter.contract).ask("GET", "/v2/", authorization=None, timeout=5).status == 401
        and Door(adapter.operations).ask("GET", "/probe/healthy", timeout=5).status == 200
        and Door(adapter.provider).ask("GET", "/", timeout=10).status == 404
    )


@pytest.mark.parametrize("said", [b"", b"GET /v2/ HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half a head"])
def test_no_thread_is_theirs(running: RunningAdapter, said: bytes) -> None:
    with (
        saying(running.contract, THREADS + SPARE_THREADS + 10, said),
        saying(running.operations, 20, said),
        saying(running.provider, 20, said),
    ):
        assert answers(running)


@pytest.mark.parametrize("pieces", [1, 7, 40])
def test_a_head_in_pieces(running: RunningAdapter, pieces: int) -> None:
    """Also on a connection that was kept: each piece is seen, and the last one is enough."""
    head = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Padding: " + b"x" * 300 + b"\r\n\r\n"
    size = -(-len(head) // pieces)
    with saying(running.contract, 1, b"") as (connection,):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for start in range(0, len(head), size):
                connection.sendall(head[start : start + size])
                time.sleep(0.01)
            got = b""
            while b'"errors"' not in got:
                part = connection.recv(65536)
                assert part
                got += part
            assert got.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02", b"\0", b" GET", b"\xff"])
def test_what_begins_with_no_method_is_refused_at_once(running: RunningAdapter, said: bytes) -> None:
    with saying(running.contract, 1, said + b"\r\n") as (connection,):
        connection.settimeout(5)
        assert connection.recv(100).startswith(b"HTTP/1.1 4")


def test_no_descriptor_is_theirs() -> None:
    """More clients than the kernel lets the process have: who has come is served, and who goes makes room."""
    with running_adapter(NOWHERE, files=600, threads=THREADS, harbor_core_url="http://127.0.0.1:9") as adapter:
        with saying(adapter.contract, 700, b""), saying(adapter.operations, 1, b"") as (early,):
            early.close()
        assert answers(adapter)
        assert adapter.service.process.poll() is None


def test_a_stop_does_not_wait_for_them() -> None:
    with (
        running_adapter(NOWHERE, client_idle_timeout=300, grace_period=300) as adapter,
        saying(adapter.contract, 3, b""),
        saying(adapter.contract, 3, b"GET /v2/ HTTP/1.1\r\n"),
    ):
        assert adapter.service.stop(30) == 0


def test_a_slow_reader_is_not_a_silent_one(sandbox: RunningSandbox) -> None:
    """It takes a block in more than the time in which it has to take something."""
    sandbox.reset()
    sandbox.store.create_organization("team", TENANT)
    regions = {"eu-de": {"registry": sandbox.registry, "api": sandbox.api}}
    data = os.urandom(3 << 20)
    with running_adapter(regions, client_idle_timeout=3) as adapter:
        door = Door(adapter.contract)
        digest = door.push("team/slow", data)
        with door.open() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            connection.sendall(door.head("GET", f"/v2/team/slow/blobs/{digest}"))
            got = b""
            while len(got) < len(data):
                part = connection.recv(1 << 16)
                assert part, f"cut after {len(got)} bytes"
                got += part
                time.sleep(0.25)
        assert digest_of(got[-len(data) :]) == digest
