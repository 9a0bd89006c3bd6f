"""What Harbor requests before anything else: `/v2/`, on which the health of an endpoint depends, version and labels."""

from __future__ import annotations

import json

import pytest

from tests.contract.conftest import Start
from tests.contract.http import Door, asked, bad_signatures, refused, silent
from tests.credentials import ACCESS_ID, ACCESS_KEY, LOGIN_KEY, PROJECT, SECRET_KEY, basic
from tests.running import RunningSandbox
from tests.services import free_ports

TOKENS = "/swr/auth/v2/registry/auth"
LABELS = "/api/v2.0/labels?scope=g"
FORM = "<regional project name>@<AK>"


class TestCheck:
    @pytest.mark.parametrize("path", ["/v2/", "/v2"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_without_credentials_there_is_a_basic_challenge(
        self, door: Door, swr: RunningSandbox, method: str, path: str
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
            pytest.param(LOGIN_KEY.upper(), id="login key in upper case"),
            pytest.param(f" {SECRET_KEY}\n", id="SK between blanks"),
        ],
    )
    def test_sk_and_login_key_work_and_each_check_reaches_swr(
        self, door: Door, swr: RunningSandbox, secret: str
    ) -> None:
        for count in (1, 2):
            answer = door.ask("GET", "/v2/", authorization=basic(secret=secret))
            assert answer.status == 200, answer.body
            assert len(asked(swr, "GET", TOKENS)) == count
        assert answer.header("Docker-Distribution-Api-Version") == "registry/2.0"
        assert bool(asked(swr, "GET", "/v2/manage/namespaces")) == (SECRET_KEY in secret)

    @pytest.mark.parametrize(
        ("authorization", "words"),
        [
            pytest.param(basic("mars-1@" + ACCESS_KEY), ("mars-1", "unknown", "eu-de"), id="unknown region"),
            pytest.param(basic("mars-1_team@" + ACCESS_KEY), ("mars-1_team", "'mars-1'"), id="project of it"),
            pytest.param(basic(ACCESS_KEY), (FORM, "eu-de@AK..."), id="no project"),
            pytest.param(basic("eu-de@"), (FORM,), id="no access key"),
            pytest.param(basic("eu-de@ÄÖÜ"), (FORM,), id="invalid access key"),
            pytest.param(basic("eu-de/../x@" + ACCESS_KEY), (FORM,), id="traversal"),
            pytest.param(basic("", ""), ("no credentials", FORM), id="empty"),
            pytest.param(basic(ACCESS_ID, "   "), ("secret is empty",), id="blank secret"),
            pytest.param("Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", ("use HTTP Basic",), id="Bearer"),
            pytest.param("Basic !!!not-base64!!!", ("use HTTP Basic",), id="not base64"),
            pytest.param("Basic /////w==", ("use HTTP Basic",), id="not UTF-8"),
            pytest.param("Basic", ("no credentials",), id="only the scheme"),
            pytest.param("§§§", ("use HTTP Basic",), id="garbage"),
        ],
    )
    def test_malformed_credentials_never_reach_swr(
        self, door: Door, swr: RunningSandbox, authorization: str, words: tuple[str, ...]
    ) -> None:
        with silent(swr):
            answer = refused(door.ask("GET", "/v2/", authorization=authorization), {400, 401}, *words)
        assert answer.header("WWW-Authenticate").startswith("Basic ")

    @pytest.mark.parametrize("origin", ["registry", "api"])
    @pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"cut_after_bytes": 0}])
    def test_transient_errors_are_retried(
        self, door: Door, swr: RunningSandbox, origin: str, fault: dict[str, object]
    ) -> None:
        swr.faults({"origin": origin, "times": 1, **fault})
        assert door.ask("GET", "/v2/").status == 200
        assert any(entry["fault"] for entry in swr.journal())

    @pytest.mark.parametrize(
        ("status", "body", "words"),
        [(500, "broken", ("SWR",)), (200, "<html>a portal</html>", ("token", "check the `registry`"))],
    )
    def test_healthy_only_while_swr_responds(
        self, door: Door, swr: RunningSandbox, status: int, body: str, words: tuple[str, ...]
    ) -> None:
        assert door.ask("GET", "/v2/").status == 200
        swr.faults({"origin": "registry", "status": status, "times": 0, "body": body})
        refused(door.ask("GET", "/v2/"), {502, 503, 504}, *words)
        swr.faults()
        assert door.ask("GET", "/v2/").status == 200

    @pytest.mark.parametrize(
        ("message", "statuses", "words"),
        [
            ("AK access failed to reach the limit,forbidden", {401, 403}, ("locked", "wait")),
            ("signature expired", {401}, ("clock",)),
        ],
        ids=["locked access key", "wrong clock"],
    )
    def test_signature_errors(
        self, start: Start, swr: RunningSandbox, message: str, statuses: set[int], words: tuple[str, ...]
    ) -> None:
        body = {"error_code": "APIG.0301", "error_msg": message, "request_id": "r-17"}
        swr.faults({"origin": "api", "status": 401, "body": body, "times": 0})
        answer = refused(Door(start().contract).ask("GET", "/v2/"), statuses, *words)
        assert answer.error["detail"]["swr_request_id"] == "r-17"

    def test_no_permission_to_list_organizations_is_healthy(self, door: Door, swr: RunningSandbox) -> None:
        body = [{"errorCode": "SVCSTG.SWR.4039002", "errorMessage": "no permission", "detail": ""}]
        swr.faults({"origin": "api", "status": 403, "body": body, "times": 0})
        assert door.ask("GET", "/v2/").status == 200


class TestWrongSecret:
    def test_error_has_the_reason(self, door: Door, wrong: str, number: int) -> None:
        answer = refused(door.ask("GET", "/v2/", authorization=wrong), 401, "check the AK", code="UNAUTHORIZED")
        assert answer.header("WWW-Authenticate").startswith("Basic ")
        assert answer.error["detail"]["swr_code"] == "DENIED"
        for path in (LABELS, "/api/v2.0/projects?q=name%3D%7B%27a%27%7D"):
            answer = door.ask("GET", path, authorization=wrong)
            refused(answer, 401, "rejected the credentials", "login key", code="UNAUTHORIZED")
        unknown = basic(f"eu-de@{ACCESS_KEY}{number}")
        refused(door.ask("GET", "/v2/", authorization=unknown), 401, "rejected the credentials")

    def test_repeated_checks_cost_few_requests(self, door: Door, swr: RunningSandbox, wrong: str) -> None:
        assert {door.ask("GET", "/v2/", authorization=wrong).status for _ in range(10)} == {401}
        assert len(asked(swr)) < 5

    def test_is_never_used_to_sign(self, door: Door, swr: RunningSandbox, wrong: str, number: int) -> None:
        for path in ("/v2/", "/api/v2.0/labels", "/api/v2.0/projects", "/v2/team/app/manifests/v1"):
            door.ask("GET", path, authorization=basic(secret=f"wrong {number} {path}"))
        door.ask("POST", "/api/v2.0/projects", json.dumps({"project_name": "new"}).encode(), authorization=wrong)
        assert asked(swr, "", "/v2/manage") == []
        assert bad_signatures(swr) == {"count": 0, "locked": []}

    def test_does_not_affect_the_right_secret(self, door: Door, wrong: str) -> None:
        for authorization, status in (("", 200), (wrong, 401), ("", 200), (wrong, 401)):
            assert door.ask("GET", "/v2/", authorization=authorization).status == status


class TestVersionPingHealth:
    def test_version_of_a_harbor_2(self, door: Door, swr: RunningSandbox) -> None:
        with silent(swr):
            answer = door.ask("GET", "/api/version")
        assert (answer.status, answer.json) == (200, {"version": "v2.0"})

    @pytest.mark.parametrize("authorization", [None, basic("", ""), "Bearer abc", "Basic ???", basic("no-at", "x")])
    def test_version_without_credentials_is_400_and_not_401(
        self, door: Door, swr: RunningSandbox, authorization: str | None
    ) -> None:
        with silent(swr):
            answer = door.ask("GET", "/api/version", authorization=authorization)
        refused(answer, 400, FORM, code="UNAUTHORIZED")

    @pytest.mark.parametrize("path", ["/api/v2.0/ping", "/api/v2.0/health"])
    def test_ping_and_health_need_no_credentials(self, door: Door, swr: RunningSandbox, path: str) -> None:
        with silent(swr):
            assert door.ask("GET", path, authorization=None).status == 200


class TestLabels:
    def test_empty_list_even_if_the_registry_fails(self, door: Door, swr: RunningSandbox) -> None:
        answer = door.ask("GET", LABELS)
        assert (answer.status, answer.json) == (200, [])
        swr.faults({"origin": "registry", "status": 501, "times": 0})
        answer = door.ask("GET", LABELS, authorization=basic(f"{PROJECT}_team@{ACCESS_KEY}"))
        assert (answer.status, answer.json) == (200, [])
        assert asked(swr, "GET", "/registry/auth")

    def test_outage_of_the_management_api_alone(self, door: Door, swr: RunningSandbox) -> None:
        """Manifests and blobs work without it, so the endpoint stays healthy; a run fails with the reason."""
        assert door.ask("GET", "/v2/").status == 200
        # A status that is not retried.
        swr.faults({"origin": "api", "status": 501, "times": 0})
        assert door.ask("GET", LABELS).json == []
        assert door.ask("GET", "/v2/").status == 200
        for path in (LABELS, "/api/v2.0/projects?q=name%3D%7B%27team%27%7D"):
            refused(door.ask("GET", path), {502, 503}, "SWR")
        for path in ("/v2/", LABELS):
            assert door.ask("GET", path, authorization=basic(secret=LOGIN_KEY)).status == 200
        swr.faults()
        assert door.ask("GET", LABELS).json == []
        before = len(asked(swr, "GET", "/v2/manage"))
        assert door.ask("GET", LABELS).json == []
        assert len(asked(swr, "GET", "/v2/manage")) == before


def test_unreachable_swr_is_reported_in_time_and_labels_do_not_wait(start: Start) -> None:
    (port,) = free_ports(1)
    nowhere = f"http://127.0.0.1:{port}"
    door = Door(start({PROJECT: {"registry": nowhere, "api": nowhere}}).contract)
    refused(door.ask("GET", "/v2/", timeout=13), {502, 503, 504}, "127.0.0.1", "connection refused")
    answer = door.ask("GET", LABELS, timeout=13)
    assert (answer.status, answer.json) == (200, [])
