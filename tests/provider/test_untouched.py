"""What is stored for others, and by scripts that know the adapter, keeps its bytes."""

from __future__ import annotations

import json

import pytest

from tests.credentials import ACCESS_KEY
from tests.provider.forms import CALLERS, created
from tests.provider.harness import API, NAME, PUBLIC_URL, SCRIPT, Client, Headers, PlayedCore, reply, stored
from tests.swr.scripted import TOKEN_PATH, Swr

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
    b"[" * 10_000,
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
