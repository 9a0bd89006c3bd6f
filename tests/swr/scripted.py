"""A server with scripted responses of SWR."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from adapter.settings import RegionHosts, Settings
from adapter.swr.client import SwrClient

Handler = Callable[[Request], Response]
TOKEN_PATH = "/swr/auth/v2/registry/auth/"


def jwt(life: int = 900) -> str:
    """A token in the format of a JWT."""
    claims = {"iat": int(time.time()), "exp": int(time.time()) + life}
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".x"


class Swr:
    """One server for registry and management API; `seen` are the requests, in order."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.url = server.url_for("").rstrip("/")
        self._answers: dict[tuple[str, str], list[Handler]] = {}
        self.seen: list[Request] = []
        server.expect_request(re.compile(".*")).respond_with_handler(self._dispatch)

    def answer(self, method: str, path: str, *handlers: Handler | Response | int | dict[str, Any]) -> None:
        """Sets the responses, one for each request; the last one is repeated."""
        self._answers[method, path] = [_handler(each) for each in handlers]

    def grant(self) -> None:
        """Lets the token endpoint issue tokens."""
        self.answer("GET", TOKEN_PATH, {"token": jwt()})

    def count(self, method: str, path: str) -> int:
        return sum(1 for request in self.seen if (request.method, request.path) == (method, path))

    def _dispatch(self, request: Request) -> Response:
        request.get_data()
        self.seen.append(request)
        handlers = self._answers.get((request.method, request.path))
        if not handlers:
            return Response(f"no script for {request.method} {request.path}", 599)
        return (handlers.pop(0) if len(handlers) > 1 else handlers[0])(request)


def error(status: int, message: str, code: str = "DENIED") -> Response:
    """An error in the format of the registry and of the token endpoint."""
    return Response(json.dumps({"errors": [{"code": code, "message": message}]}), status)


def absence(path: str = "/v2/") -> Response:
    """A 404 of the registry for a missing object; of another API, a 404 without a body."""
    if path.startswith(("/v2/manage", "/dockyard", "/swr")):
        return Response(status=404)
    found = error(404, "not here", "NOT_FOUND")
    found.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    found.content_type = "application/json"
    return found


def _handler(answer: Handler | Response | int | dict[str, Any]) -> Handler:
    if answer == 404:
        return lambda request: absence(request.path)
    if isinstance(answer, int):
        return lambda _: Response(status=answer)
    if isinstance(answer, dict):
        return lambda _: Response(json.dumps(answer), content_type="application/json")
    if isinstance(answer, Response):
        data, status, headers = answer.get_data(), answer.status_code, answer.headers.to_wsgi_list()
        return lambda _: Response(data, status, headers)
    return answer


def scopeless_only(response: Response) -> Handler:
    """A token endpoint that issues a token without a scope, and returns `response` for one with a scope."""
    return lambda request: response if "scope" in request.args else Response(json.dumps({"token": jwt()}))


def client_of(swr: Swr, **settings: Any) -> SwrClient:
    """The adapter's client, with this server as region eu-de and no request budget."""
    regions = {"eu-de": RegionHosts(swr.url, swr.url)}
    return SwrClient.build(Settings(**{"regions": regions, "requests_per_second": 0.0, **settings}))
