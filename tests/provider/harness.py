"""Both sides of the door: core as a real server that is scripted, and a client that sends bytes as they are."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.credentials import ACCESS_ID, basic

Headers = tuple[tuple[str, str], ...]

API = "/api/v2.0"
ADMITTED = f"{API}/replication/adapters"
"""What the door asks to learn whether core knows a caller."""
PUBLIC_URL = "http://adapter.example:8080"
NAME = "Open Telekom Cloud SWR"
BROWSER: Headers = (("Host", "harbor.example"), ("Cookie", "sid=session; _gorilla_csrf=token"))
SCRIPT: Headers = (("Host", "harbor.example"), ("Authorization", basic()))


def same_names(headers: Iterable[tuple[str, str]], *left_out: str) -> list[tuple[str, str]]:
    """Headers for a comparison: names in lower case, in one order."""
    return sorted((name.lower(), value) for name, value in headers if name.lower() not in left_out)


@dataclass(frozen=True)
class Seen:
    """A request that reached core."""

    method: str
    target: str
    headers: Headers = field(repr=False)
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        return json.loads(self.body)


class CoreResponse(Response):
    default_mimetype = None


Script = Callable[[Seen], Response]


class PlayedCore:
    """A core that answers by script and keeps what it saw."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("").rstrip("/")
        self.seen: list[Seen] = []
        self._script: Script = unscripted
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def plays(self, script: Script) -> None:
        self.seen.clear()
        self._script = script

    def answers(self, document: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> None:
        """The same for every request."""
        self.plays(lambda _: reply(document, status, headers))

    def stores(self, *registries: Mapping[str, Any]) -> None:
        """Endpoints by id; a write is answered as Harbor does."""
        known = {f"{API}/registries/{each['id']}": each for each in registries}

        def script(seen: Seen) -> Response:
            if seen.path == ADMITTED:
                return reply(["harbor"])
            if seen.method != "GET":
                return reply(b"", 201 if seen.path == f"{API}/registries" else 200)
            if seen.path == f"{API}/registries":
                return reply(list(registries), headers=[("X-Total-Count", str(len(registries)))])
            if seen.path not in known:
                return reply({"errors": [{"code": "NOT_FOUND", "message": "no such registry"}]}, 404)
            return reply(known[seen.path])

        self.plays(script)

    @property
    def writes(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.method != "GET"]

    def _answer(self, request: Request) -> Response:
        headers = tuple(request.headers.items())
        seen = Seen(request.method, request.environ["RAW_URI"], headers, request.get_data())
        self.seen.append(seen)
        return self._script(seen)


def unscripted(seen: Seen) -> Response:
    return reply(f"no script for {seen.method} {seen.target}".encode(), 599)


def reply(document: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """JSON as Go writes it, or bytes as they are, with the given headers and no others."""
    raw = isinstance(document, bytes)
    body = document if raw else json.dumps(document, separators=(",", ":")).encode() + b"\n"
    kind = [] if raw else [("Content-Type", "application/json")]
    return CoreResponse(body, status, [*kind, *headers])


@dataclass(frozen=True)
class Got:
    """An answer of the door."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def message(self) -> str:
        """The sentence of an error in Harbor's envelope."""
        (error,) = self.json()["errors"]
        assert set(error) == {"code", "message"}
        return str(error["message"])


class Client:
    """Sends requests as they are given, each on its own connection unless one is passed."""

    def __init__(self, url: str) -> None:
        self.host = url.removeprefix("http://")

    def send(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = BROWSER, body: bytes | None = None
    ) -> Got:
        with self.opened(method, target, headers, body) as response:
            return Got(response.status, tuple(response.getheaders()), response.read())

    def get(self, path: str, headers: Iterable[tuple[str, str]] = BROWSER) -> Got:
        return self.send("GET", API + path, headers)

    def write(self, method: str, path: str, document: Any, headers: Iterable[tuple[str, str]] = BROWSER) -> Got:
        body = json.dumps(document).encode()
        return self.send(method, API + path, [*headers, ("Content-Type", "application/json")], body)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=30)

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
    """An endpoint as core has it."""
    credential = {"access_key": access_id, "access_secret": "*****", "type": "basic"}
    facts = {"credential": credential, "id": number, "name": f"endpoint-{number}", "status": "healthy"}
    return {**facts, "type": "harbor", "url": url, **more}
