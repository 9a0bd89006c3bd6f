"""Partial edits, and pings of endpoints that are stored already."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tests.credentials import ACCESS_ID, ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY, WRONG_SECRET
from tests.provider.forms import CALLERS, EU_NL, OTHER_ID
from tests.provider.harness import API, NAME, PUBLIC_URL, Client, Headers, PlayedCore, stored
from tests.swr.scripted import TOKEN_PATH, Swr


@CALLERS
def test_a_url_alone(caller: Headers, portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    """Core forgets the secret of an endpoint whose URL changes, so it gets the very URL that it has."""
    spelled = "http://Adapter.example:8080"
    core.stores(stored(4, url=spelled))
    for method, path, more in (("PUT", "/registries/4", {}), ("POST", "/registries/ping", {"id": 4})):
        assert portal.write(method, path, {**more, "url": scripted_swr.url + "/"}, caller).status == 200
        look_up, write = core.seen
        assert (look_up.method, look_up.target) == ("GET", f"{API}/registries/4")
        for name in ("Cookie", "Authorization", "Host"):
            assert look_up.header(name) == dict(caller).get(name)
        assert write.json() == {**more, "url": spelled}
        core.seen.clear()
    assert scripted_swr.seen == []


@CALLERS
def test_region_and_access_id_travel_together(
    caller: Headers, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.stores(stored(4))
    got = portal.write("PUT", "/registries/4", {"url": EU_NL}, caller)
    assert (got.status, core.writes) == (400, [])
    assert "Endpoint URL is that of region eu-nl, but project 'eu-de' of the Access ID lies in eu-de" in got.message()
    both = {"url": EU_NL, "access_key": f"eu-nl@{ACCESS_KEY}"}
    assert portal.write("PUT", "/registries/4", both, caller).status == 200
    assert core.writes[-1].json() == {**both, "url": PUBLIC_URL}
    other = {"access_key": f"eu-nl@{ACCESS_KEY}"}
    assert portal.write("PUT", "/registries/4", other, caller).status == 200
    assert core.writes[-1].json() == other


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "https://elsewhere.example"}, "is no SWR host"),
        ({"url": ""}, "is empty"),
        ({"access_key": ACCESS_KEY}, "<regional project name>@<AK>"),
        ({"access_key": ""}, "<regional project name>@<AK>"),
        ({"access_secret": ""}, "the Access Secret is empty"),
        ({"access_secret": 5}, "access_secret must be text"),
        ({"access_secret": "\udfffabc"}, "access_secret must be text"),
    ],
)
def test_edits_that_are_refused(change: dict[str, Any], says: str, portal: Client, core: PlayedCore) -> None:
    core.stores(stored(4))
    for method, path, more in (("PUT", "/registries/4", {}), ("POST", "/registries/ping", {"id": 4})):
        got = portal.write(method, path, {**more, **change})
        assert got.status == 400
        assert says in got.message()
    assert core.writes == []


def test_a_secret_without_access_id(portal: Client, core: PlayedCore) -> None:
    core.stores(stored(4, access_id=""))
    got = portal.write("PUT", "/registries/4", {"access_secret": SECRET_KEY})
    assert (got.status, core.writes) == (400, [])
    assert "an Access Secret without Access ID" in got.message()


@CALLERS
def test_the_access_id_of_a_check_comes_from_core(
    caller: Headers, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.stores(stored(4, access_id=OTHER_ID))
    change = {"access_secret": OTHER_SECRET_KEY}
    assert portal.write("PUT", "/registries/4", change, caller).status == 200
    look_up, write = core.seen
    assert (look_up.target, write.json()) == (f"{API}/registries/4", change)
    asked = [request.authorization for request in scripted_swr.seen if request.path == TOKEN_PATH]
    assert [each and each.username for each in asked] == [OTHER_ID]
    scripted_swr.answer("GET", TOKEN_PATH, 401)
    core.seen.clear()
    refused = portal.write("PUT", "/registries/4", {"access_secret": WRONG_SECRET}, caller)
    assert (refused.status, core.writes) == (400, [])


@pytest.mark.parametrize("change", [{"description": "new"}, {"name": "x", "insecure": True}, {"url": None}])
def test_what_does_not_matter_is_not_looked_up(change: dict[str, Any], portal: Client, core: PlayedCore) -> None:
    core.stores(stored(4))
    for method, path, more in (("PUT", "/registries/4", {}), ("POST", "/registries/ping", {"id": 4})):
        portal.write(method, path, {**more, **change})
        (seen,) = core.seen
        assert seen.body == json.dumps({**more, **change}).encode()
        core.seen.clear()


@CALLERS
@pytest.mark.parametrize(
    ("status", "document"),
    [(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who"}]}), (403, {}), (404, {}), (500, {"errors": []})],
)
def test_a_look_up_that_fails_is_the_answer(
    status: int, document: Any, caller: Headers, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.answers(document, status, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Harbor-Csrf-Token", "fresh")])
    for method, path, more in (("PUT", "/registries/4", {}), ("POST", "/registries/ping", {"id": 4})):
        got = portal.write(method, path, {**more, "url": scripted_swr.url}, caller)
        assert (got.status, got.json(), got.header("X-Harbor-Csrf-Token")) == (status, document, "fresh")
        assert [value for name, value in got.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert core.writes == []


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"[]",
        b'{"id":4',
        b"\xff",
        b"{}",
        b'{"id":5,"url":"https://elsewhere.example"}',
        b'{"id":true,"url":"https://elsewhere.example"}',
        b'{"id":"4","url":"https://elsewhere.example"}',
        b'{"id":4}',
        b'{"id":4,"url":null}',
    ],
)
def test_a_look_up_without_sense_stores_nothing(
    answer: bytes, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.answers(answer, headers=[("Content-Type", "application/json")])
    got = portal.write("PUT", "/registries/4", {"url": scripted_swr.url})
    assert (got.status, core.writes) == (502, [])
    assert "makes no sense" in got.message()


@CALLERS
@pytest.mark.parametrize("masked", [{"access_secret": "*****"}, {"access_secret": "*****", "name": "x"}])
def test_a_masked_secret_is_not_stored(
    masked: dict[str, Any], caller: Headers, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.stores(stored(4))
    kept = {key: value for key, value in masked.items() if key != "access_secret"}
    portal.write("PUT", "/registries/4", masked, caller)
    assert core.writes[-1].json() == kept
    portal.write("POST", "/registries/ping", {"id": 4, **masked}, caller)
    assert core.writes[-1].json() == {"id": 4, **kept}
    assert scripted_swr.seen == []


def test_a_page_sent_back_as_it_was_shown(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    core.stores(stored(4))
    shown = {"id": 4, "type": NAME, "url": scripted_swr.url, "access_key": ACCESS_ID, "access_secret": "*****"}
    for method, path in (("PUT", "/registries/4"), ("POST", "/registries/ping")):
        assert portal.write(method, path, shown).status == 200
        assert core.writes[-1].json() == {"id": 4, "type": "harbor", "url": PUBLIC_URL, "access_key": ACCESS_ID}


def test_core_never_stores_an_swr_url_for_ours(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    """Every mixture of what an edit can carry."""
    core.stores(stored(4))
    choices: list[list[dict[str, Any]]] = [
        [{"url": scripted_swr.url}, {"URL": scripted_swr.url}, {"url": EU_NL}],
        [{}, {"type": NAME}, {"type": "harbor"}, {"type": "docker-registry"}],
        [{}, {"access_key": ACCESS_ID}, {"access_key": f"eu-nl@{ACCESS_KEY}"}],
        [{}, {"access_secret": "*****"}],
    ]
    for parts in itertools.product(*choices):
        document = {key: value for part in parts for key, value in part.items()}
        got = portal.write("PUT", "/registries/4", document)
        assert got.status in (200, 400)
    assert core.writes
    for each in core.writes:
        urls = [value for key, value in each.json().items() if key.lower() == "url"]
        assert urls == [PUBLIC_URL]
        assert NAME not in each.json().values()


@pytest.mark.parametrize(
    "body",
    [
        b'{"url":"URL"} x',
        b'{"url":"URL","description":"f\xfcr"}',
        b'{"url":"URL","x":' + b"9" * 5000 + b"}",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("PUT", "/registries/4"), ("POST", "/registries")])
def test_what_only_core_could_read_does_not_store_swrs_url(
    method: str, path: str, body: bytes, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.stores(stored())
    got = portal.send(method, API + path, body=body.replace(b"URL", scripted_swr.url.encode()))
    assert got.status == 400
    assert core.writes == []


@pytest.mark.parametrize("path", ["/registries/+4", "/registries/%2B4", "/registries/" + "0" * 30 + "4"])
def test_an_id_is_read_as_core_reads_it(path: str, portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    core.stores(stored())
    portal.write("PUT", path, {"url": scripted_swr.url})
    assert [json.loads(seen.body) for seen in core.writes] == [{"url": PUBLIC_URL}]


def test_a_masked_secret_is_none_under_any_spelling_of_its_name(portal: Client, core: PlayedCore) -> None:
    core.stores(stored())
    portal.write("PUT", "/registries/4", {"acce\u017fs_secret": "*****", "name": "x"})
    assert all(b"*****" not in seen.body for seen in core.writes)
