"""The control API: journal, knobs, faults, reset."""

from __future__ import annotations

import http.client
import socket
import time

import pytest

from tests.credentials import ACCESS_KEY, canaries
from tests.running import OBJECTS_HOST
from tests.sandbox.client import Sandbox, call, digest_of, seed
from tests.services import Service


def test_reset_restores_the_initial_state(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1")
    sandbox.set(rate=3, oci="accept")
    sandbox.fail({"path": "x"})
    sandbox.v2("GET", "/v2/")
    assert sandbox.control("POST", "reset").status == 204
    assert (sandbox.store.organizations(), sandbox.store.repositories(), sandbox.journal()) == ([], [], [])
    assert (sandbox.control("GET", "knobs").json["rate"], sandbox.control("GET", "faults").json) == (20, [])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("forget", {"what": "nothing"}),
        ("forget", []),
        ("knobs", {"nothing": 1}),
        ("knobs", {"rate": "x"}),
        ("knobs", []),
        ("faults", {}),
        ("faults", [1]),
        ("faults", [{"wrong": 1}]),
        ("faults", [{"path": "("}]),
        ("faults", [{"when": "during"}]),
        ("faults", [{"origin": "moon"}]),
        ("faults", [{"delay": "x"}]),
        ("faults", [{"times": -1}]),
    ],
)
def test_invalid_request_is_rejected(sandbox: Sandbox, path: str, body: object) -> None:
    method = "POST" if path == "forget" else "PUT"
    answer = sandbox.control(method, path, body)
    assert answer.status == 400
    assert answer.json["error"]
    assert call(sandbox.api, method, f"/sandbox/{path}", body=b"{").status == 400


def test_journal_lists_requests_without_secrets(sandbox: Sandbox, sandbox_output: Service) -> None:
    sandbox.store.create_organization("fresh")
    token = sandbox.bearer("fresh/hello")
    location = sandbox.start_upload("fresh/hello", token)
    sandbox.finish_upload(location, token, digest_of(b"data"), b"data")
    sandbox.manage("GET", "namespaces")
    sandbox.v2("GET", "/v2/")
    log_in, _, finish, manage, anonymous = journal = sandbox.journal()
    assert [each["n"] for each in journal] == [1, 2, 3, 4, 5]
    assert (log_in["origin"], log_in["authorization"], log_in["account"]) == ("registry", "Basic", ACCESS_KEY)
    assert (finish["method"], finish["status"], finish["received"]) == ("PUT", 201, 4)
    assert finish["query"] == [["_state", "…"], ["digest", digest_of(b"data")]]
    assert finish["headers"]["content-length"] == "4"
    assert (manage["origin"], manage["authorization"]) == ("api", "SDK-HMAC-SHA256")
    assert (anonymous["authorization"], anonymous["account"], anonymous["status"]) == (None, None, 401)
    secrets = [*canaries(), token["Authorization"].removeprefix("Bearer "), location.partition("_state=")[2]]
    told = sandbox.control("GET", "journal").body.decode() + sandbox_output.output
    assert not [secret for secret in secrets if secret in told]
    assert "PUT /v2/fresh/hello/blobs/uploads/" in sandbox_output.output
    sandbox.control("DELETE", "journal")
    assert sandbox.journal() == []


def test_journal_lists_a_request_before_its_response(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("fresh")
    token = sandbox.bearer("fresh/hello")
    location = sandbox.start_upload("fresh/hello", token)
    path = location[location.index("/v2/") :]
    with socket.create_connection(("127.0.0.1", sandbox.registry)) as connection:
        head = (
            f"PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token['Authorization']}\r\nContent-Length: 9\r\n\r\n"
        )
        connection.sendall(head.encode())
        end = time.monotonic() + 10
        while sandbox.journal()[-1]["method"] != "PATCH" and time.monotonic() < end:
            time.sleep(0.01)
        assert sandbox.journal()[-1]["status"] is None


# faults


def test_fault_replaces_the_response(sandbox: Sandbox) -> None:
    sandbox.fail(
        {
            "method": "GET",
            "path": "^/v2/$",
            "status": 503,
            "headers": {"Retry-After": "1"},
            "body": {"a": 1},
            "times": 2,
        }
    )
    for _ in range(2):
        answer = sandbox.v2("GET", "/v2/")
        assert (answer.status, answer.header("Retry-After"), answer.json) == (503, "1", {"a": 1})
    assert sandbox.v2("GET", "/v2/").status == 401
    assert [each["fault"] for each in sandbox.journal()] == [True, True, False]


def test_fault_matches_origin_method_and_path(sandbox: Sandbox) -> None:
    sandbox.fail({"origin": "api", "path": "^/v2", "status": 599, "times": 0})
    assert sandbox.v2("GET", "/v2/").status == 401
    assert [call(sandbox.api, "GET", "/v2").status for _ in range(3)] == [599] * 3
    assert sandbox.control("GET", "knobs").status == 200, "the control API never fails on order"
    sandbox.fail({"method": "HEAD", "status": 500})
    assert call(sandbox.api, "GET", "/v2").status == 200


@pytest.mark.parametrize(("when", "processed"), [("before", False), ("after", True)])
def test_fault_applies_before_or_after_processing(sandbox: Sandbox, when: str, processed: bool) -> None:
    sandbox.fail({"method": "POST", "status": 500, "when": when})
    assert sandbox.manage("POST", "namespaces", {"namespace": "fresh"}).status == 500
    assert bool(sandbox.store.organizations()) == processed


@pytest.mark.parametrize(("when", "processed"), [("before", False), ("after", True)])
def test_fault_closes_the_connection(sandbox: Sandbox, when: str, processed: bool) -> None:
    sandbox.fail({"method": "POST", "cut_after_bytes": 0, "when": when})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        sandbox.manage("POST", "namespaces", {"namespace": "fresh"})
    assert bool(sandbox.store.organizations()) == processed


def test_fault_cuts_the_response(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("fresh")
    digest = sandbox.store.put_blob("fresh/hello", b"x" * 3_000_000)
    location = sandbox.v2("GET", f"/v2/fresh/hello/blobs/{digest}", sandbox.bearer("fresh/hello")).header("Location")
    sandbox.fail({"origin": "objects", "cut_after_bytes": 1_500_000})
    with pytest.raises(http.client.IncompleteRead) as caught:
        call(sandbox.objects, "GET", location.partition(str(sandbox.objects))[2], host=OBJECTS_HOST)
    assert len(caught.value.partial) == 1_500_000


def test_fault_responds_before_the_end_of_the_body(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("fresh")
    token = sandbox.bearer("fresh/hello")
    location = sandbox.start_upload("fresh/hello", token)
    sandbox.fail({"method": "PATCH", "status": 503, "read_bytes": 1000})
    assert sandbox.v2("PATCH", location, token, b"x" * 20_000_000).status == 503
    assert sandbox.journal()[-1]["received"] == 1000


def test_fault_delays(sandbox: Sandbox) -> None:
    sandbox.fail({"path": "^/v2/$", "delay": 0.2})
    start = time.monotonic()
    assert sandbox.v2("GET", "/v2/").status == 401
    assert time.monotonic() - start >= 0.2
