"""A core that requires client certificates, which docs/install-compose.md calls not supported."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.docker.conftest import StartNginx, request
from tests.docker.nginx import Variant, core_tls
from tests.docker.test_page import PAGE
from tests.provider.harness import ScriptedCore
from tests.running import running_adapter

REASONS = {
    ssl.TLSVersion.TLSv1_2: ("handshake failure",),
    # Core requests the certificate after the handshake, so the adapter may only notice the end of the connection.
    ssl.TLSVersion.TLSv1_3: ("certificate required", "EOF occurred", "Connection reset by peer", "Broken pipe"),
}


@pytest.mark.parametrize("version", REASONS, ids=lambda version: version.name)
def test_each_page_reports_that_core_cannot_be_reached(
    version: ssl.TLSVersion, nginx: StartNginx, internal: Path
) -> None:
    context = core_tls(internal, ssl.CERT_REQUIRED)
    context.maximum_version = version
    with HTTPServer("127.0.0.1", ssl_context=context, threaded=True) as server:
        core = ScriptedCore(server, "core")
        with running_adapter({}, harbor_core_url=core.url, core_ca_bundle=internal / "core-ca.crt") as adapter:
            port = int(adapter.provider.rpartition(":")[2])
            front = nginx(core, port, Variant("http", internal_tls=True), internal=internal)
            for method, page in (("GET", "/api/v2.0/replication/adapters"), ("DELETE", "/api/v2.0/registries/3")):
                response = request(front, method, page, {"Cookie": "sid=session"})
                assert response.status == 502
                assert response.message().startswith("cannot reach Harbor core (")
                assert any(each in response.message() for each in REASONS[version]), response.message()
            # nginx has a certificate.
            assert request(front, "GET", "/api/v2.0/users").body == b"core"
        assert core.lines == ["GET /api/v2.0/users"]


def test_page_lists_these_reasons() -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith("| `cannot reach Harbor core (…)` with a TLS error")]
    assert all(reason[0] in row for reason in REASONS.values())
