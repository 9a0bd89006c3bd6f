"""The worker and clients that misbehave: every port still answers, and a response reaches a client that still sends."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from adapter.contract.concurrency import UNPROVEN_CALLS
from adapter.listeners import MAX_HEADS_BYTES
from adapter.settings import SPARE_THREADS
from tests.contract.http import Door, eventually, read_answer, saying
from tests.credentials import OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, basic
from tests.running import RunningAdapter, running_adapter
from tests.swr.scripted import TOKEN_PATH, Swr

NOBODY = "http://127.0.0.1:9"
THREADS = 4
ALL_THREADS = THREADS + SPARE_THREADS
REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
UPLOAD = f"PUT /v2/org/repo/manifests/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: {basic()}\r\n".encode()


@pytest.fixture(scope="module")
def swr() -> Iterator[Swr]:
    """Grants tokens, and nothing else."""
    with HTTPServer(threaded=True) as server:
        swr = Swr(server)
        swr.grant()
        yield swr


@pytest.fixture(scope="module")
def running(swr: Swr) -> Iterator[RunningAdapter]:
    with running_adapter(regions_of(swr), threads=THREADS, harbor_core_url=NOBODY) as adapter:
        yield adapter


def regions_of(swr: Swr) -> dict[str, dict[str, str]]:
    return {PROJECT: {"registry": swr.url, "api": swr.url}}


def all_ports_answer(adapter: RunningAdapter) -> bool:
    """The challenge, a probe, and a page of core, which does not run."""
    expected = {
        (adapter.contract, "/v2/"): 401,
        (adapter.operations, "/probe/healthy"): 200,
        (adapter.provider, "/"): 404,
    }
    answered = {
        (url, path): Door(url, documented=False).ask("GET", path, authorization=None, timeout=10).status
        for url, path in expected
    }
    return answered == expected


@pytest.mark.parametrize("data", [b"", REQUEST[:-2]], ids=["silent", "half a head"])
def test_waiting_clients_hold_no_thread(running: RunningAdapter, data: bytes) -> None:
    with (
        saying(running.contract, ALL_THREADS + 10, data),
        saying(running.operations, 20, data),
        saying(running.provider, 20, data),
    ):
        assert all_ports_answer(running)


def test_client_that_stays_after_its_response_delays_nobody(running: RunningAdapter) -> None:
    with saying(running.contract, 16, REQUEST[:-2] + b"Connection: close\r\n\r\n") as opened:
        assert [each.recv(12) for each in opened] == [b"HTTP/1.1 401"] * len(opened)
        assert all_ports_answer(running)


@pytest.mark.parametrize("size", [8, 400])
def test_head_in_pieces_is_answered_also_on_a_kept_connection(running: RunningAdapter, size: int) -> None:
    head = REQUEST[:-2] + b"X-Padding: " + b"x" * 300 + b"\r\n\r\n"
    with saying(running.contract, 1, b"") as (connection,):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for start in range(0, len(head), size):
                connection.sendall(head[start : start + size])
                time.sleep(0.01)
            answer = read_answer(connection)
            assert answer is not None
            assert (answer.status, answer.header("Connection")) == (401, "keep-alive")


def test_half_a_request_behind_others_waits_without_a_thread(running: RunningAdapter) -> None:
    request = REQUEST.replace(b"/v2/", b"/api/version")
    with saying(running.contract, ALL_THREADS + 8, request + request[:-2]) as opened:
        assert {each.recv(12) for each in opened} == {b"HTTP/1.1 400"}
        for each in opened[-3:]:
            each.sendall(request[-2:] + request)
            received = b""
            while received.count(b"HTTP/1.1 400") < 2:
                block = each.recv(65536)
                assert block
                received += block


def test_unfinished_heads_have_a_limit(running: RunningAdapter) -> None:
    """The largest ones are dropped, and a small one is served."""
    number, size = 300, 60_000
    assert number * size > MAX_HEADS_BYTES
    with saying(running.contract, number, b"GET /" + b"a" * size) as opened:
        assert all_ports_answer(running)
        for each in opened:
            each.setblocking(False)
        eventually(lambda: sum(map(ended, opened)) >= number - MAX_HEADS_BYTES // size)
        assert sum(map(ended, opened)) < number // 2


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_error_response_reaches_a_client_that_still_sends(running: RunningAdapter) -> None:
    size = 16 << 20
    for _ in range(3):
        with saying(running.contract, 1, UPLOAD + f"Content-Length: {size}\r\n\r\n".encode()) as (connection,):
            for _ in range(size >> 20):
                connection.sendall(bytes(1 << 20))
            answer = read_answer(connection)
            assert answer is not None
            assert answer.status == 413


def test_busy_contract_port_leaves_threads_to_the_challenge_and_the_other_ports(
    running: RunningAdapter, swr: Swr
) -> None:
    """SWR is silent: as many requests as permitted wait for it, and a further one gets 503."""
    share = UNPROVEN_CALLS - UNPROVEN_CALLS // 4
    waiting, go_on = threading.Semaphore(0), threading.Event()

    def silent(_: Request) -> Response:
        waiting.release()
        go_on.wait(60)
        return Response(status=401)

    swr.answer("GET", TOKEN_PATH, silent)
    unproven = basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY)
    with saying(running.contract, share + 1, b"") as opened:
        try:
            for number, each in enumerate(opened):
                # A repository for each request: for the same one all would wait for one token.
                head = (
                    f"GET /v2/org/repo-{number}/manifests/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: {unproven}\r\n\r\n"
                )
                each.sendall(head.encode())
            assert all(waiting.acquire(timeout=20) for _ in range(share))
            assert [each.recv(12) for each in select.select(opened, [], [], 10)[0]] == [b"HTTP/1.1 503"]
            assert all_ports_answer(running)
        finally:
            go_on.set()
            swr.grant()


def test_stalling_client_is_disconnected(swr: Swr) -> None:
    with running_adapter(regions_of(swr), threads=THREADS, client_idle_timeout=1, harbor_core_url=NOBODY) as adapter:
        for data in (b"", REQUEST[:-2], UPLOAD + b"Content-Length: 1000\r\n\r\n{"):
            with saying(adapter.contract, THREADS * 2, data) as opened:
                for each in opened:
                    # A response may come first, where the head is complete.
                    with contextlib.suppress(ConnectionResetError):
                        while each.recv(4096):
                            pass
        assert all_ports_answer(adapter)


def test_stop_does_not_wait_for_silent_clients(swr: Swr) -> None:
    with (
        running_adapter(regions_of(swr), client_idle_timeout=300, grace_period=300) as adapter,
        saying(adapter.contract, 3, b""),
        saying(adapter.contract, 3, REQUEST[:-2]),
    ):
        assert adapter.service.stop(30) == 0
