from __future__ import annotations

import json

import pytest

from tests.credentials import LOGIN_KEY, WRONG_SECRET, basic
from tests.sandbox.client import Answer, Sandbox, seed


def dockyard(sandbox: Sandbox, method: str, target: str, value: object = None, secret: str = LOGIN_KEY) -> Answer:
    body = None if value is None else json.dumps(value).encode()
    return sandbox.v2(method, f"/dockyard/v2/{target}", {"Authorization": basic(secret=secret)}, body)


def test_dockyard_returns_documents_of_the_management_api(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/a/b", "v1")
    assert dockyard(sandbox, "GET", "namespaces").json == sandbox.manage("GET", "namespaces").json
    assert dockyard(sandbox, "GET", "visible/namespaces").json == sandbox.manage("GET", "namespaces").json
    assert dockyard(sandbox, "GET", "namespaces/fresh").json == sandbox.manage("GET", "namespaces/fresh").json
    assert dockyard(sandbox, "GET", "repositories?filter=center::self").json == sandbox.manage("GET", "repos").json
    assert dockyard(sandbox, "GET", "repositories?limit=1").code == "SVCSTG.SWR.4000056"


def test_dockyard_creates_by_the_rules_of_the_management_api(sandbox: Sandbox) -> None:
    assert dockyard(sandbox, "POST", "namespaces", {"namespace": "fresh"}).status == 201
    assert dockyard(sandbox, "POST", "namespaces", {"namespace": "fresh"}).code == "SVCSTG.SWR.4090060"
    assert dockyard(sandbox, "POST", "namespaces", {"namespace": "x" * 2_000_000}).code == "SVCSTG.SWR.4001018"


def test_missing_organization_is_404_or_empty(sandbox: Sandbox) -> None:
    answer = dockyard(sandbox, "GET", "namespaces/missing")
    assert (answer.status, answer.code) == (404, "SVCSTG.SWR.4040058")
    sandbox.set(dockyard_missing="empty")
    answer = dockyard(sandbox, "GET", "namespaces/missing")
    assert (answer.status, answer.json) == (200, {})


def test_dockyard_requires_the_login_key(sandbox: Sandbox) -> None:
    assert dockyard(sandbox, "GET", "namespaces", secret=WRONG_SECRET).code == "SVCSTG.SWR.4010000"
    assert sandbox.v2("GET", "/dockyard/v2/namespaces").status == 401


@pytest.mark.parametrize("target", ["namespaces", "visible/namespaces", "namespaces/fresh", "repositories"])
def test_dockyard_can_be_turned_off(sandbox: Sandbox, target: str) -> None:
    sandbox.store.create_organization("fresh")
    assert dockyard(sandbox, "GET", target).status == 200
    sandbox.set(dockyard=False)
    assert dockyard(sandbox, "GET", target).status == 404
