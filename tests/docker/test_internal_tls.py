"""A core that demands a certificate of its callers, which docs/install-compose.md calls not supported."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest

from tests.docker.conftest import StartNginx, ask
from tests.docker.nginx import Variant
from tests.docker.servers import scripted
from tests.docker.test_page import PAGE
from tests.running import running_adapter

REASONS = {
    ssl.TLSVersion.TLSv1_2: ("handshake failure",),
    # The demand comes after the handshake, so the door hears of it, or only of the end.
    ssl.TLSVersion.TLSv1_3: ("certificate required", "EOF occurred", "Connection reset by peer", "Broken pipe"),
}

ASKED = [
    ("GET", "/api/v2.0/registries"),
    ("GET", "/api/v2.0/replication/adapters"),
    ("DELETE", "/api/v2.0/registries/3"),
]


@pytest.mark.parametrize("version", REASONS, ids=lambda version: version.name)
def test_each_page_says_that_core_cannot_be_reached(version: ssl.TLSVersion, nginx: StartNginx, internal: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(internal / "core.crt", internal / "core.key")
    context.load_verify_locations(internal / "proxy-ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    with scripted("core", tls=context) as core:
        settings = {
            "public_url": "http://otc-swr.internal:8080",
            "harbor_core_url": f"https://127.0.0.1:{core.port}",
            "core_ca_bundle": internal / "core-ca.crt",
        }
        with running_adapter({}, **settings) as adapter:
            door = int(adapter.provider.rpartition(":")[2])
            running = nginx(core, door, Variant("http", internal_tls=True), internal=internal)
            for method, page in ASKED:
                got = ask(running, method, page, {"Cookie": "sid=session"})
                assert got.status == 502
                [error] = json.loads(got.body)["errors"]
                begins, _, reason = error["message"].partition(": ")
                assert begins == "Harbor's core cannot be reached"
                assert any(each in reason for each in REASONS[version]), reason
            # Nginx has the proxy's certificate: what does not go through the door works.
            assert ask(running, "GET", "/api/v2.0/users").text == "core"
    assert core.methods() == ["GET /api/v2.0/users"]


def test_the_page_has_these_words() -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith("| `Harbor's core cannot be reached:` and then")]
    assert all(reason[0] in row for reason in REASONS.values())
