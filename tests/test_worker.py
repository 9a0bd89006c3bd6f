"""The worker under clients that do not behave: every door answers, and a refusal reaches whoever still sends."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from adapter.contract.concurrency import UNPROVEN_CALLS
from adapter.settings import SPARE_THREADS
from tests.contract.http import saying
from tests.credentials import basic
from tests.provider.harness import API, PlayedCore
from tests.running import RunningAdapter, running_adapter
from tests.swr.scripted import TOKEN_PATH, Swr

THREADS = 4
IDLE = 2


@pytest.fixture(scope="module")
def running() -> Iterator[RunningAdapter]:
    """SWR gives tokens, and nothing else."""
    with HTTPServer(threaded=True) as server:
        swr = Swr(server)
        swr.grant()
        regions = {"eu-de": {"registry": swr.url, "api": swr.url}}
        with running_adapter(regions, threads=THREADS, client_idle_timeout=IDLE) as adapter:
            yield adapter


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def healthy(running: RunningAdapter) -> bool:
    connection = http.client.HTTPConnection(*address(running.operations), timeout=IDLE * 4)
    connection.request("GET", "/probe/healthy")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status == 200


UPLOAD = (
    b"PUT /v2/org/repo/manifests/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: "
    + basic().encode()
    + b"\r\nContent-Length: 1000\r\n\r\n{"
)


@pytest.mark.parametrize("said", [b"", b"GET /v2/ HT", UPLOAD], ids=["nothing", "half a head", "half a body"])
def test_who_stalls_is_dropped_and_disturbs_nobody(running: RunningAdapter, said: bytes) -> None:
    with saying(running.contract, THREADS * 2, said) as opened:
        assert healthy(running)
        for each in opened:
            # An answer may come first, where the head was complete.
            with contextlib.suppress(ConnectionResetError):
                while each.recv(4096):
                    pass
    connection = http.client.HTTPConnection(*address(running.contract), timeout=30)
    connection.request("GET", "/v2/")
    assert connection.getresponse().status == 401
    connection.close()


def test_a_client_that_does_not_hang_up_holds_nobody_up(running: RunningAdapter) -> None:
    with saying(running.contract, 16, b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") as opened:
        for each in opened:
            assert each.recv(100).startswith(b"HTTP/1.1 401")
        assert healthy(running)


def test_keep_alive_survives(running: RunningAdapter) -> None:
    with saying(running.contract, 1, b"") as (connection,):
        for _ in range(3):
            connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            answer.read()
            assert (answer.status, answer.headers["Connection"]) == (401, "keep-alive")


def test_pipelined_requests_are_answered(running: RunningAdapter) -> None:
    with saying(running.contract, 1, b"GET /api/version HTTP/1.1\r\nHost: x\r\n\r\n" * 3) as (connection,):
        got = b""
        while got.count(b"HTTP/1.1 400") < 3:
            block = connection.recv(65536)
            assert block
            got += block


def test_half_a_request_behind_another_waits_for_its_other_half(running: RunningAdapter) -> None:
    """More of them than the port has threads."""
    ask = b"GET /api/version HTTP/1.1\r\nHost: x\r\n\r\n"
    with saying(running.contract, SPARE_THREADS + THREADS + 8, ask + ask[:-2]) as opened:
        for each in opened:
            assert each.recv(12) == b"HTTP/1.1 400"
        for each in opened[-3:]:
            each.sendall(ask[-2:])
            answer = b""
            while answer.count(b"HTTP/1.1 400") < 1:
                block = each.recv(65536)
                assert block
                answer += block


def test_a_refusal_reaches_a_client_that_still_sends(running: RunningAdapter) -> None:
    size = 16 << 20
    said = UPLOAD.replace(b"Content-Length: 1000\r\n\r\n{", f"Content-Length: {size}\r\n\r\n".encode())
    for _ in range(5):
        with saying(running.contract, 1, said) as (connection,):
            broken: list[OSError] = []

            def send(to: socket.socket, failures: list[OSError]) -> None:
                try:
                    for _ in range(size >> 20):
                        to.sendall(bytes(1 << 20))
                except OSError as error:
                    failures.append(error)

            sender = threading.Thread(target=send, args=(connection, broken))
            sender.start()
            sender.join()
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == 413
            assert b"a manifest has at most" in answer.read()
            assert broken == []


def test_a_busy_contract_door_leaves_the_others_their_threads() -> None:
    """SWR answers nothing for a while: as many requests wait for it as may, and one more is told to come again."""
    share = UNPROVEN_CALLS - UNPROVEN_CALLS // 4
    asked, answers = threading.Semaphore(0), threading.Event()

    def silent(_: Request) -> Response:
        asked.release()
        answers.wait(60)
        return Response(status=401)

    with HTTPServer(threaded=True) as swr_server, HTTPServer(threaded=True) as core_server:
        swr, core = Swr(swr_server), PlayedCore(core_server)
        swr.answer("GET", TOKEN_PATH, silent)
        core.answers([])
        regions = {"eu-de": {"registry": swr.url, "api": swr.url}}
        with (
            running_adapter(regions, threads=THREADS, harbor_core_url=core.url) as running,
            saying(running.contract, share + 1, b"") as opened,
        ):
            try:
                for number, each in enumerate(opened):
                    # A repository each: for one they would wait for the same token.
                    head = f"GET /v2/org/repo-{number}/manifests/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: {basic()}"
                    each.sendall(f"{head}\r\n\r\n".encode())
                assert all(asked.acquire(timeout=20) for _ in range(share))
                assert any(each.recv(12) == b"HTTP/1.1 503" for each in select.select(opened, [], [], 10)[0]), (
                    "nobody was refused"
                )
                challenge = http.client.HTTPConnection(*address(running.contract), timeout=IDLE * 4)
                challenge.request("GET", "/v2/")
                assert challenge.getresponse().status == 401
                challenge.close()
                assert healthy(running)
                provider = http.client.HTTPConnection(*address(running.provider), timeout=IDLE * 4)
                provider.request("GET", f"{API}/registries")
                answer = provider.getresponse()
                assert (answer.status, answer.read()) == (200, b"[]\n")
                provider.close()
                assert [seen.target for seen in core.seen] == [f"{API}/registries"]
            finally:
                answers.set()
