"""Both sides of the provider port: a scripted Harbor core, and a client that sends bytes unchanged."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.credentials import ACCESS_ID, basic

Headers = tuple[tuple[str, str], ...]

API = "/api/v2.0"
AUTHORIZATION_LOOKUP = f"{API}/replication/adapters"
PUBLIC_URL = "http://adapter.example:8080"
NAME = "Open Telekom Cloud SWR"
BROWSER: Headers = (("Host", "harbor.example"), ("Cookie", "sid=session; _gorilla_csrf=token"))
SCRIPT: Headers = (("Host", "harbor.example"), ("Authorization", basic()))
ANONYMOUS: Headers = (("Host", "harbor.example"),)


def comparable(headers: Iterable[tuple[str, str]], *left_out: str) -> list[tuple[str, str]]:
    """Headers in one order, with names in lower case."""
    return sorted((name.lower(), value) for name, value in headers if name.lower() not in left_out)


@dataclass(frozen=True)
class Message:
    """A request that core received, or a response that a client received."""

    headers: Headers = field(repr=False)
    body: bytes

    def header(self, name: str) -> str | None:
        return next(iter(self.values(name)), None)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Received(Message):
    method: str
    target: str

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Reply(Message):
    status: int

    def message(self) -> str:
        """The message of an error in Harbor's format."""
        (error,) = self.json()["errors"]
        assert set(error) == {"code", "message"}
        return str(error["message"])


class CoreResponse(Response):
    default_mimetype = None


Script = Callable[[Received], Response]


class ScriptedCore:
    """Responds as its script says, and keeps all requests."""

    def __init__(self, server: HTTPServer, name: str | None = None) -> None:
        """Without a script it returns its name, or 599."""
        self.url = server.url_for("").rstrip("/")
        self.port = server.port
        self.received: list[Received] = []
        self._script: Script = unscripted if name is None else lambda _: reply(name.encode())
        server.expect_request(re.compile(".*")).respond_with_handler(self._respond)

    def runs(self, script: Script) -> None:
        self.received.clear()
        self._script = script

    def returns(self, document: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.runs(lambda _: reply(document, status, headers))

    def stores(self, *registries: Mapping[str, Any]) -> None:
        """Returns these endpoints, and accepts all writes, as Harbor does."""
        by_path = {f"{API}/registries/{each['id']}": each for each in registries}

        def script(request: Received) -> Response:
            if request.path == AUTHORIZATION_LOOKUP:
                return reply(["harbor"])
            if request.method != "GET":
                return reply(b"", 201 if request.path == f"{API}/registries" else 200)
            if request.path == f"{API}/registries":
                return reply(list(registries), headers=[("X-Total-Count", str(len(registries)))])
            if request.path not in by_path:
                return reply({"errors": [{"code": "NOT_FOUND", "message": "no such registry"}]}, 404)
            return reply(by_path[request.path])

        self.runs(script)

    @property
    def writes(self) -> list[Received]:
        return [each for each in self.received if each.method != "GET"]

    @property
    def lines(self) -> list[str]:
        """Methods and targets, in order of arrival."""
        return [f"{each.method} {each.target}" for each in self.received]

    def _respond(self, request: Request) -> Response:
        headers = tuple(request.headers.items())
        received = Received(headers, request.get_data(), request.method, request.environ["RAW_URI"])
        self.received.append(received)
        return self._script(received)


def unscripted(request: Received) -> Response:
    return reply(f"no script for {request.method} {request.target}".encode(), 599)


def reply(document: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """JSON as Go writes it, or bytes, with no other headers than these."""
    raw = isinstance(document, bytes)
    body = document if raw else json.dumps(document, separators=(",", ":")).encode() + b"\n"
    media_type = [] if raw else [("Content-Type", "application/json")]
    return CoreResponse(body, status, [*media_type, *headers])


class Client:
    """Sends requests unchanged, each on a new connection. `ca` is trusted for https."""

    def __init__(self, url: str, ca: Path | None = None) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 0)
        self._tls = None if ca is None else ssl.create_default_context(cafile=str(ca))

    def send(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = BROWSER, body: bytes | None = None
    ) -> Reply:
        with self.opened(method, target, headers, body) as response:
            return Reply(tuple(response.getheaders()), response.read(), response.status)

    def get(self, path: str, headers: Iterable[tuple[str, str]] = BROWSER) -> Reply:
        return self.send("GET", API + path, headers)

    def write(self, method: str, path: str, document: Any, headers: Iterable[tuple[str, str]] = BROWSER) -> Reply:
        body = json.dumps(document).encode()
        return self.send(method, API + path, [*headers, ("Content-Type", "application/json")], body)

    def connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(*self.address, timeout=30)
        return http.client.HTTPSConnection(*self.address, timeout=30, context=self._tls)

    @contextmanager
    def opened(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = BROWSER, body: bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self.connection()
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            yield connection.getresponse()
        finally:
            connection.close()


def stored(number: int = 4, url: str = PUBLIC_URL, access_id: str = ACCESS_ID, **more: Any) -> dict[str, Any]:
    """An endpoint as core stores it."""
    credential = {"access_key": access_id, "access_secret": "*****", "type": "basic"}
    fields = {"credential": credential, "id": number, "name": f"endpoint-{number}", "status": "healthy"}
    return {**fields, "type": "harbor", "url": url, **more}
