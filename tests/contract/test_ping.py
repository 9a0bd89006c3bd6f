"""What Harbor asks before anything else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.http import Answer, Door, asked, refused, silent
from tests.credentials import ACCESS_KEY, LOGIN_KEY, PROJECT, WRONG_SECRET, basic
from tests.running import RunningSandbox, running_adapter
from tests.services import free_ports


def test_version_tells_a_harbor_2(door: Door, swr: RunningSandbox) -> None:
    with silent(swr):
        answer = door.ask("GET", "/api/version")
    assert (answer.status, answer.json) == (200, {"version": "v2.0"})


@pytest.mark.parametrize("authorization", [None, basic("", ""), "Bearer abc", "Basic ???", basic("no-at", "x")])
def test_version_without_credentials_is_400_and_not_401(
    door: Door, swr: RunningSandbox, authorization: str | None
) -> None:
    with silent(swr):
        answer = door.ask("GET", "/api/version", authorization=authorization)
    refused(answer, 400, "<regional project name>@<AK>", code="UNAUTHORIZED")


@pytest.mark.parametrize("path", ["/api/v2.0/ping", "/api/v2.0/health"])
def test_ping_and_health_need_no_credentials(door: Door, swr: RunningSandbox, path: str) -> None:
    with silent(swr):
        assert door.ask("GET", path, authorization=None).status == 200


def test_labels_are_an_empty_list(door: Door) -> None:
    answer = door.ask("GET", "/api/v2.0/labels?scope=g")
    assert (answer.status, answer.json) == (200, [])


@pytest.mark.parametrize("path", ["/api/v2.0/labels?scope=g", "/api/v2.0/projects?q=name%3D%7B%27a%27%7D"])
def test_wrong_credentials_are_told_with_the_reason(door: Door, path: str, number: int) -> None:
    answer = door.ask("GET", path, authorization=basic(secret=f"{WRONG_SECRET}{number}"))
    refused(answer, 401, "rejected the credentials", "login key", code="UNAUTHORIZED")


def test_labels_stay_empty_when_swr_answers_errors(door: Door, swr: RunningSandbox) -> None:
    swr.faults({"origin": "registry", "status": 501, "times": 0})
    answer = door.ask("GET", "/api/v2.0/labels?scope=g", authorization=basic(f"{PROJECT}_team@{ACCESS_KEY}"))
    assert (answer.status, answer.json) == (200, [])
    assert asked(swr, "GET", "/registry/auth")


class TestManagementApiAlone:
    """Manifests and blobs work without it."""

    @pytest.fixture(autouse=True)
    def away(self, swr: RunningSandbox) -> None:
        # A status that is not tried again.
        swr.faults({"origin": "api", "status": 501, "times": 0})

    def test_the_endpoint_stays_healthy_and_the_run_says_what_failed(self, door: Door, swr: RunningSandbox) -> None:
        assert door.ask("GET", "/v2/").status == 200
        for path in ("/api/v2.0/labels?scope=g", "/api/v2.0/projects?q=name%3D%7B%27team%27%7D"):
            refused(door.ask("GET", path), {502, 503}, "SWR")
        swr.faults()
        assert door.ask("GET", "/api/v2.0/labels?scope=g").json == []
        before = len(asked(swr, "GET", "/v2/manage"))
        assert door.ask("GET", "/api/v2.0/labels?scope=g").json == []
        assert len(asked(swr, "GET", "/v2/manage")) == before

    def test_labels_ask_nobody_about_an_outage_that_no_check_has_seen(self, door: Door, swr: RunningSandbox) -> None:
        swr.faults()
        assert door.ask("GET", "/v2/").status == 200
        swr.faults({"origin": "api", "status": 501, "times": 0})
        assert door.ask("GET", "/api/v2.0/labels?scope=g").json == []

    def test_with_the_login_key_alone_it_is_of_no_use(self, door: Door) -> None:
        authorization = basic(secret=LOGIN_KEY)
        for path in ("/v2/", "/api/v2.0/labels?scope=g"):
            assert door.ask("GET", path, authorization=authorization).status == 200


Outage = Mapping[str, tuple[Answer | None, float]]


@pytest.fixture(scope="module")
def outage(sandbox: RunningSandbox, regions: dict[str, dict[str, str]]) -> Outage:
    """Answers, and how long each took, while nothing listens (`closed`) or nothing answers (`mute`): all at once,
    because each takes as long as the adapter tries. None: no answer within 13 s."""
    (port,) = free_ports(1)
    nowhere = {PROJECT: {"registry": f"http://127.0.0.1:{port}", "api": f"http://127.0.0.1:{port}"}}
    sandbox.reset()

    def timed(url: str, path: str) -> tuple[Answer | None, float]:
        began, answer = time.monotonic(), None
        with contextlib.suppress(TimeoutError):
            answer = Door(url).ask("GET", path, timeout=13)
        return answer, time.monotonic() - began

    with running_adapter(nowhere, grace_period=1) as closed, running_adapter(regions, grace_period=1) as mute:
        sandbox.faults({"origin": "registry", "delay": 9, "times": 0})
        wanted = {"closed": (closed, "/v2/"), "mute": (mute, "/v2/"), "labels": (closed, "/api/v2.0/labels?scope=g")}
        with ThreadPoolExecutor(len(wanted)) as pool:
            futures = {name: pool.submit(timed, adapter.contract, path) for name, (adapter, path) in wanted.items()}
        sandbox.reset()
        assert "Traceback" not in closed.service.output + mute.service.output
    return {name: future.result() for name, future in futures.items()}


@pytest.mark.parametrize(("where", "words"), [("closed", "refuses the connection"), ("mute", "did not answer")])
def test_swr_out_of_reach_is_not_healthy_and_told_in_time(outage: Outage, where: str, words: str) -> None:
    answer, _ = outage[where]
    refused(answer, {502, 503, 504}, "127.0.0.1", words)


def test_labels_do_not_wait_for_an_swr_out_of_reach(outage: Outage) -> None:
    answer, took = outage["labels"]
    assert answer is not None, f"no answer after {took:.0f} s"
    assert (answer.status, answer.json) == (200, [])
