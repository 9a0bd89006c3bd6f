"""Core only calls an endpoint unhealthy. The adapter adds why its own check at SWR failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import Response

from adapter.provider.envelope import UNHEALTHY, add_reason, error_body
from tests.credentials import SECRET_KEY
from tests.provider.forms import created
from tests.provider.harness import AUTHORIZATION_LOOKUP, Client, Received, ScriptedCore, reply, stored
from tests.swr.scripted import TOKEN_PATH, Swr

ERROR = {"errors": [{"code": "BAD_REQUEST", "message": UNHEALTHY}]}
DOCKER_HUB = created(type="docker-hub", url="https://hub.docker.com")


def core_returns(document: Any, status: int = 400) -> Callable[[Received], Response]:
    def script(request: Received) -> Response:
        if request.method == "GET":
            return reply(["harbor"] if request.path == AUTHORIZATION_LOOKUP else stored(4))
        return reply(document, status)

    return script


UNCLEAR = Response("<html>", 200)


def test_reason_is_added_if_swr_gives_no_clear_response(portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    scripted_swr.answer("GET", TOKEN_PATH, UNCLEAR)
    core.runs(core_returns(ERROR))
    ping = {"id": 4, "access_secret": SECRET_KEY}
    for path, document in (("/registries", created(url=scripted_swr.url)), ("/registries/ping", ping)):
        [error] = portal.write("POST", path, document).json()["errors"]
        assert error["code"] == "BAD_REQUEST"
        assert error["message"].startswith(f"{UNHEALTHY}: ")
        assert "token endpoint" in error["message"]
    assert len(core.writes) == 2


@pytest.mark.parametrize(
    ("confirmed", "core_status", "document"),
    [(False, 201, None), (True, 400, None), (False, 400, DOCKER_HUB)],
    ids=["no error", "confirmed by SWR", "another registry"],
)
def test_no_reason_is_added(
    confirmed: bool, core_status: int, document: Any, portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    if not confirmed:
        scripted_swr.answer("GET", TOKEN_PATH, UNCLEAR)
    core.runs(core_returns(ERROR, core_status))
    assert portal.write("POST", "/registries", document or created(url=scripted_swr.url)).json() == ERROR


@pytest.mark.parametrize(
    "document",
    [
        {"errors": [{"code": "CONFLICT", "message": f"{UNHEALTHY} too"}]},
        {"errors": [ERROR["errors"][0], ERROR["errors"][0]]},
        {"errors": [UNHEALTHY]},
        {"errors": UNHEALTHY},
        [UNHEALTHY],
    ],
)
def test_other_error_bodies_keep_their_bytes(document: Any) -> None:
    body = json.dumps(document).encode()
    assert add_reason(body, "a reason") is body


def test_messages_are_plain_ascii() -> None:
    body = json.dumps(ERROR, indent=1).encode()
    explained = json.loads(add_reason(body, "100 % \u2026\n\xfc"))
    assert explained == {"errors": [{**ERROR["errors"][0], "message": f"{UNHEALTHY}: 100 percent ... ue"}]}
    body = error_body("BAD_REQUEST", "h\xf6st 'sw\u0440.example' \u2026 50 %\n")
    assert json.loads(body)["errors"][0]["message"] == "hoest 'sw<U+0440>.example' ... 50 percent"
