"""Lists that a client may not see, or that SWR does not send completely."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.http import Door, asked, digest_of, refused
from tests.contract.listing import PROJECTS, manifest, names, of, projects, seed, walk
from tests.running import OTHER_TENANT, RunningSandbox


class TestPermissions:
    def test_missing_organization_or_repository(self, door: Door, key_door: Door) -> None:
        """403 for an organization, because an empty list of SWR may also mean a lost permission."""
        for client in (door, key_door):
            answer = client.ask("GET", "/api/v2.0/projects/missing/repositories")
            refused(answer, 403, "not found in SWR, or owned by another account", code="DENIED")
            refused(client.ask("GET", of("missing/app")), 404)
            refused(client.ask("GET", of("team/missing")), 404)

    def test_lists_of_another_tenant_are_invisible_while_it_lists_them(
        self, door: Door, key_door: Door, other_door: Door, swr: RunningSandbox
    ) -> None:
        swr.set_knobs(organizations=0)
        swr.store.create_organization("others", OTHER_TENANT)
        theirs = [seed(swr, "others/secret", f"v{number}", data=manifest(number)) for number in range(12)]
        targets = ["/api/v2.0/projects/others/repositories", f"{of('others/secret')}?page_size=5"]
        targets += [f"{of('others/secret')}?page=2&page_size=5", f"{of('others/secret')}/{theirs[0]}"]

        def check(number: int) -> None:
            target = targets[number % len(targets)]
            answer = other_door.ask("GET", target)
            assert answer.status == 200, answer
            assert answer.json
            for client in (door, key_door):
                refused(client.ask("GET", target), {403, 404})

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(check, range(24)))
        refused(projects(door, "name=others"), 404)
        assert projects(door, "q=name%3Dothers").json == []

    def test_login_key_lists_by_dockyard(self, key_door: Door, swr: RunningSandbox) -> None:
        seed(swr, "team/a/b", "v1", "v2")
        assert names(key_door.ask("GET", PROJECTS)) == ["team/a/b"]
        artifacts = walk(key_door, f"{of('team/a/b')}?page_size=1")
        found = [(each["digest"], [tag["name"] for tag in each["tags"]]) for each in artifacts]
        assert found == [("", ["v1"]), ("", ["v2"])]
        assert not asked(swr, path="/v2/manage/")
        assert not asked(swr, path="/manifests/")
        single = key_door.ask("GET", f"{of('team/a/b')}/v1").json
        assert (single["digest"], [tag["name"] for tag in single["tags"]]) == (digest_of(manifest()), ["v1"])
        swr.set_knobs(dockyard=False)
        refused(key_door.ask("GET", PROJECTS), 403, "login key alone", "enter the SK")
        assert [each["tags"][0]["name"] for each in walk(key_door, of("team/a/b"))] == ["v1", "v2"]


class TestIncompleteLists:
    """`tests/swr/test_pagination.py` has malformed and changing lists."""

    @pytest.mark.parametrize(
        "body",
        [
            "<html>404 Not Found</html>",
            {"error_code": "APIG.0101", "error_msg": "The API does not exist", "request_id": "r"},
            [{"errorCode": "SVCSTG.SWR.4040083", "errorMessage": "The URL does not exist", "detail": ""}],
        ],
        ids=["web page", "gateway", "unknown URL"],
    )
    def test_management_api_at_another_address_is_no_empty_list(
        self, door: Door, swr: RunningSandbox, body: object
    ) -> None:
        digest = seed(swr, "team/app", "v1")
        swr.faults({"origin": "api", "path": "/v2/manage", "status": 404, "body": body, "times": 0})
        # The token endpoint has accepted the credentials.
        assert door.ask("GET", "/v2/").status == 200
        for method, target in (
            ("GET", "/api/v2.0/labels?scope=g"),
            ("GET", "/api/v2.0/projects?name="),
            ("GET", PROJECTS),
            ("GET", of("team/app")),
            ("GET", "/v2/_catalog"),
            ("DELETE", f"/v2/team/app/manifests/{digest}"),
            ("DELETE", "/v2/team/app/manifests/v1"),
            ("DELETE", f"{of('team/app')}/v1/tags/v1"),
        ):
            answer = door.ask(method, target)
            refused(answer, 502, "no SWR management API", "`api` of eu-de in SWR_ADAPTER_REGIONS")
        assert swr.store.tags("team/app")

    @pytest.mark.parametrize("target", [PROJECTS, of("team/r1"), "/v2/_catalog", "/v2/team/r1/tags/list"])
    @pytest.mark.parametrize("client", ["door", "key_door"])
    def test_missing_later_pages_are_an_error(
        self, request: pytest.FixtureRequest, swr: RunningSandbox, target: str, client: str
    ) -> None:
        swr.set_knobs(later_pages="404", page_cap=2, tags_page=2)
        for repository in ("team/r0", "team/r1", "team/r2"):
            seed(swr, repository, "v1", "v2", "v3")
        answer = refused(request.getfixturevalue(client).ask("GET", target), 503)
        assert (
            "is incomplete (2 of 3 announced entries)" in answer.message or "broke off after 2 tags" in answer.message
        )
        assert answer.header("Retry-After") == "10"
