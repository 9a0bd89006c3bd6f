"""nginx between a scripted door and a scripted core."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from tests.docker.nginx import Nginx, Variant, certificates, running_nginx
from tests.docker.servers import Scripted, scripted
from tests.services import free_ports

StartNginx = Callable[..., Nginx]
HTTP = Variant("http")


@pytest.fixture
def core() -> Iterator[Scripted]:
    """Harbor's core; answers `core`."""
    with scripted("core") as running:
        yield running


@pytest.fixture
def door() -> Iterator[Scripted]:
    """The provider door; answers `door`."""
    with scripted("door") as running:
        yield running


@pytest.fixture
def internal(tmp_path: Path) -> Path:
    """Files of Harbor's internal TLS: core's, by the names that nginx and the door call it, and the proxy's own."""
    for name in ("core", "proxy"):
        certificates(tmp_path, name, name, "127.0.0.1")
    return tmp_path


@pytest.fixture
def tls_core(internal: Path) -> Iterator[Scripted]:
    """Core with Harbor's internal TLS. It wants the proxy's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(internal / "core.crt", internal / "core.key")
    context.load_verify_locations(internal / "proxy-ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    with scripted("core", tls=context) as running:
        yield running


@pytest.fixture
def nginx() -> Iterator[StartNginx]:
    """Starts nginx: `nginx(core, door, variant, **options)`. `door` is a server, a port, host:port, or None: absent."""
    with contextlib.ExitStack() as stack:

        def start(core: Scripted, door: Scripted | int | str | None, variant: Variant = HTTP, **options: Any) -> Nginx:
            if door is None:
                door = free_ports(1)[0]
            address = door.port if isinstance(door, Scripted) else door
            return stack.enter_context(running_nginx(variant, core=core.port, door=address, **options))

        yield start


@dataclass(frozen=True)
class Got:
    """An answer; `headers` in order, as received."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def ask(nginx: Nginx, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Got:
    """A request whose path, query and headers go out letter by letter. An empty body is none."""
    if nginx.url.startswith("https:"):
        trusted = ssl.create_default_context(cafile=str(nginx.ca))
        connection: HTTPConnection = HTTPSConnection("localhost", nginx.port, timeout=20, context=trusted)
    else:
        connection = HTTPConnection("localhost", nginx.port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, body or None, dict(headers or {}))
        response = connection.getresponse()
        return Got(response.status, response.getheaders(), response.read())


def who(nginx: Nginx, requested: Sequence[str]) -> list[str]:
    """Which server answered each `METHOD path`."""
    return [ask(nginx, method, path).text for method, path in (each.split(" ", 1) for each in requested)]
