"""nginx between a scripted adapter and a scripted core."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.docker.nginx import Nginx, Variant, core_tls, internal_tls_files, running_nginx
from tests.provider.harness import Client, Reply, ScriptedCore
from tests.services import free_ports

StartNginx = Callable[..., Nginx]
HTTP = Variant("http")


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[HTTPServer, HTTPServer]]:
    """Of the adapter and of core."""
    with HTTPServer("127.0.0.1", threaded=True) as adapter, HTTPServer("127.0.0.1", threaded=True) as core:
        yield adapter, core


@pytest.fixture(scope="session")
def internal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of Harbor's internal TLS, of core and of nginx."""
    return internal_tls_files(tmp_path_factory.mktemp("internal"))


@pytest.fixture(scope="session")
def tls_server(internal: Path) -> Iterator[HTTPServer]:
    """A core with Harbor's internal TLS that requires the certificate of nginx."""
    with HTTPServer("127.0.0.1", ssl_context=core_tls(internal, ssl.CERT_REQUIRED), threaded=True) as server:
        yield server


@pytest.fixture
def adapter(servers: tuple[HTTPServer, HTTPServer]) -> Iterator[ScriptedCore]:
    """Returns `adapter`."""
    yield ScriptedCore(servers[0], "adapter")
    servers[0].clear()


@pytest.fixture
def core(servers: tuple[HTTPServer, HTTPServer]) -> Iterator[ScriptedCore]:
    """Returns `core`."""
    yield ScriptedCore(servers[1], "core")
    servers[1].clear()


@pytest.fixture
def tls_core(tls_server: HTTPServer) -> Iterator[ScriptedCore]:
    """Returns `core`."""
    yield ScriptedCore(tls_server, "core")
    tls_server.clear()


@pytest.fixture
def nginx() -> Iterator[StartNginx]:
    """Starts nginx: `nginx(core, adapter, variant, **options)`. `adapter` is a port, host:port, or None for none."""
    with contextlib.ExitStack() as stack:

        def start(
            core: ScriptedCore, adapter: ScriptedCore | int | str | None, variant: Variant = HTTP, **options: Any
        ) -> Nginx:
            if adapter is None:
                adapter = free_ports(1)[0]
            address = adapter.port if isinstance(adapter, ScriptedCore) else adapter
            return stack.enter_context(running_nginx(variant, core=core.port, adapter=address, **options))

        yield start


@pytest.fixture
def running(
    variant: Variant,
    nginx: StartNginx,
    core: ScriptedCore,
    tls_core: ScriptedCore,
    adapter: ScriptedCore,
    internal: Path,
) -> tuple[Nginx, ScriptedCore]:
    """nginx in one of its variants, and the core behind it."""
    behind = tls_core if variant.internal_tls else core
    return nginx(behind, adapter, variant, internal=internal if variant.internal_tls else None), behind


def request(
    nginx: Nginx, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Reply:
    """A request whose path, query and headers are sent unchanged."""
    return Client(nginx.url, nginx.ca).send(method, path, {"Host": "localhost", **(headers or {})}.items(), body)


def responders(nginx: Nginx, lines: Sequence[str]) -> list[str]:
    """The name of the server that responded to each `METHOD path`."""
    found = [line.split(" ", 1) for line in lines]
    return [request(nginx, method, path).body.decode() for method, path in found]
