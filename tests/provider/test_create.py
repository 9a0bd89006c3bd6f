"""New endpoints: what core stores, what is rejected before, and for which callers SWR checks credentials."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest
from werkzeug import Request, Response

from adapter.provider.handler import MAX_CHECKS
from adapter.provider.threads import MAX_FULL_TIME
from tests.conftest import StartAdapter
from tests.credentials import ACCESS_KEY, SECRET_KEY, WRONG_SECRET
from tests.provider.forms import CALLERS, EU_NL, NEW_ENDPOINTS, created
from tests.provider.harness import (
    ANONYMOUS,
    API,
    AUTHORIZATION_LOOKUP,
    NAME,
    PUBLIC_URL,
    SCRIPT,
    Client,
    Headers,
    Received,
    ScriptedCore,
    reply,
)
from tests.swr.scripted import TOKEN_PATH, Swr

Form = Callable[..., dict[str, Any]]
UNAUTHORIZED = {"errors": [{"code": "UNAUTHORIZED", "message": "unauthorized"}]}


def core_with_users(request: Received) -> Response:
    if request.header("Cookie") or request.header("Authorization"):
        return reply(["harbor"])
    return reply(UNAUTHORIZED, 401)


@NEW_ENDPOINTS
@CALLERS
@pytest.mark.parametrize("name", [NAME, "opentelekomcloud-swr"])
def test_new_endpoint_is_stored_with_the_carrier_at_the_adapter(
    path: str, form: Form, name: str, caller: Headers, portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    core.stores()
    entered = f" {scripted_swr.url.upper().removeprefix('HTTP://')}/ "
    assert portal.write("POST", path, form(url=entered, type=name), caller).status in (200, 201)
    lookup, write = core.received
    assert (lookup.method, lookup.target) == ("GET", AUTHORIZATION_LOOKUP)
    for header in ("Cookie", "Authorization", "Host"):
        assert lookup.header(header) == dict(caller).get(header)
    assert write.json() == form(url=PUBLIC_URL, type="harbor")
    assert scripted_swr.count("GET", TOKEN_PATH) >= 1


def test_other_carrier_is_stored_if_configured(another: StartAdapter, core: ScriptedCore, scripted_swr: Swr) -> None:
    portal = Client(another(carrier="docker-registry").provider)
    core.stores()
    portal.write("POST", "/registries", created(url=scripted_swr.url))
    assert core.received[-1].json() == created(url=PUBLIC_URL, type="docker-registry")


REJECTED: list[tuple[dict[str, Any], str]] = [
    ({"url": "https://swr.eu-fr.otc.t-systems.com"}, "unknown SWR host"),
    ({"url": None}, "the Endpoint URL is empty"),
    ({"url": {"a": 1}}, "url must be a string"),
    ({"url": EU_NL}, "is in eu-de): enter http"),
    ({"url": EU_NL, "access_key": ACCESS_KEY}, "<regional project name>@<AK>"),
    ({"url": EU_NL, "access_key": ""}, "Access Secret without an Access ID"),
    ({"url": EU_NL, "access_secret": ""}, "the Access Secret is empty"),
    ({"url": EU_NL, "access_secret": " ***** "}, "the Access Secret is empty"),
    ({"url": EU_NL, "access_key": None, "access_secret": None}, "no credentials"),
    ({"url": EU_NL, "access_key": []}, "access_key must be a string"),
    ({"url": EU_NL, "access_secret": "\ud800abc"}, "access_secret must be a string"),
]


@NEW_ENDPOINTS
@pytest.mark.parametrize(("changes", "message"), REJECTED)
def test_invalid_endpoint_is_rejected_before_core_gets_it(
    path: str, form: Form, changes: dict[str, Any], message: str, portal: Client, core: ScriptedCore
) -> None:
    core.stores()
    response = portal.write("POST", path, form(**changes))
    assert (response.status, response.header("Content-Type")) == (400, "application/json; charset=utf-8")
    assert message in response.message()
    assert SECRET_KEY not in response.message()
    assert core.received == []


def test_credentials_count_only_where_core_reads_them(portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    """Nested in a new endpoint, flat in a ping."""
    core.stores()
    nested = created(url=scripted_swr.url)
    flat = {**nested["credential"], **nested, "credential": None}
    for path, document in (("/registries", flat), ("/registries", {**nested, "credential": "x"})):
        assert "no credentials" in portal.write("POST", path, document).message()
    assert "no credentials" in portal.write("POST", "/registries/ping", nested).message()
    assert core.received == []


@NEW_ENDPOINTS
def test_credentials_rejected_by_swr_are_not_stored(
    path: str, form: Form, portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    scripted_swr.answer("GET", TOKEN_PATH, 401)
    core.stores()
    response = portal.write("POST", path, form(url=scripted_swr.url, access_secret=WRONG_SECRET))
    assert (response.status, core.writes) == (400, [])
    assert "SWR" in response.message()


@NEW_ENDPOINTS
@pytest.mark.parametrize("secret", [SECRET_KEY, f"{WRONG_SECRET}-of-nobody"], ids=["right", "wrong"])
def test_anonymous_caller_learns_nothing_about_credentials(
    secret: str, path: str, form: Form, portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    scripted_swr.answer("GET", TOKEN_PATH, 401)
    core.runs(core_with_users)
    response = portal.write("POST", path, form(url=scripted_swr.url, access_secret=secret), ANONYMOUS)
    assert (response.status, response.json()) == (401, UNAUTHORIZED)
    assert (len(core.writes), scripted_swr.seen) == (1, [])


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_core_decides_about_a_caller_who_may_not_list_provider_types(
    status: int, portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    core.runs(lambda request: reply({}, status) if request.path == AUTHORIZATION_LOOKUP else reply(b"", 201))
    assert portal.write("POST", "/registries", created(url=scripted_swr.url), SCRIPT).status == 201
    assert scripted_swr.seen == []


def test_endpoint_with_the_stored_type_and_url_is_checked_and_unchanged(
    portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    """As Terraform creates it."""
    core.stores()
    body = json.dumps(created(type="harbor", url=PUBLIC_URL), indent=1).encode()
    assert portal.send("POST", f"{API}/registries", SCRIPT, body).status == 201
    assert core.writes[-1].body == body
    assert scripted_swr.count("GET", TOKEN_PATH) == 1
    for changes in ({"access_key": ACCESS_KEY}, {"access_secret": "*****"}):
        document = created(type="harbor", url=PUBLIC_URL, **changes)
        assert portal.write("POST", "/registries", document, SCRIPT).status == 400
    bare = json.dumps({"type": "harbor", "url": PUBLIC_URL}).encode()
    portal.send("POST", f"{API}/registries", SCRIPT, bare)
    assert core.writes[-1].body == bare


def test_slow_swr_leaves_threads_for_pages(another: StartAdapter, core: ScriptedCore, scripted_swr: Swr) -> None:
    """Core decides at once about all endpoints beyond `MAX_CHECKS`."""
    arrived, proceed = threading.Semaphore(0), threading.Event()

    def slow(_: Request) -> Response:
        arrived.release()
        proceed.wait(60)
        return Response(status=401)

    scripted_swr.answer("GET", TOKEN_PATH, slow)
    core.stores()
    portal = Client(another().provider)

    def post(number: int) -> int:
        document = created(url=scripted_swr.url, access_secret=f"{WRONG_SECRET}-{number}")
        return portal.write("POST", "/registries", document).status

    count = MAX_FULL_TIME
    with ThreadPoolExecutor(count) as pool:
        try:
            posts = as_completed([pool.submit(post, number) for number in range(count)], timeout=60)
            assert [next(posts).result() for _ in range(count - MAX_CHECKS)] == [201] * (count - MAX_CHECKS)
            assert all(arrived.acquire(timeout=20) for _ in range(MAX_CHECKS))
            assert portal.get("/replication/adapters").json() == ["harbor", NAME]
        finally:
            proceed.set()
        assert [each.result() for each in posts] == [400] * MAX_CHECKS
    # All checks have released their slots.
    assert portal.write("POST", "/registries", created(url=scripted_swr.url, access_secret=WRONG_SECRET)).status == 400
