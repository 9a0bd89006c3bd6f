"""What the portal is shown, and to whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import Response

from adapter.provider.response_translation import UNHEALTHY, EndpointRegions, add_reason, error_body
from tests.conftest import StartAdapter
from tests.credentials import SECRET_KEY, basic
from tests.provider.forms import created
from tests.provider.harness import (
    API,
    AUTHORIZATION_LOOKUP,
    BROWSER,
    NAME,
    PUBLIC_URL,
    SCRIPT,
    Client,
    Received,
    ScriptedCore,
    reply,
    stored,
)
from tests.swr.scripted import TOKEN_PATH, Swr

INFO = {"description": "", "supported_triggers": ["manual"], "type": "harbor"}
OTHERS = b' [ {"id":3 , "url":"http://127.0.0.1:9102","x":1.50,"type":"harbor","name":"\\u003c\\u00e9\xc3\xa9"} ] \n'
FILTER = "q=type%3DOpen%20Telekom%20Cloud%20SWR"


def shown(number: int, url: str, **more: Any) -> dict[str, Any]:
    return {**stored(number), "type": NAME, "url": url, **more}


def test_endpoints_of_the_adapter_are_shown_as_the_provider(
    portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    other = stored(6, url="http://other.example")
    core.returns([stored(4, url="HTTP://Adapter.EXAMPLE:8080/"), stored(5, access_id="eu-nl_team@AK"), other])
    first, second, third = portal.get("/registries").json()
    assert first == shown(4, scripted_swr.url)
    assert second["url"] == "https://swr.eu-nl.otc.t-systems.com"
    assert third == other


@pytest.mark.parametrize("access_id", ["eu-fr@AK", "AK", ""])
def test_endpoint_without_a_region_has_no_url(access_id: str, portal: Client, core: ScriptedCore) -> None:
    core.returns([stored(4, access_id=access_id)])
    [endpoint] = portal.get("/registries").json()
    assert (endpoint["type"], "url" in endpoint) == (NAME, False)
    assert endpoint["credential"]["access_key"] == access_id


def test_endpoint_without_credential_has_the_remembered_region(
    portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    core.returns([stored(44)])
    portal.get("/registries")
    bare = {key: value for key, value in stored(44).items() if key != "credential"}
    core.returns([{"id": 1, "src_registry": bare}, {"id": 2, "src_registry": {**bare, "id": 45}}])
    known, unknown = (each["src_registry"] for each in portal.get("/replication/policies").json())
    assert known == {**bare, "type": NAME, "url": scripted_swr.url}
    assert (unknown["type"], "url" in unknown) == (NAME, False)
    core.returns({"registry": bare, "repo_count": 0})
    assert portal.get("/projects/some-name/summary").json() == {"registry": known, "repo_count": 0}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_changed_endpoint_is_not_remembered(method: str, portal: Client, core: ScriptedCore) -> None:
    core.stores(stored(4))
    portal.get("/registries")
    portal.send(method, f"{API}/registries/4", body=b"{}")
    core.returns({"registry": {"id": 4, "url": PUBLIC_URL}})
    assert portal.get("/projects/1/summary").json() == {"registry": {"id": 4, "type": NAME}}


def test_oldest_region_is_forgotten_first() -> None:
    regions = EndpointRegions(max_entries=2)
    for number, region in ((1, "a"), (2, "b"), (1, "c"), (3, None)):
        regions.remember(number, region)
    assert [number in regions for number in (1, 2, 3)] == [True, False, True]
    assert [regions.region(number) for number in (1, 2, 3)] == ["c", None, None]
    regions.forget(3)
    regions.forget(3)
    assert 3 not in regions


def test_capabilities_show_the_provider_after_a_lookup(portal: Client, core: ScriptedCore) -> None:
    core.runs(lambda request: reply(INFO if request.path.endswith("/info") else stored(40)))
    response = portal.get("/registries/40/info", [*BROWSER, ("Authorization", basic())])
    assert response.json() == {**INFO, "type": NAME}
    lookup = core.received[-1]
    assert lookup.target == f"{API}/registries/40"
    assert (lookup.header("Cookie"), lookup.header("Authorization")) == (BROWSER[1][1], basic())
    core.received.clear()
    assert portal.get("/registries/40/info").json()["type"] == NAME
    assert len(core.received) == 1


@pytest.mark.parametrize("lookup", [reply({"id": 8, "url": "http://x"}), reply({}, 403), reply(b"<html>")])
def test_capabilities_of_other_endpoints_stay(lookup: Response, portal: Client, core: ScriptedCore) -> None:
    core.runs(lambda request: reply(INFO) if request.path.endswith("/info") else lookup)
    assert portal.get("/registries/8/info").json() == INFO


def test_harbor_itself_is_not_translated(portal: Client, core: ScriptedCore) -> None:
    document = {**INFO, "id": 0, "url": PUBLIC_URL}
    core.returns(document)
    for path in ("/registries/0/info", "/registries/0"):
        assert portal.get(path).body == reply(document).get_data()
    assert len(core.received) == 2


@pytest.mark.parametrize(
    "path",
    ["/registries", "/registries/3/info", "/replication/policies", "/replication/policies/1", "/projects/p/summary"],
)
def test_responses_about_other_endpoints_keep_their_bytes(path: str, portal: Client, core: ScriptedCore) -> None:
    core.returns(OTHERS, headers=[("Content-Type", "application/json")])
    assert portal.get(path).body == OTHERS


def test_only_browsers_see_the_provider_by_default(
    portal: Client, another: StartAdapter, core: ScriptedCore, scripted_swr: Swr
) -> None:
    core.returns([stored(4)])
    assert portal.get("/registries", SCRIPT).json() == [stored(4)]
    assert Client(another(translate_for="all").provider).get("/registries", SCRIPT).json() == [
        shown(4, scripted_swr.url)
    ]
    core.returns(["harbor"])
    assert portal.get("/replication/adapters", SCRIPT).json() == ["harbor"]


@pytest.mark.parametrize("caller", [BROWSER, SCRIPT], ids=["browser", "script"])
@pytest.mark.parametrize("query", [f"sort=%2dname&{FILTER}&page={{1}}", "page=1&page_size=1"])
def test_filter_is_translated_and_restored_in_links(
    query: str, caller: tuple[tuple[str, str], ...], portal: Client, core: ScriptedCore
) -> None:
    """Core builds its links from the query that it received."""

    def script(request: Received) -> Response:
        received_query = request.target.partition("?")[2]
        return reply([stored(4)], headers=[("Link", f'<{API}/registries?{received_query}&page=2>; rel="next"')])

    core.runs(script)
    link = portal.get(f"/registries?{query}", caller).header("Link")
    sent = query.replace(FILTER, "q=url%3Dhttp%3A%2F%2Fadapter.example%3A8080")
    assert core.received[-1].target == f"{API}/registries?{sent}"
    assert link == f'<{API}/registries?{query}&page=2>; rel="next"'


def test_nothing_is_translated_without_the_public_url(another: StartAdapter, core: ScriptedCore) -> None:
    running = another(public_url="")
    portal = Client(running.provider)
    core.returns(["harbor"])
    assert portal.get("/replication/adapters").json() == ["harbor"]
    portal.write("POST", "/registries", {"type": NAME})
    assert core.received[-1].json() == {"type": NAME}
    assert running.service.output.count("SWR_ADAPTER_PUBLIC_URL is not set") == 1


def test_name_is_not_added_twice(portal: Client, core: ScriptedCore) -> None:
    for path, document in (("/replication/adapters", [NAME, "harbor"]), ("/replication/adapterinfos", {NAME: {}})):
        core.returns(document)
        assert portal.get(path).json() == document


def test_url_of_the_adapter_is_never_shown(portal: Client, core: ScriptedCore) -> None:
    documents = {
        "/registries": [stored(4), stored(5, access_id="")],
        "/registries/4": stored(4),
        "/replication/policies": [{"dest_registry": stored(4), "src_registry": stored(5, access_id="x")}],
        "/replication/policies/1": {"src_registry": stored(4)},
        "/projects/1/summary": {"registry": stored(77)},
        "/registries/4/info": INFO,
    }
    for path, document in documents.items():
        core.returns(document)
        response = portal.get(path)
        assert NAME.encode() in response.body
        assert PUBLIC_URL.encode() not in response.body


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
