"""Without the adapter, core answers Harbor's pages, and no change reaches core twice."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from adapter.provider.core_client import CoreClient
from tests.docker.conftest import StartNginx, request, responders
from tests.docker.nginx import TIMEOUT, VARIANTS, Nginx, Variant
from tests.docker.servers import dns, full
from tests.provider.harness import ScriptedCore
from tests.provider.rawcore import raw_core

PAGES = ["GET /api/v2.0/registries?page=1", "GET /api/v2.0/replication/adapters", "HEAD /api/v2.0/projects/1/summary"]
ENDPOINTS = [
    "POST /api/v2.0/registries",
    "POST /api/v2.0/registries/ping",
    "PUT /api/v2.0/registries/3",
    "PATCH /api/v2.0/registries/3",
]
"""Core needs the adapter for these."""
CORE_ALONE = [
    "DELETE /api/v2.0/registries/3",
    "POST /api/v2.0/replication/policies",
    "PUT /api/v2.0/replication/policies/7",
    "DELETE /api/v2.0/replication/policies/7",
]
CHANGES = ENDPOINTS + CORE_ALONE
HOST = "otc-swr.internal"


def check_rejected(nginx: Nginx, core: ScriptedCore, lines: list[str], status: int, code: str, expected: str) -> None:
    """Each request is rejected in Harbor's format, and none reaches core."""
    before = len(core.received)
    for line in lines:
        method, path = line.split(" ", 1)
        response = request(nginx, method, f"{path}?x=1", body=b'{"name": "x"}')
        assert (response.status, response.values("Content-Type")) == (status, ["application/json"])
        [error] = json.loads(response.body)["errors"]
        assert error["code"] == code
        assert expected in error["message"]
    assert core.lines[before:] == []


def check_adapter_needed(nginx: Nginx, core: ScriptedCore, lines: list[str] = ENDPOINTS) -> None:
    check_rejected(nginx, core, lines, 503, "UNKNOWN", "the SWR adapter is not running")


def check_not_repeated(nginx: Nginx, core: ScriptedCore, lines: list[str] = CHANGES) -> None:
    check_rejected(nginx, core, lines, 502, "BAD_GATEWAY", "may have carried it out")


def check_falls_back(nginx: Nginx, core: ScriptedCore) -> None:
    core.received.clear()
    assert responders(nginx, PAGES + CORE_ALONE) == ["core", "core", "", *["core"] * len(CORE_ALONE)]
    assert core.lines == PAGES + CORE_ALONE
    check_adapter_needed(nginx, core)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_core_answers_what_it_can_without_the_adapter(
    variant: Variant, running: tuple[Nginx, ScriptedCore], nginx: StartNginx, internal: Path
) -> None:
    _, core = running
    check_falls_back(nginx(core, None, variant, internal=internal if variant.internal_tls else None), core)


def test_core_receives_the_whole_request(nginx: StartNginx, core: ScriptedCore) -> None:
    front, body = nginx(core, None), b'{"description": "' + b"x" * 300_000 + b'"}'
    core.returns(b"", 201, [("Location", "/api/v2.0/registries/9"), ("Set-Cookie", "sid=1; Path=/")])
    headers = {"Cookie": "sid=1", "X-Harbor-CSRF-Token": "x", "Host": "harbor.example.com", "Origin": "http://o"}
    response = request(front, "POST", "/api/v2.0/replication/policies?a=%2F", headers, body)
    request(front, "POST", "/api/v2.0/users?a=%2F", headers, body)
    fallback, direct = core.received
    assert fallback.target == "/api/v2.0/replication/policies?a=%2F"
    assert fallback.body == direct.body == body
    assert sorted(fallback.headers) == sorted(direct.headers)
    assert (response.status, response.values("Location")) == (201, ["/api/v2.0/registries/9"])
    assert response.values("X-Frame-Options") == ["DENY"]


def adapter_at(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.mark.parametrize("response", [b"", b"HTTP/1.1 200 OK\r\nContent-Ty"], ids=["silent", "half a response"])
def test_adapter_that_dies_with_a_request_does_not_make_core_repeat_it(
    response: bytes, nginx: StartNginx, core: ScriptedCore
) -> None:
    received: list[bytes] = []

    def die(connection: socket.socket, head: bytes) -> None:
        received.append(head)
        connection.sendall(response)

    with raw_core(die) as url:
        front = nginx(core, adapter_at(url))
        check_not_repeated(front, core)
        assert [each.partition(b"?")[0].decode() for each in received] == CHANGES
        # Reads may be repeated.
        assert responders(front, PAGES[:2]) == ["core"] * 2
    check_falls_back(front, core)


def test_adapter_that_does_not_respond_in_time(nginx: StartNginx, core: ScriptedCore) -> None:
    def wait(connection: socket.socket, _: bytes) -> None:
        while connection.recv(4096):
            pass

    with raw_core(wait) as url:
        front = nginx(core, adapter_at(url), timeout="500ms")
        check_not_repeated(front, core, CHANGES[:1])
        assert responders(front, PAGES[:1]) == ["core"]


def test_adapter_gives_up_before_nginx() -> None:
    nginx_seconds = float(TIMEOUT.removeprefix("proxy_read_timeout ").removesuffix("s;"))
    adapter_seconds = CoreClient("http://core:8080", None).deadline() - time.monotonic()
    assert 50 < adapter_seconds <= nginx_seconds - 5


def test_adapter_that_cannot_be_reached(nginx: StartNginx, core: ScriptedCore) -> None:
    with full() as port:
        front = nginx(core, port)
        assert responders(front, [PAGES[0], CORE_ALONE[0]]) == ["core"] * 2
        check_adapter_needed(front, core, ENDPOINTS[:1])
    assert "upstream timed out" in front.log


def test_name_of_the_adapter_is_resolved_at_each_request(
    nginx: StartNginx, core: ScriptedCore, adapter: ScriptedCore
) -> None:
    addresses: dict[str, str] = {}
    with dns(addresses) as port:
        front = nginx(core, f"{HOST}:{adapter.port}", dns=port)
        assert responders(front, [PAGES[0], CORE_ALONE[0]]) == ["core"] * 2
        check_adapter_needed(front, core, ENDPOINTS[:1])
        assert "could not be resolved" in front.log
        addresses[HOST] = "127.0.0.1"
        assert responders(front, [PAGES[0], CHANGES[0]]) == ["adapter"] * 2
