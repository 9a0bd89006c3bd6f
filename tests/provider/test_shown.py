"""What the portal is shown, and who is shown it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import StartAdapter
from tests.credentials import basic
from tests.provider.harness import API, BROWSER, NAME, PUBLIC_URL, SCRIPT, Client, PlayedCore, reply, stored
from tests.swr.scripted import Swr

INFO = {"description": "", "supported_triggers": ["manual"], "type": "harbor"}
FOREIGN = b' [ {"id":3 , "url":"http://127.0.0.1:9102","x":1.50,"type":"harbor","name":"\\u003c\\u00e9\xc3\xa9"} ] \n'


def shown(number: int, url: str, **more: Any) -> dict[str, Any]:
    return {**stored(number), "type": NAME, "url": url, **more}


def test_a_list_shows_ours_as_the_provider(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    core.answers(
        [stored(4), stored(5, access_id="eu-nl_team@AK"), stored(6, url="http://other.example", type="harbor")]
    )
    got = portal.get("/registries").json()
    assert got[0] == shown(4, scripted_swr.url)
    assert got[1]["url"] == "https://swr.eu-nl.otc.t-systems.com"
    assert got[2] == stored(6, url="http://other.example")


@pytest.mark.parametrize("spelling", ["HTTP://Adapter.EXAMPLE:8080", f"{PUBLIC_URL}/"])
def test_urls_are_compared_after_harbors_normalisation(spelling: str, portal: Client, core: PlayedCore) -> None:
    core.answers(stored(4, url=spelling))
    assert portal.get("/registries/4").json()["type"] == NAME


@pytest.mark.parametrize("access_id", ["eu-fr@AK", "AK", ""])
def test_without_a_region_there_is_no_url(access_id: str, portal: Client, core: PlayedCore) -> None:
    core.answers([stored(4, access_id=access_id)])
    (got,) = portal.get("/registries").json()
    assert got["type"] == NAME
    assert "url" not in got
    assert got["credential"]["access_key"] == access_id


def test_rules_show_it_on_either_side(portal: Client, core: PlayedCore, scripted_swr: Swr) -> None:
    local = {"id": 0, "type": "harbor", "name": "Local", "url": PUBLIC_URL}
    push = {"id": 1, "src_registry": local, "dest_registry": stored(4), "speed": -1}
    pull = {"id": 2, "src_registry": stored(4), "dest_registry": local}
    core.answers([push, pull, {"id": 3}])
    ours = shown(4, scripted_swr.url)
    wanted = [{**push, "dest_registry": ours}, {**pull, "src_registry": ours}, {"id": 3}]
    assert portal.get("/replication/policies").json() == wanted
    core.answers(push)
    assert portal.get("/replication/policies/1").json() == wanted[0]


def test_a_rule_without_credentials_does_not_make_the_region_forgotten(
    portal: Client, core: PlayedCore, scripted_swr: Swr
) -> None:
    core.answers([stored(44)])
    portal.get("/registries")
    bare = {key: value for key, value in stored(44).items() if key != "credential"}
    core.answers([{"id": 1, "src_registry": bare}, {"id": 2, "src_registry": {**bare, "id": 45}}])
    known, unknown = (each["src_registry"] for each in portal.get("/replication/policies").json())
    assert known == {**bare, "type": NAME, "url": scripted_swr.url}
    assert (unknown["type"], "url" in unknown) == (NAME, False)
    core.answers({"registry": bare})
    assert portal.get("/projects/1/summary").json() == {"registry": known}


def test_a_summary_has_the_region_only_after_an_answer_that_had_it(
    another: StartAdapter, core: PlayedCore, scripted_swr: Swr
) -> None:
    portal = Client(another().provider)
    registry = {"id": 4, "name": "swr", "type": "harbor", "url": PUBLIC_URL}
    summary = {"registry": registry, "repo_count": 0}
    core.answers(summary)
    before = portal.get("/projects/16/summary")
    assert before.json() == {"registry": {"id": 4, "name": "swr", "type": NAME}, "repo_count": 0}
    core.answers([stored(4)])
    portal.get("/registries")
    core.answers(summary)
    wanted = {**registry, "type": NAME, "url": scripted_swr.url}
    assert portal.get("/projects/some-name/summary").json() == {**summary, "registry": wanted}
    core.answers(b"")
    assert portal.write("PUT", "/registries/4", {"name": "x"}).status == 200
    core.answers(summary)
    assert "url" not in portal.get("/projects/16/summary").json()["registry"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_what_changes_is_no_longer_remembered(method: str, portal: Client, core: PlayedCore) -> None:
    core.stores(stored(4))
    portal.get("/registries")
    portal.send(method, f"{API}/registries/4", body=b"{}")
    core.answers({"registry": {"id": 4, "url": PUBLIC_URL}})
    assert portal.get("/projects/1/summary").json() == {"registry": {"id": 4, "type": NAME}}


def test_capabilities_show_our_type_after_a_look_up(portal: Client, core: PlayedCore) -> None:
    def script(seen: Any) -> Any:
        return reply(INFO if seen.path.endswith("/info") else stored(40 if "/40" in seen.path else 41))

    core.plays(script)
    for number in (40, 41):
        got = portal.get(f"/registries/{number}/info", [*BROWSER, ("Authorization", basic())])
        assert got.json() == {**INFO, "type": NAME}
        look_up = core.seen[-1]
        assert look_up.target == f"{API}/registries/{number}"
        assert (look_up.header("Cookie"), look_up.header("Authorization")) == (BROWSER[1][1], basic())
    core.seen.clear()
    assert portal.get("/registries/40/info").json()["type"] == NAME
    assert len(core.seen) == 1


@pytest.mark.parametrize("answer", [reply({"id": 8, "url": "http://x"}), reply({}, 403), reply(b"<html>"), reply([])])
def test_capabilities_of_others_stay(answer: Any, portal: Client, core: PlayedCore) -> None:
    core.plays(lambda seen: reply(INFO) if seen.path.endswith("/info") else answer)
    assert portal.get("/registries/8/info").json() == INFO


def test_harbor_itself_is_untouched(portal: Client, core: PlayedCore) -> None:
    core.answers({**INFO, "id": 0, "url": PUBLIC_URL})
    for path in ("/registries/0/info", "/registries/0"):
        assert portal.get(path).body == reply({**INFO, "id": 0, "url": PUBLIC_URL}).get_data()
    assert len(core.seen) == 2


@pytest.mark.parametrize(
    "path",
    [
        "/registries",
        "/registries/3",
        "/registries/3/info",
        "/replication/policies",
        "/replication/policies/1",
        "/projects/p/summary",
    ],
)
def test_what_is_not_ours_keeps_its_bytes(path: str, portal: Client, core: PlayedCore) -> None:
    core.answers(FOREIGN, headers=[("Content-Type", "application/json")])
    assert portal.get(path).body == FOREIGN


def test_beside_ours_others_keep_their_bytes(portal: Client, core: PlayedCore) -> None:
    other = FOREIGN.strip(b" []\n")
    ours = b'{"id":4,"type":"harbor","url":"%s","name":"\\u0026"}' % PUBLIC_URL.encode()
    core.answers(b"[" + other + b"," + ours + b"]\n", headers=[("Content-Type", "application/json")])
    assert portal.get("/registries").body == b'[%b,{"id":4,"type":"%b","name":"\\u0026"}]\n' % (other, NAME.encode())


def test_scripts_see_what_is_stored(portal: Client, core: PlayedCore) -> None:
    core.answers([stored(4)])
    assert portal.get("/registries", SCRIPT).json() == [stored(4)]
    core.answers(["harbor"])
    assert portal.get("/replication/adapters", SCRIPT).json() == ["harbor"]


def test_everybody_may_be_shown_it(another: StartAdapter, core: PlayedCore, scripted_swr: Swr) -> None:
    portal = Client(another(translate_for="all").provider)
    core.answers([stored(4)])
    assert portal.get("/registries", SCRIPT).json() == [shown(4, scripted_swr.url)]


def test_filters_are_translated_for_everybody(portal: Client, core: PlayedCore) -> None:
    core.answers([])
    for headers in (BROWSER, SCRIPT):
        portal.get("/registries?sort=%2dname&q=type%3DOpen%20Telekom%20Cloud%20SWR&page={1}", headers)
        wanted = "sort=%2dname&q=url%3Dhttp%3A%2F%2Fadapter.example%3A8080&page={1}"
        assert core.seen[-1].target == f"{API}/registries?{wanted}"


def test_the_next_page_of_a_filter_is_asked_for_as_it_was_given(portal: Client, core: PlayedCore) -> None:
    """Core makes its links of the query that it got."""
    for query in ("q=type%3DOpen%20Telekom%20Cloud%20SWR&page_size=1", "page=1&page_size=1"):

        def script(seen: Any, query: str = query) -> Any:
            rest = seen.target.partition("?")[2]
            return reply([stored(4)], headers=[("Link", f'<{API}/registries?{rest}&page=2>; rel="next"')])

        core.plays(script)
        for headers in (BROWSER, SCRIPT):
            link = portal.get(f"/registries?{query}", headers).header("Link")
            assert link == f'<{API}/registries?{query}&page=2>; rel="next"'


def test_without_the_public_url_everything_passes(another: StartAdapter, core: PlayedCore) -> None:
    running = another(public_url="")
    portal = Client(running.provider)
    core.answers(["harbor"])
    assert portal.get("/replication/adapters").json() == ["harbor"]
    core.answers({"id": 4, "url": ""})
    portal.write("POST", "/registries", {"type": NAME})
    assert core.seen[-1].json() == {"type": NAME}
    assert running.service.output.count("SWR_ADAPTER_PUBLIC_URL is not set") == 1


def test_the_name_is_not_put_in_twice(portal: Client, core: PlayedCore) -> None:
    core.answers([NAME, "harbor"])
    assert portal.get("/replication/adapters").json() == [NAME, "harbor"]
    core.answers({NAME: {}})
    assert portal.get("/replication/adapterinfos").json() == {NAME: {}}


def test_the_adapters_own_url_shows_nowhere(portal: Client, core: PlayedCore) -> None:
    documents = {
        "/registries": [stored(4), stored(5, access_id="")],
        "/registries/4": stored(4),
        "/replication/policies": [{"dest_registry": stored(4), "src_registry": stored(5, access_id="x")}],
        "/replication/policies/1": {"src_registry": stored(4)},
        "/projects/1/summary": {"registry": stored(77)},
        "/registries/4/info": INFO,
    }
    for path, document in documents.items():
        core.answers(document)
        got = portal.get(path)
        assert NAME.encode() in got.body
        assert PUBLIC_URL.encode() not in got.body
