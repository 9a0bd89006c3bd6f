"""What core is asked to store, what is refused before, and what SWR is asked."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from werkzeug import Response

from tests.conftest import StartAdapter
from tests.credentials import ACCESS_ID, ACCESS_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY, WRONG_SECRET
from tests.provider.rig import API, BROWSER, NAME, PUBLIC_URL, SCRIPT, Client, Headers, PlayedCore, reply, stored
from tests.swr.scripted import TOKEN_PATH, Swr

EU_NL = "https://swr.eu-nl.otc.t-systems.com"
OTHER_ID = f"eu-de_team@{OTHER_ACCESS_KEY}"
NAMESPACES = "/v2/manage/namespaces"
CALLERS = pytest.mark.parametrize("caller", [BROWSER, SCRIPT], ids=["browser", "script"])


def created(**changes: Any) -> dict[str, Any]:
    """What the portal posts to `/registries`."""
    credential = {"access_key": ACCESS_ID, "access_secret": SECRET_KEY, "type": "basic"}
    document = {"credential": credential, "description": "", "insecure": False, "name": "swr", "type": NAME}
    for key in ("access_key", "access_secret"):
        if key in changes:
            credential[key] = changes.pop(key)
    return {**document, **changes}


def pinged(**changes: Any) -> dict[str, Any]:
    """The same as the portal posts it to `/registries/ping`."""
    document = created(**changes)
    credential = document.pop("credential")
    return {**document, "access_key": credential["access_key"], "access_secret": credential["access_secret"]}


WHOLE = pytest.mark.parametrize(("path", "form"), [("/registries", created), ("/registries/ping", pinged)])


@WHOLE
@CALLERS
@pytest.mark.parametrize("name", [NAME, "opentelekomcloud-swr"])
def test_a_new_endpoint_becomes_the_carrier_at_the_adapter(
    path: str, form: Any, name: str, caller: Headers, portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.stores()
    got = portal.write("POST", path, form(url=scripted_swr.url, type=name), caller)
    assert got.status in (200, 201)
    (seen,) = core.seen
    assert seen.json() == form(url=PUBLIC_URL, type="harbor")
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
    assert core.seen == []


def test_where_swr_cannot_say_core_decides(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    scripted_swr.answer("GET", TOKEN_PATH, Response("<html>", 200))
    core.answers({"errors": [{"code": "X", "message": "core's own"}]}, 500)
    got = portal.write("POST", "/registries", created(url=scripted_swr.url))
    assert (got.status, got.message()) == (500, "core's own")
    assert core.seen[-1].json() == created(type="harbor", url=PUBLIC_URL)
    assert scripted_swr.count("GET", TOKEN_PATH) >= 1


# Edits


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
    assert core.writes[-1].json() == change
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


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"id":4', b"\xff"])
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


# Others

OTHERS: list[bytes] = [
    b'{"type":"docker-registry","url":"https://swr.eu-nl.otc.t-systems.com","credential":{"access_key":"a"}}',
    b'{"type":"harbor", "url":"http://other.example", "access_secret":"*****" }',
    b'{"url":"https://swr.eu-nl.otc.t-systems.com"}',
    b'{"type":["Open Telekom Cloud SWR"],"url":7}',
    b'{"type":"Open Telekom Cloud SWR"',
    b'"Open Telekom Cloud SWR"',
    b"[]",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b"",
]


@CALLERS
@pytest.mark.parametrize("body", OTHERS, ids=range(len(OTHERS)))
def test_what_is_not_ours_keeps_its_bytes(body: bytes, caller: Headers, portal: Client, core: PlayedCore) -> None:
    other = stored(3, url="http://other.example", type="docker-registry")
    core.stores(other)
    for method, path in (("POST", "/registries"), ("POST", "/registries/ping"), ("PUT", "/registries/3")):
        got = portal.send(method, API + path, [*caller, ("Content-Type", "application/json")], body)
        assert got.status in (200, 201)
        assert core.writes[-1].body == body
        assert core.writes[-1].header("Content-Length") == str(len(body))


@pytest.mark.parametrize("number", [0, 3])
def test_edits_of_others_keep_their_bytes(number: int, portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    # Even Harbor's own entry at the adapter's own URL would be nobody's.
    core.stores(stored(number, url=PUBLIC_URL if number == 0 else "http://other.example"))
    body = b'{ "url":"%s","access_secret":"*****"}' % scripted_swr.url.encode()
    portal.send("PUT", f"{API}/registries/{number}", body=body)
    assert core.writes[-1].body == body
    ping = b'{ "id": %d, "url":"%s","access_secret":"*****"}' % (number, scripted_swr.url.encode())
    portal.send("POST", f"{API}/registries/ping", body=ping)
    assert core.writes[-1].body == ping


def test_a_ping_under_another_type_is_not_ours(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    core.stores(stored(4))
    body = json.dumps({"id": 4, "type": "docker-hub", "url": scripted_swr.url}).encode()
    portal.send("POST", f"{API}/registries/ping", body=body)
    assert core.writes[-1].body == body


def test_another_endpoint_pinged_as_ours(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    core.stores(stored(3, url="http://other.example"))
    portal.write("POST", "/registries/ping", {"id": 3, "type": NAME, "url": scripted_swr.url})
    assert core.writes[-1].json() == {"id": 3, "type": "harbor", "url": PUBLIC_URL}


def test_scripts_that_know_the_adapter_are_checked_and_unchanged(
    portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    """Terraform creates endpoints by what Harbor stores."""
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


def test_rules_pass_as_they_are(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    """Core reads nothing of an endpoint in a rule but its id."""
    core.plays(lambda _: reply(b"", 201, [("Location", f"{API}/replication/policies/3")]))
    rule = b'{"dest_registry": {"id":4,"type":"%s","url":"%s"} }' % (NAME.encode(), scripted_swr.url.encode())
    for method, path in (("POST", "/replication/policies"), ("PUT", "/replication/policies/3")):
        got = portal.send(method, API + path, body=rule)
        assert (core.seen[-1].body, got.header("Location")) == (rule, f"{API}/replication/policies/3")


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
