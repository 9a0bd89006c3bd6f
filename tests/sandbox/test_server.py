from __future__ import annotations

import socket
from pathlib import Path

from tests.credentials import ACCESS_KEY, SECRET_KEY
from tests.running import OBJECTS_HOST
from tests.sandbox.client import Sandbox, call
from tests.services import free_ports, running


def test_starts_with_knobs_and_stops_at_once_on_sigterm(tmp_path: Path) -> None:
    registry, api, objects = free_ports(3)
    arguments = [
        f"--data={tmp_path}",
        f"--registry-bind=127.0.0.1:{registry}",
        f"--api-bind=127.0.0.1:{api}",
        f"--objects-bind=127.0.0.1:{objects}",
        f"--account={ACCESS_KEY}:{SECRET_KEY}",
        "--knob=rate=7",
        "--knob=oci=accept",
    ]
    with running("sandbox-end", "sandbox", *arguments, env={}, port=api, path="/v2") as service:
        knobs = call(api, "GET", "/sandbox/knobs").json
        assert (knobs["rate"], knobs["oci"]) == (7, "accept")
        with socket.create_connection(("127.0.0.1", registry)) as idle:
            idle.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(20).startswith(b"HTTP/1.1 401")
            assert service.stop() == 0
        assert SECRET_KEY not in service.output


def test_port_selects_the_origin(sandbox: Sandbox) -> None:
    assert call(sandbox.api, "GET", "/v2/").json["version"]
    assert call(sandbox.registry, "GET", "/v2/").code == "UNAUTHORIZED"
    assert b"NoSuchKey" in call(sandbox.objects, "GET", "/v2/", host=OBJECTS_HOST).body
    assert call(sandbox.registry, "GET", "/sandbox/knobs").status == 404
    # The listener counts, not what the client calls it.
    assert call(sandbox.objects, "GET", "/v2/", {"Host": f"127.0.0.1:{sandbox.api}"}, host=OBJECTS_HOST).status == 404


def test_defect_is_500(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("fresh")
    token = sandbox.bearer("fresh/hello")
    (sandbox.store.directory / "organizations" / "fresh.json").write_text("{")
    assert sandbox.manage("GET", "namespaces").code == "SVCSTG.SWR.5000001"
    assert sandbox.v2("GET", "/v2/fresh/hello/tags/list", token).code == "UNKNOWN"
