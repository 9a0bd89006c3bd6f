"""`/v2/`: the challenge, and the check that an endpoint's health rests on."""

from __future__ import annotations

import json

import pytest

from tests.contract.conftest import Start
from tests.contract.http import Door, asked, bad_signatures, refused, silent
from tests.credentials import ACCESS_ID, ACCESS_KEY, LOGIN_KEY, SECRET_KEY, WRONG_SECRET, basic
from tests.running import RunningSandbox

TOKENS = "/swr/auth/v2/registry/auth"


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_without_credentials_there_is_a_basic_challenge(
    door: Door, swr: RunningSandbox, method: str, path: str
) -> None:
    with silent(swr):
        answer = door.ask(method, path, authorization=None)
    assert answer.status == 401
    assert answer.headers.get_all("WWW-Authenticate") == ['Basic realm="harbor-swr-adapter"']
    assert answer.header("Docker-Distribution-Api-Version") == "registry/2.0"


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(SECRET_KEY, id="SK"),
        pytest.param(LOGIN_KEY, id="login key"),
        pytest.param(LOGIN_KEY.upper(), id="login key in capitals"),
        pytest.param(f" {SECRET_KEY}\n", id="SK with blanks around"),
    ],
)
def test_both_kinds_of_secret_work(door: Door, swr: RunningSandbox, secret: str) -> None:
    answer = door.ask("GET", "/v2/", authorization=basic(secret=secret))
    assert answer.status == 200, answer.body
    assert answer.header("Docker-Distribution-Api-Version") == "registry/2.0"
    assert asked(swr, "GET", TOKENS)
    assert bool(asked(swr, "GET", "/v2/manage/namespaces")) == (SECRET_KEY in secret)


def test_a_wrong_secret_is_refused_with_the_reason(door: Door, number: int) -> None:
    answer = door.ask("GET", "/v2/", authorization=basic(secret=f"{WRONG_SECRET}{number}"))
    refused(answer, 401, "rejected the credentials", "check the AK", code="UNAUTHORIZED")
    assert answer.header("WWW-Authenticate").startswith("Basic ")
    assert answer.error["detail"]["swr_code"] == "DENIED"


def test_an_access_key_that_swr_does_not_know(door: Door, number: int) -> None:
    answer = door.ask("GET", "/v2/", authorization=basic(f"eu-de@{ACCESS_KEY}{number}"))
    refused(answer, 401, "rejected the credentials")


@pytest.mark.parametrize(
    ("authorization", "words"),
    [
        pytest.param(basic("mars-1@" + ACCESS_KEY), ("mars-1", "unknown", "eu-de"), id="unknown region"),
        pytest.param(basic("mars-1_team@" + ACCESS_KEY), ("mars-1_team", "'mars-1'"), id="unknown region of a project"),
        pytest.param(basic(ACCESS_KEY), ("<regional project name>@<AK>",), id="no project"),
        pytest.param(basic("@" + ACCESS_KEY), ("<regional project name>@<AK>",), id="empty project"),
        pytest.param(basic("eu-de@"), ("<regional project name>@<AK>",), id="no access key"),
        pytest.param(basic("eu-de@A K"), ("<regional project name>@<AK>",), id="blank in the access key"),
        pytest.param(basic("eu-de@ÄÖÜ"), ("<regional project name>@<AK>",), id="letters that no access key has"),
        pytest.param(basic("eu-de/../x@" + ACCESS_KEY), ("<regional project name>@<AK>",), id="traversal"),
        pytest.param(basic("", ""), ("no credentials", "<regional project name>@<AK>"), id="nothing entered"),
        pytest.param(basic(ACCESS_ID, ""), ("secret is empty",), id="no secret"),
        pytest.param(basic(ACCESS_ID, "   "), ("secret is empty",), id="blank secret"),
        pytest.param("Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", ("not HTTP Basic",), id="Bearer"),
        pytest.param("Basic !!!not-base64!!!", ("not HTTP Basic",), id="no base64"),
        pytest.param("Basic /////w==", ("not HTTP Basic",), id="no UTF-8"),
        pytest.param("Basic", ("no credentials",), id="scheme alone"),
        pytest.param("Digest username=x", ("not HTTP Basic",), id="Digest"),
        pytest.param("§§§", ("not HTTP Basic",), id="garbage"),
    ],
)
def test_credentials_without_form_never_reach_swr(
    door: Door, swr: RunningSandbox, authorization: str, words: tuple[str, ...]
) -> None:
    with silent(swr):
        answer = door.ask("GET", "/v2/", authorization=authorization)
    refused(answer, {400, 401}, *words)
    assert answer.header("WWW-Authenticate").startswith("Basic ")


def test_an_error_is_not_escaped_to_ascii(door: Door) -> None:
    answer = door.ask("GET", "/v2/", authorization=basic(ACCESS_KEY))
    assert b"eu-de@AK..." in answer.body


def test_ten_wrong_secrets_in_a_row_cost_swr_little(door: Door, swr: RunningSandbox, number: int) -> None:
    wrong = basic(secret=f"{WRONG_SECRET}{number}")
    statuses = {door.ask("GET", "/v2/", authorization=wrong).status for _ in range(10)}
    assert statuses == {401}
    assert len(asked(swr)) < 5


def test_a_wrong_secret_is_never_used_to_sign(door: Door, swr: RunningSandbox, number: int) -> None:
    for path in ("/v2/", "/api/v2.0/labels", "/api/v2.0/projects", "/v2/team/app/manifests/v1"):
        door.ask("GET", path, authorization=basic(secret=f"{WRONG_SECRET}{number}.{len(path)}"))
    body = json.dumps({"project_name": f"new{number}"}).encode()
    door.ask("POST", "/api/v2.0/projects", body, authorization=basic(secret=f"{WRONG_SECRET}{number}.post"))
    assert asked(swr, "", "/v2/manage") == []
    assert bad_signatures(swr) == {"count": 0, "locked": []}


def test_a_right_secret_works_at_once_after_a_wrong_one(door: Door, number: int) -> None:
    assert door.ask("GET", "/v2/", authorization=basic(secret=f"{WRONG_SECRET}{number}")).status == 401
    assert door.ask("GET", "/v2/").status == 200


def test_a_wrong_secret_is_refused_though_the_right_one_just_worked(door: Door, number: int) -> None:
    assert door.ask("GET", "/v2/").status == 200
    assert door.ask("GET", "/v2/", authorization=basic(secret=f"{WRONG_SECRET}{number}")).status == 401


def test_healthy_only_when_swr_says_so_now(door: Door, swr: RunningSandbox) -> None:
    assert door.ask("GET", "/v2/").status == 200
    swr.faults({"origin": "registry", "status": 500, "times": 0, "body": "broken"})
    refused(door.ask("GET", "/v2/"), {502, 503, 504}, "SWR")
    swr.faults()
    assert door.ask("GET", "/v2/").status == 200


def test_each_check_asks_swr(door: Door, swr: RunningSandbox) -> None:
    for count in (1, 2, 3):
        assert door.ask("GET", "/v2/").status == 200
        assert len(asked(swr, "GET", TOKENS)) == count


@pytest.mark.parametrize("origin", ["registry", "api"])
@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"cut_after_bytes": 0}])
def test_what_passes_is_tried_again(door: Door, swr: RunningSandbox, origin: str, fault: dict[str, object]) -> None:
    swr.faults({"origin": origin, "times": 1, **fault})
    assert door.ask("GET", "/v2/").status == 200
    assert any(entry["fault"] for entry in swr.journal())


def test_an_answer_that_is_no_swr_is_not_healthy(door: Door, swr: RunningSandbox) -> None:
    swr.faults({"origin": "registry", "status": 200, "body": "<html>a portal</html>", "times": 0})
    refused(door.ask("GET", "/v2/"), 502, "token", "check the `registry`")


def test_a_locked_access_key_is_not_healthy(start: Start, swr: RunningSandbox) -> None:
    body = {"error_code": "APIG.0301", "error_msg": "AK access failed to reach the limit,forbidden", "request_id": "r"}
    swr.faults({"origin": "api", "status": 401, "body": body, "times": 0})
    refused(Door(start().contract).ask("GET", "/v2/"), {401, 403}, "locked", "wait")


def test_a_wrong_clock_is_told(start: Start, swr: RunningSandbox) -> None:
    body = {"error_code": "APIG.0301", "error_msg": "signature expired", "request_id": "r-17"}
    swr.faults({"origin": "api", "status": 401, "body": body, "times": 0})
    answer = refused(Door(start().contract).ask("GET", "/v2/"), 401, "clock")
    assert answer.error["detail"]["swr_request_id"] == "r-17"


def test_who_may_not_list_organizations_is_healthy(door: Door, swr: RunningSandbox) -> None:
    body = [{"errorCode": "SVCSTG.SWR.4039002", "errorMessage": "no permission", "detail": ""}]
    swr.faults({"origin": "api", "status": 403, "body": body, "times": 0})
    assert door.ask("GET", "/v2/").status == 200
