"""The includes for nginx: which requests go to the adapter, and that they stay unchanged (docs/facts/harbor.md C.4)."""

from __future__ import annotations

import difflib

import pytest

from tests.docker.conftest import request, responders
from tests.docker.nginx import INCLUDES, VARIANTS, Nginx, Variant
from tests.provider.harness import Received, ScriptedCore, comparable, reply

TO_ADAPTER = [
    "GET /api/v2.0/replication/adapters",
    "GET /api/v2.0/replication/adapterinfos",
    "POST /api/v2.0/replication/policies",
    "GET /api/v2.0/replication/policies?page=1&page_size=15",
    "DELETE /api/v2.0/replication/policies/7",
    "GET /api/v2.0/registries?q=name%3D~a%2Fb%26c+d%20e&sort=-name&x=%C3%A9",
    "GET /api/v2.0/registries?q=type={docker-hub%20harbor}&name=",
    "POST /api/v2.0/registries/ping",
    "PUT /api/v2.0/registries/3",
    "GET /api/v2.0//registries/%33",
    "GET /api/v2.0/registries/0/info",
    "GET /api/v2.0/projects/team.a-b/summary?x=1",
    "GET /api/v2.0/projects/a%252Fb/summary",
]

TO_CORE = [
    "GET /api/version",
    "GET /api/v2.0/systeminfo",
    "GET /api/v2.0/registriesX",
    "GET /api/v2.0/registries-x/1",
    "GET /api/v2x0/registries",
    "POST /api/v2.0/replication/executions",
    "GET /api/v2.0/replication/adaptersX",
    "GET /api/v2.0/projects/summary",
    "GET /api/v2.0/projects/7",
    "GET /api/v2.0/projects/7/summaries",
    "GET /api/v2.0/projects/7/members/summary",
    "GET /api/v2.0/projects/7/repositories/registries",
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

RETURNED = (
    ("Content-Type", "application/json; charset=utf-8"),
    ("Set-Cookie", "sid=4567; Path=/; HttpOnly"),
    ("Set-Cookie", "_gorilla_csrf=MTYz; Path=/; SameSite=Strict"),
    ("X-Harbor-CSRF-Token", "bmV3"),
    ("X-Total-Count", "31"),
    ("Link", '</api/v2.0/registries?page=2&page_size=15>; rel="next"'),
    ("Location", "/api/v2.0/registries/9"),
)

variants = pytest.mark.parametrize("variant", VARIANTS, ids=str)


@variants
def test_only_pages_about_registries_go_to_the_adapter(
    running: tuple[Nginx, ScriptedCore], adapter: ScriptedCore
) -> None:
    nginx, core = running
    assert responders(nginx, TO_ADAPTER) == ["adapter"] * len(TO_ADAPTER)
    assert responders(nginx, TO_CORE) == ["core"] * len(TO_CORE)
    assert (adapter.lines, core.lines) == (TO_ADAPTER, TO_CORE)


@variants
def test_adapter_receives_what_core_would_receive(running: tuple[Nginx, ScriptedCore], adapter: ScriptedCore) -> None:
    nginx, core = running
    for path in ("/api/v2.0/registries", "/api/v2.0/users"):
        request(nginx, "POST", path, {**BROWSER, "Host": "harbor.example.com:8443"}, b'{"name": "\xc3\xa9"}')
    [received], [by_core] = adapter.received, core.received
    assert parts(received) == parts(by_core)
    assert {name: received.header(name) for name in BROWSER} == BROWSER
    assert received.header("Host") == "harbor.example.com"
    assert received.header("X-Forwarded-Proto") == nginx.url.partition(":")[0]
    assert received.header("X-Forwarded-For") == received.header("X-Real-IP") == "127.0.0.1"
    # A proxy in front of Harbor reports how the browser connected.
    request(nginx, "GET", "/api/v2.0/registries", {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"})
    assert adapter.received[-1].header("X-Forwarded-Proto") == "https"
    assert adapter.received[-1].header("X-Forwarded-For") == "192.0.2.7, 127.0.0.1"


def parts(received: Received) -> tuple[str, list[tuple[str, str]], bytes]:
    return received.method, comparable(received.headers), received.body


@variants
def test_responses_of_the_adapter_pass_with_any_status(
    running: tuple[Nginx, ScriptedCore], adapter: ScriptedCore
) -> None:
    nginx, core = running
    for status in (201, 400, 401, 404, 500, 502, 503, 504):
        for server in (core, adapter):
            server.returns(b'[{"id": 1}]', status, RETURNED)
        through = request(nginx, "POST", "/api/v2.0/registries", body=b"")
        direct = request(nginx, "POST", "/api/v2.0/users", body=b"")
        assert (through.status, through.body) == (direct.status, direct.body) == (status, b'[{"id": 1}]')
        assert comparable(through.headers, "date") == comparable(direct.headers, "date")
        assert len(adapter.received) == len(core.received) == 1
    secure = "; Secure" if nginx.url.startswith("https") else ""
    expected = [(name, value.replace("Path=/", f"Path=/{secure}")) for name, value in RETURNED]
    assert [pair for pair in through.headers if pair[0] in dict(RETURNED)] == expected
    adapter.runs(lambda _: reply(b"unavailable", 503))
    assert request(nginx, "GET", "/api/v2.0/registries").body == b"unavailable"


def difference(one: Variant, other: Variant) -> set[str]:
    """Lines that only one of the includes has."""
    before, after = (each.include.read_text().splitlines() for each in (one, other))
    changed = [line for line in difflib.ndiff(before, after) if line[:2] in ("- ", "+ ")]
    return {line[:2] + line[2:].strip() for line in changed if not line[2:].startswith("#")}


def test_includes_differ_only_in_cookies_and_tls() -> None:
    http, https, http_tls, https_tls = VARIANTS
    assert difference(http, https) == difference(http_tls, https_tls) == {'+ proxy_cookie_path / "/; Secure";'}
    tls = difference(http, http_tls)
    assert tls == difference(https, https_tls)
    assert {line for line in tls if not line.startswith("+ proxy_ssl_")} == {
        "- proxy_pass http://core;",
        "+ proxy_pass https://core;",
    }
    assert {each.include for each in VARIANTS} == set(INCLUDES.glob("*.conf"))
