"""Without the door: Harbor's pages answer from core, and no request that changes something reaches core twice."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.provider.core_client import CoreClient
from tests.docker.conftest import StartNginx, ask, who
from tests.docker.nginx import PATIENCE, VARIANTS, Nginx, Variant
from tests.docker.servers import Answer, Half, Script, Scripted, Seen, Silence, dns, full, scripted

PAGES = ["GET /api/v2.0/registries?page=1", "GET /api/v2.0/replication/adapters", "GET /api/v2.0/projects/1/summary"]
ENDPOINTS = [
    "POST /api/v2.0/registries",
    "POST /api/v2.0/registries/ping",
    "PUT /api/v2.0/registries/3",
    "PATCH /api/v2.0/registries/3",
]
"""Core needs the adapter for these."""
ALONE = [
    "DELETE /api/v2.0/registries/3",
    "POST /api/v2.0/replication/policies",
    "PUT /api/v2.0/replication/policies/7",
    "DELETE /api/v2.0/replication/policies/7",
]
CHANGES = ENDPOINTS + ALONE
NAME = "otc-swr.internal"


def not_running(nginx: Nginx, core: Scripted, changes: list[str] = ENDPOINTS) -> None:
    """Each change of an endpoint is rejected with the reason, in Harbor's envelope, and core hears of none."""
    before = len(core.seen)
    for change in changes:
        method, path = change.split(" ", 1)
        got = ask(nginx, method, f"{path}?x=1", body=b'{"name": "x"}')
        assert (got.status, got.values("Content-Type")) == (503, ["application/json"])
        [error] = json.loads(got.body)["errors"]
        assert error["code"] == "UNKNOWN"
        assert error["message"].startswith("the SWR adapter is not running")
    assert core.methods()[before:] == []


def not_carried_out(nginx: Nginx, core: Scripted, changes: list[str] = CHANGES) -> None:
    """Each change is refused with Harbor's envelope, and core hears of none."""
    before = len(core.seen)
    for change in changes:
        method, path = change.split(" ", 1)
        got = ask(nginx, method, path, body=b'{"name": "x"}')
        assert (got.status, got.values("Content-Type")) == (502, ["application/json"])
        [error] = json.loads(got.body)["errors"]
        assert error["code"] == "BAD_GATEWAY"
        assert "may have carried it out" in error["message"]
    assert core.methods()[before:] == []


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_without_the_door_core_answers_what_it_can_do_alone(
    variant: Variant, nginx: StartNginx, core: Scripted, tls_core: Scripted, internal: Path
) -> None:
    behind = tls_core if variant.internal_tls else core
    running = nginx(behind, None, variant, internal=internal if variant.internal_tls else None)
    assert who(running, PAGES + ALONE) == ["core"] * 7
    assert behind.methods() == PAGES + ALONE
    not_running(running, behind)


def test_core_gets_the_whole_request(nginx: StartNginx, core: Scripted) -> None:
    running, body = nginx(core, None), b'{"description": "' + b"x" * 300_000 + b'"}'
    core.script = lambda _: Answer(201, b"", (("Location", "/api/v2.0/registries/9"), ("Set-Cookie", "sid=1; Path=/")))
    headers = {"Cookie": "sid=1", "X-Harbor-CSRF-Token": "x", "Host": "harbor.example.com", "Origin": "http://o"}
    got = ask(running, "POST", "/api/v2.0/replication/policies?a=%2F", headers=headers, body=body)
    ask(running, "POST", "/api/v2.0/users?a=%2F", headers=headers, body=body)
    fallen, stock = core.seen
    assert fallen.target == "/api/v2.0/replication/policies?a=%2F"
    assert fallen.body == stock.body == body
    assert sorted(fallen.headers) == sorted(stock.headers)
    assert (got.status, got.values("Location")) == (201, ["/api/v2.0/registries/9"])
    assert got.values("X-Frame-Options") == ["DENY"]


def test_head_is_answered_too(nginx: StartNginx, core: Scripted, door: Scripted) -> None:
    running = nginx(core, door)
    door.script = silent
    assert ask(running, "HEAD", "/api/v2.0/registries").status == 200
    assert core.methods() == ["HEAD /api/v2.0/registries"]


def silent(_: Seen) -> Answer:
    raise Silence


def half(_: Seen) -> Answer:
    raise Half


@pytest.mark.parametrize("script", [silent, half])
def test_a_door_that_dies_with_a_request_does_not_make_core_do_it_again(
    script: Script, nginx: StartNginx, core: Scripted, door: Scripted
) -> None:
    running = nginx(core, door)
    door.script = script
    not_carried_out(running, core)
    assert door.methods() == CHANGES
    # What only reads may be read twice.
    assert who(running, PAGES) == ["core"] * 3


def test_a_door_that_passed_the_request_on_and_died_leaves_one(nginx: StartNginx, core: Scripted) -> None:
    def passes_on(seen: Seen) -> Answer:
        core.seen.append(seen)  # as core would have had it from the door
        raise Silence

    with scripted("door", passes_on) as door:
        running = nginx(core, door)
        assert ask(running, "POST", "/api/v2.0/registries", body=b"{}").status == 502
    assert core.methods() == ["POST /api/v2.0/registries"]


DYING = """
import os, signal, socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
while not connection.recv(65536).endswith(b"}"):
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""


@contextlib.contextmanager
def dying() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A process that takes one request as a whole, and is killed."""
    with subprocess.Popen([sys.executable, "-c", DYING], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def test_a_door_that_is_killed_under_a_request(nginx: StartNginx, core: Scripted) -> None:
    with dying() as (port, process):
        running = nginx(core, port)
        not_carried_out(running, core, CHANGES[:1])
        assert process.wait(10) == -signal.SIGKILL
        # Now it is gone, and the next one is core's, if core can do it alone.
        assert who(running, ALONE + PAGES) == ["core"] * 7
        not_running(running, core)


def test_a_door_that_is_stopped_under_nginx(nginx: StartNginx, core: Scripted) -> None:
    with scripted("door") as door:
        running = nginx(core, door)
        assert who(running, PAGES + CHANGES) == ["door"] * 11
    assert who(running, PAGES + ALONE) == ["core"] * 7
    not_running(running, core)


def test_a_door_that_does_not_answer_in_time(nginx: StartNginx, core: Scripted, door: Scripted) -> None:
    over = threading.Event()

    def slow(_: Seen) -> Answer:
        over.wait(30)
        raise Silence

    running = nginx(core, door, patience="500ms")
    door.script = slow
    not_carried_out(running, core, CHANGES[:1])
    assert who(running, PAGES[:1]) == ["core"]
    over.set()


def test_the_door_gives_up_before_nginx_does() -> None:
    waits = float(PATIENCE.removeprefix("proxy_read_timeout ").removesuffix("s;"))
    takes = CoreClient("http://core:8080", None).until() - time.monotonic()
    assert takes <= waits - 5


@pytest.mark.parametrize("variant", VARIANTS[:2], ids=str)
def test_the_door_has_its_own_time_whatever_the_server_says(
    variant: Variant, nginx: StartNginx, core: Scripted, door: Scripted
) -> None:
    def slow(_: Seen) -> Answer:
        threading.Event().wait(0.4)
        return Answer(body=b"door")

    running = nginx(core, door, variant, extra="proxy_read_timeout 100ms;")
    door.script = slow
    assert who(running, [PAGES[0], CHANGES[0]]) == ["door"] * 2


def test_a_door_that_cannot_be_reached(nginx: StartNginx, core: Scripted) -> None:
    with full() as port:
        running = nginx(core, port)
        assert who(running, [PAGES[0], ALONE[0]]) == ["core"] * 2
        not_running(running, core, ENDPOINTS[:1])
    assert "upstream timed out" in running.log


def test_the_name_of_the_door_is_looked_up_when_it_is_needed(nginx: StartNginx, core: Scripted, door: Scripted) -> None:
    addresses: dict[str, str] = {}
    with dns(addresses) as port:
        running = nginx(core, f"{NAME}:{door.port}", dns=port)
        assert who(running, [PAGES[0], ALONE[0]]) == ["core"] * 2
        not_running(running, core, ENDPOINTS[:1])
        assert "could not be resolved" in running.log
        addresses[NAME] = "127.0.0.1"
        assert who(running, [PAGES[0], CHANGES[0]]) == ["door"] * 2


def test_without_any_name_server_core_answers(nginx: StartNginx, core: Scripted, door: Scripted) -> None:
    running = nginx(core, f"{NAME}:{door.port}")
    assert who(running, ALONE[:1]) == ["core"]
    not_running(running, core, ENDPOINTS[:1])
    assert door.seen == []
