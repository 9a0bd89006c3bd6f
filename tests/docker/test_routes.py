"""The includes: which requests go through the door, and that nothing changes on the way (docs/facts/harbor.md C.4)."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.docker.conftest import Got, StartNginx, ask, who
from tests.docker.nginx import INCLUDES, VARIANTS, Nginx, Variant
from tests.docker.servers import Answer, Scripted, Seen

DOOR = [
    "GET /api/v2.0/replication/adapters",
    "GET /api/v2.0/replication/adapterinfos",
    "GET /api/v2.0/replication/policies",
    "POST /api/v2.0/replication/policies",
    "GET /api/v2.0/replication/policies?page=1&page_size=15",
    "PUT /api/v2.0/replication/policies/7",
    "DELETE /api/v2.0/replication/policies/7",
    "GET /api/v2.0/registries",
    "POST /api/v2.0/registries",
    "GET /api/v2.0/registries?q=type%3D%7Bharbor%20docker-hub%7D&page=1",
    "POST /api/v2.0/registries/ping",
    "GET /api/v2.0/registries/3",
    "PUT /api/v2.0/registries/3",
    "DELETE /api/v2.0/registries/3",
    "GET /api/v2.0/registries/0/info",
    "GET /api/v2.0/projects/7/summary",
    "GET /api/v2.0/projects/team.a-b/summary?x=1",
]

CORE = [
    "GET /api/version",
    "GET /api/v2.0/systeminfo",
    "GET /api/v2.0/registriesX",
    "GET /api/v2.0/registries-x/1",
    "GET /api/v2x0/registries",
    "GET /api/v2.0/replication/executions",
    "POST /api/v2.0/replication/executions",
    "GET /api/v2.0/replication/adaptersX",
    "GET /api/v2.0/projects",
    "GET /api/v2.0/projects/summary",
    "GET /api/v2.0/projects/7",
    "GET /api/v2.0/projects/7/summaries",
    "GET /api/v2.0/projects/7/members/summary",
    "GET /api/v2.0/projects/7/repositories/registries",
    "GET /v2/",
    "PUT /v2/api/v2.0/registries/manifests/1",
    "GET /service/token?service=harbor-registry",
    "POST /c/login",
]

BROWSER = {
    "Accept": "application/json, text/plain, */*",
    "Cookie": "sid=0123; _gorilla_csrf=MTYz; harbor-lang=en-us",
    "Origin": "https://harbor.example.com",
    "Referer": "https://harbor.example.com/harbor/registries",
    "User-Agent": "Mozilla/5.0",
    "X-Harbor-CSRF-Token": "dG9rZW4+/w==",
    "X-Harbor-No-Session-Renewal": "true",
    "Authorization": "Bearer abc",
    "Content-Type": "application/json",
    "X-Request-Id": "42",
}

ANSWERED = (
    ("Content-Type", "application/json; charset=utf-8"),
    ("Set-Cookie", "sid=4567; Path=/; HttpOnly"),
    ("Set-Cookie", "_gorilla_csrf=MTYz; Path=/; SameSite=Strict"),
    ("X-Harbor-CSRF-Token", "bmV3"),
    ("X-Request-Id", "a-b-c"),
    ("X-Total-Count", "31"),
    ("Link", '</api/v2.0/registries?page=2&page_size=15>; rel="next"'),
    ("Location", "/api/v2.0/registries/9"),
)

variants = pytest.mark.parametrize("variant", VARIANTS, ids=str)


@pytest.fixture
def running(
    variant: Variant, nginx: StartNginx, core: Scripted, tls_core: Scripted, door: Scripted, internal: Path
) -> tuple[Nginx, Scripted]:
    """nginx in each of its variants, and the core behind it."""
    behind = tls_core if variant.internal_tls else core
    return nginx(behind, door, variant, internal=internal if variant.internal_tls else None), behind


@variants
def test_the_five_routes_and_no_other_go_through_the_door(running: tuple[Nginx, Scripted], door: Scripted) -> None:
    nginx, core = running
    assert who(nginx, DOOR) == ["door"] * len(DOOR)
    assert who(nginx, CORE) == ["core"] * len(CORE)
    # Also that path and query arrive as they were sent.
    assert door.methods() == DOOR
    assert core.methods() == CORE


@variants
def test_the_door_sees_what_core_would_have_seen(running: tuple[Nginx, Scripted], door: Scripted) -> None:
    nginx, core = running
    for path in ("/api/v2.0/registries", "/api/v2.0/users"):
        ask(nginx, "POST", path, headers={**BROWSER, "Host": "harbor.example.com:8443"}, body=b'{"name": "\xc3\xa9"}')
    [seen], [stock] = door.seen, core.seen
    # What nginx itself sends to a server depends on the server's name in no header but these.
    assert comparable(seen) == comparable(stock)
    assert {name: seen.header(name) for name in BROWSER} == BROWSER
    assert seen.header("Host") == "harbor.example.com"
    assert seen.header("X-Forwarded-Proto") == nginx.url.partition(":")[0]
    assert seen.header("X-Forwarded-For") == seen.header("X-Real-IP") == "127.0.0.1"


def comparable(seen: Seen) -> tuple[str, list[tuple[str, str]], bytes]:
    return seen.method, sorted(seen.headers), seen.body


@variants
def test_a_proxy_before_harbor_may_say_how_the_browser_came(running: tuple[Nginx, Scripted], door: Scripted) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    ask(running[0], "GET", "/api/v2.0/registries", headers=headers)
    assert door.seen[0].header("X-Forwarded-Proto") == "https"
    assert door.seen[0].header("X-Forwarded-For") == "192.0.2.7, 127.0.0.1"


@variants
def test_paths_and_queries_go_on_letter_by_letter(running: tuple[Nginx, Scripted], door: Scripted) -> None:
    paths = [
        "/api/v2.0/registries?q=name%3D~a%2Fb%26c+d%20e&sort=-name&x=%C3%A9",
        "/api/v2.0/registries?q=type={docker-hub%20harbor}&name=",
        "/api/v2.0//registries/%33",
        "/api/v2.0/projects/a%252Fb/summary",
    ]
    for path in paths:
        ask(running[0], "GET", path)
    assert [each.target for each in door.seen] == paths


@variants
def test_answers_come_back_as_they_come_from_core(running: tuple[Nginx, Scripted], door: Scripted) -> None:
    nginx, core = running
    core.script = door.script = lambda _: Answer(201, b'[{"id": 1}]', ANSWERED)
    through, stock = ask(nginx, "POST", "/api/v2.0/registries"), ask(nginx, "POST", "/api/v2.0/users")
    assert len(door.seen) == len(core.seen) == 1
    assert (through.status, through.body) == (stock.status, stock.body) == (201, b'[{"id": 1}]')
    assert without_date(through) == without_date(stock)
    assert through.values("X-Frame-Options") == ["DENY"]
    secure = "; Secure" if nginx.url.startswith("https") else ""
    expected = [(name, value.replace("Path=/", f"Path=/{secure}")) for name, value in ANSWERED]
    assert [pair for pair in through.headers if pair[0] in dict(ANSWERED)] == expected


def without_date(got: Got) -> list[tuple[str, str]]:
    return [pair for pair in got.headers if pair[0] != "Date"]


@variants
def test_answers_of_the_door_pass_whatever_their_status(running: tuple[Nginx, Scripted], door: Scripted) -> None:
    nginx, core = running
    for status in (400, 401, 403, 404, 409, 500, 502, 503, 504):
        door.script = lambda _, status=status: Answer(status, b"its own words")  # type: ignore[misc]
        for method in ("GET", "POST"):
            got = ask(nginx, method, "/api/v2.0/registries")
            assert (got.status, got.text) == (status, "its own words")
    assert core.seen == []


def difference(one: Variant, other: Variant) -> set[str]:
    """Lines that stand in one include only."""
    ours, theirs = (each.include.read_text().splitlines() for each in (one, other))
    changed = [line for line in difflib.ndiff(ours, theirs) if line[:2] in ("- ", "+ ")]
    return {line[:2] + line[2:].strip() for line in changed if not line[2:].startswith("#")}


def test_the_four_includes_differ_where_they_must() -> None:
    http, https, http_tls, https_tls = VARIANTS
    assert difference(http, https) == difference(http_tls, https_tls) == {'+ proxy_cookie_path / "/; Secure";'}
    tls = difference(http, http_tls)
    assert tls == difference(https, https_tls)
    assert {"- proxy_pass http://core;", "+ proxy_pass https://core;"} <= tls
    assert {line for line in tls if not line.startswith("+ proxy_ssl_")} == {
        "- proxy_pass http://core;",
        "+ proxy_pass https://core;",
    }
    assert {each.include for each in VARIANTS} == set(INCLUDES.glob("*.conf"))
