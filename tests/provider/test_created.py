"""New endpoints: what core is asked to store, what is refused before, and what SWR is asked."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug import Response

from tests.conftest import StartAdapter
from tests.credentials import ACCESS_KEY, SECRET_KEY, WRONG_SECRET
from tests.provider.forms import CALLERS, EU_NL, WHOLE, created, pinged
from tests.provider.harness import ADMITTED, NAME, PUBLIC_URL, Client, Headers, PlayedCore, reply, stored
from tests.swr.scripted import TOKEN_PATH, Swr


@WHOLE
@CALLERS
@pytest.mark.parametrize("name", [NAME, "opentelekomcloud-swr"])
def test_a_new_endpoint_becomes_the_carrier_at_the_adapter(
    path: str, form: Any, name: str, caller: Headers, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.stores()
    got = portal.write("POST", path, form(url=scripted_swr.url, type=name), caller)
    assert got.status in (200, 201)
    known, write = core.seen
    assert (known.method, known.target) == ("GET", ADMITTED)
    for header in ("Cookie", "Authorization", "Host"):
        assert known.header(header) == dict(caller).get(header)
    assert write.json() == form(url=PUBLIC_URL, type="harbor")
    assert scripted_swr.count("GET", TOKEN_PATH) >= 1


def test_the_other_carrier(another: StartAdapter, core: PlayedCore, scripted_swr: Swr) -> None:
    portal = Client(another(carrier="docker-registry").provider)
    core.stores()
    portal.write("POST", "/registries", created(url=scripted_swr.url))
    assert core.seen[-1].json() == created(url=PUBLIC_URL, type="docker-registry")


@WHOLE
@pytest.mark.parametrize("spell", [str.upper, lambda url: url + "/", lambda url: f" {url.removeprefix('http://')} "])
def test_spellings_of_the_url(
    path: str, form: Any, spell: Any, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.stores()
    portal.write("POST", path, form(url=spell(scripted_swr.url)))
    assert core.seen[-1].json()["url"] == PUBLIC_URL


def test_member_names_count_in_any_case_as_core_reads_them(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    core.stores(stored(4))
    document = created(url=scripted_swr.url)
    document["URL"], document["Type"] = document.pop("url"), document.pop("type")
    portal.write("POST", "/registries", document)
    assert core.writes[-1].json() == created(url=PUBLIC_URL, type="harbor")
    portal.write("PUT", "/registries/4", {"Url": scripted_swr.url})
    assert core.writes[-1].json() == {"url": PUBLIC_URL}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"url": "https://swr.eu-fr.otc.t-systems.com"}, "is no SWR host that is known here"),
    ({"url": "https://swr.eu-nl.otc.t-systems.com/org"}, f"enter {EU_NL}, and name the organization"),
    ({"url": "https://swr-api.eu-nl.otc.t-systems.com"}, f"enter {EU_NL} as Endpoint URL"),
    ({"url": ""}, "the Endpoint URL is empty"),
    ({"url": None}, "the Endpoint URL is empty"),
    ({"url": 7}, "url must be text"),
    ({"url": EU_NL}, "lies in eu-de: enter http"),
    ({"url": EU_NL, "access_key": ACCESS_KEY}, "<regional project name>@<AK>"),
    ({"url": EU_NL, "access_key": f"eu-fr@{ACCESS_KEY}"}, "region 'eu-fr' is unknown"),
    ({"url": EU_NL, "access_key": ""}, "an Access Secret without Access ID"),
    ({"url": EU_NL, "access_secret": ""}, "the Access Secret is empty"),
    ({"url": EU_NL, "access_secret": "*****"}, "the Access Secret is empty"),
    ({"url": EU_NL, "access_key": "", "access_secret": ""}, "no credentials"),
    ({"url": EU_NL, "access_key": None, "access_secret": None}, "no credentials"),
    ({"url": EU_NL, "access_key": []}, "access_key must be text"),
    ({"url": EU_NL, "access_secret": "\ud800abc"}, "access_secret must be text"),
]


@WHOLE
@CALLERS
@pytest.mark.parametrize(("changes", "says"), REFUSED)
def test_refused_before_core_is_asked(
    path: str, form: Any, changes: dict[str, Any], says: str, caller: Headers, portal: Client, core: PlayedCore
) -> None:
    core.stores()
    got = portal.write("POST", path, form(**changes), caller)
    assert (got.status, got.header("Content-Type")) == (400, "application/json; charset=utf-8")
    assert says in got.message()
    assert SECRET_KEY not in got.message()
    assert core.seen == []


def test_swr_refuses(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    scripted_swr.answer("GET", TOKEN_PATH, 401)
    core.stores()
    for path, form in (("/registries", created), ("/registries/ping", pinged)):
        got = portal.write("POST", path, form(url=scripted_swr.url, access_secret=WRONG_SECRET))
        assert got.status == 400
        assert "SWR refuses the credentials" in got.message()
    assert core.writes == []


def test_where_swr_cannot_say_core_decides(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    scripted_swr.answer("GET", TOKEN_PATH, Response("<html>", 200))
    failed = reply({"errors": [{"code": "X", "message": "core's own"}]}, 500)
    core.plays(lambda seen: reply(["harbor"]) if seen.path == ADMITTED else failed)
    got = portal.write("POST", "/registries", created(url=scripted_swr.url))
    assert (got.status, got.message()) == (500, "core's own")
    assert core.seen[-1].json() == created(type="harbor", url=PUBLIC_URL)
    assert scripted_swr.count("GET", TOKEN_PATH) >= 1
