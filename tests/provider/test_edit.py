"""Changes and pings of stored endpoints."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tests.credentials import ACCESS_ID, ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY, WRONG_SECRET
from tests.provider.forms import CALLERS, CHANGES, EU_NL, OTHER_ID
from tests.provider.harness import API, NAME, PUBLIC_URL, Client, Headers, ScriptedCore, stored
from tests.swr.scripted import TOKEN_PATH, Swr


@CALLERS
def test_changed_url_becomes_the_stored_one(
    caller: Headers, portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    """Core drops the secret of an endpoint whose URL changes, so it gets the URL as stored."""
    stored_url = "http://Adapter.example:8080"
    core.stores(stored(4, url=stored_url))
    for method, path, more in CHANGES:
        assert portal.write(method, path, {**more, "url": scripted_swr.url + "/"}, caller).status == 200
        lookup, write = core.received
        assert (lookup.method, lookup.target) == ("GET", f"{API}/registries/4")
        for name in ("Cookie", "Authorization", "Host"):
            assert lookup.header(name) == dict(caller).get(name)
        assert write.json() == {**more, "url": stored_url}
        core.received.clear()
    assert scripted_swr.seen == []


def test_url_and_access_id_must_be_of_one_region(portal: Client, core: ScriptedCore) -> None:
    core.stores(stored(4))
    response = portal.write("PUT", "/registries/4", {"url": EU_NL})
    assert (response.status, core.writes) == (400, [])
    assert "the Endpoint URL is in eu-nl, project 'eu-de' of the Access ID is in eu-de" in response.message()
    other_id = {"access_key": f"eu-nl@{ACCESS_KEY}"}
    for change, expected in (({"url": EU_NL, **other_id}, {"url": PUBLIC_URL, **other_id}), (other_id, other_id)):
        assert portal.write("PUT", "/registries/4", change).status == 200
        assert core.writes[-1].json() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "https://elsewhere.example"}, "unknown SWR host"),
        ({"url": ""}, "is empty"),
        ({"access_key": ""}, "<regional project name>@<AK>"),
        ({"access_secret": ""}, "the Access Secret is empty"),
        ({"access_secret": 5}, "access_secret must be a string"),
        ({"access_secret": "\udfffabc"}, "access_secret must be a string"),
    ],
)
def test_invalid_change_is_rejected(change: dict[str, Any], message: str, portal: Client, core: ScriptedCore) -> None:
    core.stores(stored(4))
    for method, path, more in CHANGES:
        response = portal.write(method, path, {**more, **change})
        assert response.status == 400
        assert message in response.message()
    assert core.writes == []


def test_secret_without_a_stored_access_id_is_rejected(portal: Client, core: ScriptedCore) -> None:
    core.stores(stored(4, access_id=""))
    response = portal.write("PUT", "/registries/4", {"access_secret": SECRET_KEY})
    assert (response.status, core.writes) == (400, [])
    assert "Access Secret without an Access ID" in response.message()


def test_new_secret_is_checked_with_the_stored_access_id(portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    core.stores(stored(4, access_id=OTHER_ID))
    change = {"access_secret": OTHER_SECRET_KEY}
    assert portal.write("PUT", "/registries/4", change).status == 200
    lookup, write = core.received
    assert (lookup.target, write.json()) == (f"{API}/registries/4", change)
    checks = [request.authorization for request in scripted_swr.seen if request.path == TOKEN_PATH]
    assert [each and each.username for each in checks] == [OTHER_ID]
    scripted_swr.answer("GET", TOKEN_PATH, 401)
    core.received.clear()
    assert portal.write("PUT", "/registries/4", {"access_secret": WRONG_SECRET}).status == 400
    assert core.writes == []


@pytest.mark.parametrize("change", [{"description": "new"}, {"name": "x", "insecure": True}, {"url": None}])
def test_change_of_other_fields_needs_no_lookup(change: dict[str, Any], portal: Client, core: ScriptedCore) -> None:
    core.stores(stored(4))
    for method, path, more in CHANGES:
        portal.write(method, path, {**more, **change})
        assert [each.body for each in core.received] == [json.dumps({**more, **change}).encode()]
        core.received.clear()


@pytest.mark.parametrize(
    ("status", "document"),
    [(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who"}]}), (404, {}), (500, {"errors": []})],
)
def test_response_of_a_failed_lookup_is_returned(
    status: int, document: Any, portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    core.returns(document, status, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Harbor-Csrf-Token", "fresh")])
    for method, path, more in CHANGES:
        response = portal.write(method, path, {**more, "url": scripted_swr.url})
        assert (response.status, response.json()) == (status, document)
        assert (response.header("X-Harbor-Csrf-Token"), response.values("Set-Cookie")) == ("fresh", ["a=1", "b=2"])
    assert core.writes == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"id":4',
        b"{}",
        b'{"id":5,"url":"https://elsewhere.example"}',
        b'{"id":true,"url":"https://elsewhere.example"}',
        b'{"id":4,"url":null}',
    ],
)
def test_unexpected_lookup_stores_nothing(body: bytes, portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    core.returns(body, headers=[("Content-Type", "application/json")])
    response = portal.write("PUT", "/registries/4", {"url": scripted_swr.url})
    assert (response.status, core.writes) == (502, [])
    assert "unexpected response from Harbor core to the lookup" in response.message()


@pytest.mark.parametrize("name", ["access_secret", "acce\u017fs_secret"])
def test_masked_secret_is_removed(name: str, portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    core.stores(stored(4))
    for method, path, more in CHANGES:
        portal.write(method, path, {**more, name: "*****", "name": "x"})
        assert core.writes[-1].json() == {**more, "name": "x"}
    assert scripted_swr.seen == []


def test_shown_endpoint_can_be_sent_back(portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    core.stores(stored(4))
    shown = {"id": 4, "type": NAME, "url": scripted_swr.url, "access_key": ACCESS_ID, "access_secret": "*****"}
    for method, path, _ in CHANGES:
        assert portal.write(method, path, shown).status == 200
        assert core.writes[-1].json() == {"id": 4, "type": "harbor", "url": PUBLIC_URL, "access_key": ACCESS_ID}


def test_core_never_stores_the_swr_url(portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    """With combinations of all fields of an edit, in any case, as core reads them."""
    core.stores(stored(4))
    choices: list[list[dict[str, Any]]] = [
        [{"url": scripted_swr.url}, {"URL": scripted_swr.url}, {"url": EU_NL}],
        [{}, {"Type": NAME}, {"type": "docker-registry"}],
        [{}, {"access_key": f"eu-nl@{ACCESS_KEY}"}],
        [{}, {"access_secret": "*****"}],
    ]
    for parts in itertools.product(*choices):
        document = {key: value for part in parts for key, value in part.items()}
        assert portal.write("PUT", "/registries/4", document).status in (200, 400)
    assert len(core.writes) > 10
    for each in core.writes:
        urls = [value for key, value in each.json().items() if key.lower() == "url"]
        assert urls == [PUBLIC_URL]
        assert NAME not in each.json().values()


@pytest.mark.parametrize("path", ["/registries/+4", "/registries/%2B4", "/registries/" + "0" * 30 + "4"])
def test_id_is_read_as_core_reads_it(path: str, portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    core.stores(stored())
    portal.write("PUT", path, {"url": scripted_swr.url})
    assert [each.json() for each in core.writes] == [{"url": PUBLIC_URL}]


def test_type_alone_and_pings_without_a_stored_id(portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    core.stores(stored(), stored(3, url="http://other.example", type="docker-registry"))
    for path, expected in (("/registries/4", "harbor"), ("/registries/3", NAME)):
        portal.write("PUT", path, {"type": NAME})
        assert core.writes[-1].json() == {"type": expected}
    for number in (0, -1, None, "4", 4.0, True):
        document: dict[str, Any] = {"id": number, "url": scripted_swr.url}
        portal.write("POST", "/registries/ping", document)
        assert core.writes[-1].json() == document
    portal.write("POST", "/registries/ping", {"id": 3, "type": NAME, "url": scripted_swr.url})
    assert core.writes[-1].json() == {"id": 3, "type": "harbor", "url": PUBLIC_URL}


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"docker-registry","url":"https://swr.eu-nl.otc.t-systems.com","credential":{"access_key":"a"}}',
        b'{"type":"harbor", "url":"http://other.example", "access_secret":"*****" }',
        b'{"url":"https://swr.eu-nl.otc.t-systems.com"}',
        b'{"type":["Open Telekom Cloud SWR"],"url":7}',
        b'{"type":"Open Telekom Cloud SWR"',
        b"[]",
        b"\xff\xfe",
        b"[" * 10_000,
        b"",
    ],
    ids=range(9),
)
def test_requests_about_other_endpoints_keep_their_bytes(body: bytes, portal: Client, core: ScriptedCore) -> None:
    core.stores(stored(3, url="http://other.example", type="docker-registry"))
    for method, path in (("POST", "/registries"), ("POST", "/registries/ping"), ("PUT", "/registries/3")):
        response = portal.send(method, API + path, body=body)
        assert response.status in (200, 201)
        assert (core.writes[-1].body, core.writes[-1].header("Content-Length")) == (body, str(len(body)))


@pytest.mark.parametrize(
    ("number", "url", "more"),
    [(0, PUBLIC_URL, {}), (3, "http://other.example", {}), (4, PUBLIC_URL, {"type": "docker-hub"})],
    ids=["Harbor itself", "another registry", "another type"],
)
def test_pings_of_other_endpoints_keep_their_bytes(
    number: int, url: str, more: dict[str, str], portal: Client, core: ScriptedCore, scripted_swr: Swr
) -> None:
    core.stores(stored(number, url=url))
    body = json.dumps({"id": number, "url": scripted_swr.url, **more}, indent=1).encode()
    portal.send("POST", f"{API}/registries/ping", body=body)
    assert core.writes[-1].body == body
    if not more:
        portal.send("PUT", f"{API}/registries/{number}", body=body)
        assert core.writes[-1].body == body


def test_rules_keep_their_bytes(portal: Client, core: ScriptedCore, scripted_swr: Swr) -> None:
    """Core reads only the id of an endpoint in a rule."""
    core.returns(b"", 201, [("Location", f"{API}/replication/policies/3")])
    rule = b'{"dest_registry": {"id":4,"type":"%s","url":"%s"} }' % (NAME.encode(), scripted_swr.url.encode())
    for method, path in (("POST", "/replication/policies"), ("PUT", "/replication/policies/3")):
        response = portal.send(method, API + path, body=rule)
        assert (core.received[-1].body, response.header("Location")) == (rule, f"{API}/replication/policies/3")
