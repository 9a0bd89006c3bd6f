"""The gateway in front of the management API: signatures and locked access keys."""

from __future__ import annotations

import pytest
import requests
from requests_auth_aws_sigv4 import AWSSigV4

from tests.credentials import ACCESS_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY, WRONG_SECRET
from tests.sandbox.client import Sandbox, call, seed, sign


def test_request_without_credentials_is_rejected(sandbox: Sandbox) -> None:
    answer = call(sandbox.api, "GET", "/v2/manage/namespaces")
    assert (answer.status, answer.code) == (401, "SVCSTG.S2I.4019000")
    answer = call(sandbox.api, "GET", "/v2/manage/namespaces", {"X-Auth-Token": "x"})
    assert (answer.status, answer.code) == (401, "SVCSTG.SWR.4010000")


@pytest.mark.parametrize(
    "signing", [{"secret_key": WRONG_SECRET}, {"access_key": "AKNOBODY"}, {"minutes": 16}, {"minutes": -16}]
)
def test_gateway_rejects_invalid_signatures(sandbox: Sandbox, signing: dict[str, object]) -> None:
    answer = sandbox.manage("GET", "namespaces", **signing)
    assert (answer.status, answer.code) == (401, "APIGW.0301")
    assert set(answer.json) == {"error_msg", "error_code", "request_id"}


@pytest.mark.parametrize("minutes", [14, -14])
def test_clock_skew_is_a_knob(sandbox: Sandbox, minutes: int) -> None:
    assert sandbox.manage("GET", "namespaces", minutes=minutes).status == 200
    sandbox.set(clock_skew_seconds=60)
    assert sandbox.manage("GET", "namespaces", minutes=minutes).status == 401


def test_signature_covers_body_and_query(sandbox: Sandbox) -> None:
    host = f"127.0.0.1:{sandbox.api}"
    headers = sign("POST", host, "/v2/manage/namespaces", b'{"namespace":"a"}')
    assert call(sandbox.api, "POST", "/v2/manage/namespaces", headers, b'{"namespace":"b"}').code == "APIGW.0301"
    headers = sign("GET", host, "/v2/manage/repos?limit=1&offset=0")
    assert call(sandbox.api, "GET", "/v2/manage/repos?limit=2&offset=0", headers).code == "APIGW.0301"
    assert sandbox.store.organizations() == []


def test_consecutive_bad_signatures_lock_the_access_key(sandbox: Sandbox) -> None:
    def bad() -> None:
        assert sandbox.manage("GET", "namespaces", secret_key=WRONG_SECRET).status == 401

    for _ in range(4):
        bad()
    assert sandbox.manage("GET", "namespaces").status == 200, "four are forgiven, and a good one starts anew"
    for _ in range(5):
        bad()
    locked = sandbox.manage("GET", "namespaces")
    assert (locked.status, locked.code) == (401, "APIGW.0301")
    assert "AK access failed to reach the limit,forbidden" in locked.json["error_msg"]
    assert sandbox.control("GET", "bad-signatures").json == {"count": 9, "locked": [ACCESS_KEY]}
    other = {"access_key": OTHER_ACCESS_KEY, "secret_key": OTHER_SECRET_KEY}
    assert sandbox.manage("GET", "namespaces", **other).status == 200
    assert sandbox.control("POST", "reset").status == 204
    assert sandbox.manage("GET", "namespaces").status == 200


def test_lock_is_a_knob(sandbox: Sandbox) -> None:
    sandbox.set(lockout_after=2, lockout_seconds=0)
    for _ in range(3):
        sandbox.manage("GET", "namespaces", secret_key=WRONG_SECRET)
    assert sandbox.manage("GET", "namespaces").status == 200
    sandbox.set(lockout_after=0, lockout_seconds=300)
    for _ in range(6):
        sandbox.manage("GET", "namespaces", secret_key=WRONG_SECRET)
    assert sandbox.manage("GET", "namespaces").status == 200


@pytest.mark.parametrize(("signing", "sdk", "aws4"), [("sdk", 200, 401), ("aws4", 401, 200), ("any", 200, 200)])
def test_which_signatures_are_accepted(sandbox: Sandbox, signing: str, sdk: int, aws4: int) -> None:
    seed(sandbox.store, "fresh/a/b", "v1")
    sandbox.set(signing=signing)
    assert sandbox.manage("GET", "namespaces/fresh/repos/a$b").status == sdk
    assert _aws4(sandbox, "GET", "namespaces/fresh/repos/a$b") == aws4


def _aws4(
    sandbox: Sandbox, method: str, target: str, secret: str = SECRET_KEY, region: str = "eu-de", body: str = ""
) -> int:
    auth = AWSSigV4("swr", region=region, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=secret)
    url = f"http://127.0.0.1:{sandbox.api}/v2/manage/{target}"
    return requests.request(method, url, auth=auth, data=body, timeout=20).status_code


@pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")
def test_aws4_is_checked_too(sandbox: Sandbox) -> None:
    sandbox.set(signing="aws4")
    assert _aws4(sandbox, "GET", "repos?limit=5&offset=0") == 200
    assert _aws4(sandbox, "POST", "namespaces", body='{"namespace":"fresh"}') == 201
    assert _aws4(sandbox, "GET", "repos", secret=WRONG_SECRET) == 401
    assert _aws4(sandbox, "GET", "repos", region="eu-nl") == 401
