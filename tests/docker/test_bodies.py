"""What nginx keeps for the door: requests as a whole, within bounds, and answers for clients that take their time."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from adapter.server import PROVIDER_THREADS
from tests.docker.conftest import StartNginx, ask, who
from tests.docker.nginx import VARIANTS, Nginx
from tests.docker.servers import Answer, Scripted, Seen
from tests.docker.test_routes import running
from tests.running import running_adapter

__all__ = ["running"]

LARGE = b"x" * (3 << 20)
PAGE = b"[" + b'{"id":0},' * (20 << 20 >> 3) + b"{}]"


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_body_that_nobody_would_look_into_is_not_kept(running: tuple[Nginx, Scripted], door: Scripted) -> None:
    nginx, core = running
    for method, path in (("POST", "/api/v2.0/registries"), ("PUT", "/api/v2.0/replication/policies/7")):
        got = ask(nginx, method, path, body=LARGE)
        assert (got.status, b"413 Request Entity Too Large" in got.body) == (413, True)
    assert (door.seen, core.seen) == ([], [])
    # What does not come through the door is taken as ever.
    assert ask(nginx, "POST", "/api/v2.0/users", body=LARGE).text == "core"
    assert core.seen[-1].body == LARGE
    assert ask(nginx, "POST", "/api/v2.0/registries", body=LARGE[: 1 << 20]).text == "door"


def test_nor_one_whose_length_is_not_told(nginx: StartNginx, core: Scripted, door: Scripted) -> None:
    with socket.create_connection(("127.0.0.1", nginx(core, door).port), 20) as client:
        client.sendall(b"POST /api/v2.0/registries HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"300000\r\n" + LARGE + b"\r\n0\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert (door.seen, core.seen) == ([], [])


def test_clients_that_do_not_read_keep_no_thread_of_the_door(nginx: StartNginx, core: Scripted) -> None:
    """As many of them as it has threads, each with a page of 20 MiB."""
    asked = threading.Semaphore(0)

    def script(seen: Seen) -> Answer:
        if seen.target.endswith("large"):
            asked.release()
            return Answer(body=PAGE, headers=(("Content-Type", "application/json"),))
        return Answer(body=b"page")

    core.script = script
    with (
        running_adapter({}, harbor_core_url=f"http://127.0.0.1:{core.port}") as adapter,
        contextlib.ExitStack() as stack,
    ):
        front = nginx(core, int(adapter.provider.rpartition(":")[2]))
        for _ in range(PROVIDER_THREADS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", front.port))
            client.sendall(b"GET /api/v2.0/registries?large HTTP/1.1\r\nHost: h\r\n\r\n")
        assert all(asked.acquire(timeout=20) for _ in range(PROVIDER_THREADS))
        assert who(front, ["GET /api/v2.0/registries"]) == ["page"]
