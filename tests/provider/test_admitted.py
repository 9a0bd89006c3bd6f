"""SWR is asked only for callers whom core knows, and never by all of the door's threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest
from werkzeug import Request, Response

from adapter.provider.handler import CHECKS
from adapter.provider.threads import MAX_SLOW
from tests.conftest import StartAdapter
from tests.credentials import SECRET_KEY, WRONG_SECRET
from tests.provider.forms import CALLERS, WHOLE, created
from tests.provider.harness import ADMITTED, NAME, Client, Headers, PlayedCore, Seen, reply
from tests.swr.scripted import TOKEN_PATH, Swr

ANONYMOUS: Headers = (("Host", "harbor.example"),)
UNAUTHORIZED = {"errors": [{"code": "UNAUTHORIZED", "message": "unauthorized"}]}


def core_with_users(seen: Seen) -> Response:
    if seen.header("Cookie") or seen.header("Authorization"):
        return reply(["harbor"])
    return reply(UNAUTHORIZED, 401)


@WHOLE
@pytest.mark.parametrize("secret", [SECRET_KEY, f"{WRONG_SECRET}-of-nobody"], ids=["right", "wrong"])
def test_a_stranger_learns_nothing_about_credentials(
    secret: str, path: str, form: Any, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    scripted_swr.answer("GET", TOKEN_PATH, 401)
    core.plays(core_with_users)
    got = portal.write("POST", path, form(url=scripted_swr.url, access_secret=secret), ANONYMOUS)
    assert (got.status, got.json()) == (401, UNAUTHORIZED)
    assert len(core.writes) == 1
    assert scripted_swr.seen == []


@CALLERS
@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_caller_who_may_only_create_endpoints_creates_them(
    status: int, caller: Headers, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    """A robot that may not list provider types: core has a check of its own."""
    core.plays(lambda seen: reply({}, status) if seen.path == ADMITTED else reply(b"", 201))
    assert portal.write("POST", "/registries", created(url=scripted_swr.url), caller).status == 201
    assert scripted_swr.seen == []


def test_what_swr_is_not_asked_about_costs_core_no_look_up(portal: Client, core: PlayedCore) -> None:
    core.plays(core_with_users)
    portal.write("POST", "/registries", created(type="docker-hub", url="https://hub.docker.com"))
    assert [seen.method for seen in core.seen] == ["POST"]


def test_a_silent_swr_keeps_no_page_waiting(another: StartAdapter, core: PlayedCore, scripted_swr: Swr) -> None:
    """Of as many endpoints at once as may be slow, core decides about most."""
    asked, answers = threading.Semaphore(0), threading.Event()

    def silent(_: Request) -> Response:
        asked.release()
        answers.wait(60)
        return Response(status=401)

    scripted_swr.answer("GET", TOKEN_PATH, silent)
    core.stores()
    portal = Client(another().provider)

    def post(number: int) -> int:
        document = created(url=scripted_swr.url, access_secret=f"{WRONG_SECRET}-{number}")
        return portal.write("POST", "/registries", document).status

    count = MAX_SLOW
    with ThreadPoolExecutor(count) as pool:
        try:
            posts = as_completed([pool.submit(post, number) for number in range(count)], timeout=60)
            assert [next(posts).result() for _ in range(count - CHECKS)] == [201] * (count - CHECKS)
            assert all(asked.acquire(timeout=20) for _ in range(CHECKS))
            assert portal.get("/replication/adapters").json() == ["harbor", NAME]
            callers = [each.headers["Authorization"] for each in scripted_swr.seen if each.path == TOKEN_PATH]
            assert len(set(callers)) == CHECKS
        finally:
            answers.set()
        assert [each.result() for each in posts] == [400] * CHECKS
    # Each of them has given its place back.
    assert portal.write("POST", "/registries", created(url=scripted_swr.url, access_secret=WRONG_SECRET)).status == 400
