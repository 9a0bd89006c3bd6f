"""Core only calls an endpoint unhealthy; the door adds why its own check at SWR failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import Response

from adapter.provider.envelope import UNHEALTHY, explained, harbor_body
from tests.conftest import StartAdapter
from tests.credentials import PROJECT, SECRET_KEY
from tests.provider.forms import created, pinged
from tests.provider.harness import ADMITTED, Client, PlayedCore, Seen, reply, stored
from tests.services import free_ports
from tests.swr.scripted import TOKEN_PATH, Swr

ERROR = {"errors": [{"code": "BAD_REQUEST", "message": UNHEALTHY}]}

WRITES = pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("POST", "/registries", created),
        ("POST", "/registries/ping", pinged),
        ("PUT", "/registries/4", lambda **_: {"access_secret": SECRET_KEY}),
        ("POST", "/registries/ping", lambda **_: {"id": 4, "access_secret": SECRET_KEY}),
    ],
    ids=["create", "ping", "edit", "ping of a stored one"],
)
Form = Callable[..., Any]


def core_says(document: Any, status: int = 400) -> Callable[[Seen], Response]:
    def script(seen: Seen) -> Response:
        if seen.method == "GET":
            return reply(["harbor"] if seen.path == ADMITTED else stored(4))
        return reply(document, status)

    return script


@pytest.mark.parametrize(("method", "path", "form"), [WRITES.args[1][0], WRITES.args[1][3]])
def test_why_swr_cannot_be_reached(method: str, path: str, form: Form, another: StartAdapter, core: PlayedCore) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    portal = Client(another(regions={PROJECT: {"registry": url, "api": url}}).provider)
    core.plays(core_says(ERROR))
    got = portal.write(method, path, form(url=url))
    assert (got.status, len(core.writes)) == (400, 1)
    [error] = got.json()["errors"]
    assert error["code"] == "BAD_REQUEST"
    assert error["message"].startswith(f"{UNHEALTHY}: ")
    assert "127.0.0.1" in error["message"]


@pytest.mark.parametrize(
    "document",
    [
        {"errors": [{"code": "BAD_REQUEST", "message": "name cannot be empty"}]},
        {"errors": [{"code": "CONFLICT", "message": f"{UNHEALTHY} too"}]},
        {"errors": [ERROR["errors"][0], ERROR["errors"][0]]},
        {"errors": [UNHEALTHY]},
        {"errors": UNHEALTHY},
        [UNHEALTHY],
    ],
)
def test_what_core_says_otherwise_is_left_alone(document: Any) -> None:
    body = json.dumps(document).encode()
    assert explained(body, "a reason") is body


def test_an_answer_that_is_no_error_is_left_alone(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    scripted_swr.answer("GET", TOKEN_PATH, 500)
    core.plays(core_says(ERROR, 201))
    assert portal.write("POST", "/registries", created(url=scripted_swr.url)).json() == ERROR


@WRITES
def test_what_swr_has_confirmed_gets_no_reason(
    method: str, path: str, form: Form, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.plays(core_says(ERROR))
    assert portal.write(method, path, form(url=scripted_swr.url)).json() == ERROR


def test_endpoints_of_others_get_no_reason(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    scripted_swr.answer("GET", TOKEN_PATH, 500)
    core.plays(core_says(ERROR))
    assert portal.write("POST", "/registries", created(type="docker-hub", url="https://hub.docker.com")).json() == ERROR


def test_the_rest_of_cores_error_keeps_its_bytes() -> None:
    body = b' {"errors":[{"code":"BAD\\u005fREQUEST","message":"the registry is unhealthy"}]}\n'
    wanted = body.replace(b'unhealthy"', b'unhealthy: 100 percent ... ue"')
    assert explained(body, "100 % \u2026\n\xfc") == wanted


def test_the_doors_own_sentences_are_ascii() -> None:
    body = harbor_body("BAD_REQUEST", "h\xf6st 'sw\u0440.example' \u2026 50 %\n")
    assert json.loads(body)["errors"][0]["message"] == "hoest 'sw<U+0440>.example' ... 50 percent"
