"""What nginx buffers: requests up to a limit, and responses for clients that read slowly."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from werkzeug import Response

from adapter.server import PROVIDER_THREADS
from tests.docker.conftest import StartNginx, request, responders
from tests.docker.nginx import VARIANTS, Nginx
from tests.provider.harness import Received, ScriptedCore, reply
from tests.running import running_adapter

LARGE = b"x" * (3 << 20)
PAGE = b"[" + b'{"id":0},' * (20 << 20 >> 3) + b"{}]"


@pytest.mark.parametrize("variant", VARIANTS[:2], ids=str)
def test_body_that_the_adapter_would_reject_is_not_buffered(
    running: tuple[Nginx, ScriptedCore], adapter: ScriptedCore
) -> None:
    nginx, core = running
    for method, path in (("POST", "/api/v2.0/registries"), ("PUT", "/api/v2.0/replication/policies/7")):
        response = request(nginx, method, path, body=LARGE)
        assert (response.status, b"413 Request Entity Too Large" in response.body) == (413, True)
    assert (adapter.received, core.received) == ([], [])
    # Other pages have no limit.
    assert request(nginx, "POST", "/api/v2.0/users", body=LARGE).body == b"core"
    assert core.received[-1].body == LARGE
    assert request(nginx, "POST", "/api/v2.0/registries", body=LARGE[: 1 << 20]).body == b"adapter"


def test_client_that_does_not_read_occupies_no_thread_of_the_adapter(nginx: StartNginx, core: ScriptedCore) -> None:
    """As many clients as the adapter has threads, each with a page of 20 MiB."""
    arrived = threading.Semaphore(0)

    def script(received: Received) -> Response:
        if received.target.endswith("large"):
            arrived.release()
            return reply(PAGE, headers=[("Content-Type", "application/json")])
        return reply(b"page")

    core.runs(script)
    with running_adapter({}, harbor_core_url=core.url) as adapter, contextlib.ExitStack() as stack:
        front = nginx(core, int(adapter.provider.rpartition(":")[2]))
        for _ in range(PROVIDER_THREADS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", front.port))
            client.sendall(b"GET /api/v2.0/registries?large HTTP/1.1\r\nHost: h\r\n\r\n")
        assert all(arrived.acquire(timeout=20) for _ in range(PROVIDER_THREADS))
        assert responders(front, ["GET /api/v2.0/registries"]) == ["page"]
