"""Organizations: created for Harbor exactly once, and listed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote

import pytest

from adapter.credentials import parse_credentials
from adapter.errors import OrganizationExists
from adapter.state.singleflight import SingleFlight
from adapter.swr.client import region_table
from adapter.swr.models import Organization
from adapter.swr.organizations import Organizations
from tests.contract.http import Door, asked, read_answer, refused
from tests.contract.listing import create, names, projects, walk
from tests.credentials import ACCESS_ID, ACCESS_KEY, SECRET_KEY
from tests.running import OTHER_TENANT, TENANT, RunningSandbox

CREATION = "/v2/manage/namespaces"


class TestCreation:
    def test_missing_organization_is_created_and_can_be_pushed_to(
        self, door: Door, swr: RunningSandbox, name: str
    ) -> None:
        answer = create(door, name)
        assert (answer.status, answer.header("Location")) == (201, f"/api/v2.0/projects/{name}")
        organization = swr.store.organization(name)
        assert organization is not None
        assert organization.tenant == TENANT
        assert len(asked(swr, "POST")) == 1
        refused(create(door, name), 409, name, "exists", code="CONFLICT")
        assert swr.store.has_blob(f"{name}/app", door.push(f"{name}/app", b"layer"))

    def test_concurrent_requests_send_one_post(self, door: Door, swr: RunningSandbox, name: str) -> None:
        together = threading.Barrier(20)

        def send(_: int) -> int:
            together.wait()
            return create(door, name).status

        with ThreadPoolExecutor(20) as pool:
            assert sorted(pool.map(send, range(20))) == [201, *[409] * 19]
        assert len(asked(swr, "POST", CREATION)) == 1

    def test_request_between_end_and_result_of_a_creation_sends_no_second_post(self) -> None:
        management = Mock()
        management.organizations.return_value = [Organization("late", 7)]
        organizations = Organizations(Mock(), management, Mock(), may_create=True)
        organizations._flights = FlightWithGap(lambda: second())
        credentials = parse_credentials(ACCESS_ID, SECRET_KEY, region_table({}))

        def second() -> None:
            with contextlib.suppress(OrganizationExists):
                organizations.create(credentials, "late")

        organizations.create(credentials, "late")
        management.create_organization.assert_called_once()

    def test_chunked_body(self, door: Door, swr: RunningSandbox, name: str) -> None:
        answer = door.ask("POST", "/api/v2.0/projects", iter([b'{"project_name": ', f'"{name}"}}'.encode()]))
        assert answer.status == 201
        assert swr.store.organization(name) is not None

    @pytest.mark.parametrize(("status", "statuses", "posts"), [(503, {201}, 2), (500, {502, 503}, 1)])
    def test_only_a_throttled_creation_is_retried(
        self, door: Door, swr: RunningSandbox, name: str, status: int, statuses: set[int], posts: int
    ) -> None:
        swr.faults({"origin": "api", "method": "POST", "status": status, "body": "?"})
        assert create(door, name).status in statuses
        assert len(asked(swr, "POST", CREATION)) == posts

    def test_wrong_secret_is_rejected_before_the_body_is_read(self, door: Door, wrong: str) -> None:
        client = Door(door.url, wrong)
        with client.open(5) as connection:
            connection.sendall(client.head("POST", "/api/v2.0/projects", "Content-Length: 65000"))
            refused(read_answer(connection), 401, "rejected the credentials")


class FlightWithGap(SingleFlight[None]):
    """Calls `meanwhile` once, after a call has ended and before its result is known."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile: Callable[[], None] | None = meanwhile

    def do(self, key: Hashable, function: Callable[[], None], *, timeout: float) -> tuple[None, bool]:
        outcome = super().do(key, function, timeout=timeout)
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return outcome


class TestLoginKeyAlone:
    def test_dockyard_creates_it(self, key_door: Door, swr: RunningSandbox, name: str) -> None:
        assert create(key_door, name).status == 201
        assert swr.store.organization(name) is not None
        assert len(asked(swr, "POST", "/dockyard/v2/namespaces")) == 1
        assert asked(swr, "", "/v2/manage") == []

    def test_without_dockyard_creation_and_the_whole_list_need_the_sk(
        self, key_door: Door, swr: RunningSandbox, name: str
    ) -> None:
        assert names(projects(key_door, "name=")) == ["team"]
        swr.reset(dockyard=False)
        refused(create(key_door, name), 403, name, "login key alone", "enter the SK as Access Secret")
        refused(projects(key_door, "name="), 403, "login key alone", "enter the SK")

    @pytest.mark.parametrize("dockyard", [True, False])
    def test_named_organizations_are_listed(
        self, key_door: Door, swr: RunningSandbox, name: str, dockyard: bool
    ) -> None:
        swr.reset(dockyard=dockyard)
        swr.store.create_organization(name, TENANT)
        assert names(projects(key_door, f"q={quote(f'name={{{name!r} {name + chr(97)!r}}}')}")) == [name]


class TestListing:
    @pytest.fixture(autouse=True)
    def organizations(self, swr: RunningSandbox) -> None:
        for name in ("a", "ab", "b"):
            swr.store.create_organization(name, TENANT)
        swr.store.create_organization("foreign", OTHER_TENANT)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            pytest.param("name={'a' 'b'}", ["a", "b"], id="from 2.13"),
            pytest.param("name={'a b'}", ["a", "b"], id="up to 2.12"),
            pytest.param("name={'b' 'missing' 'foreign'}", ["b"], id="missing and foreign"),
            pytest.param("name={}", [], id="empty"),
            pytest.param("name=a", ["a"], id="exact"),
            pytest.param("name=~a", ["a", "ab", "team"], id="fuzzy"),
            pytest.param("public=true,name={'a'}", ["a"], id="with other terms"),
        ],
    )
    def test_query(self, door: Door, query: str, found: list[str]) -> None:
        assert names(projects(door, f"q={quote(query)}&with_detail=false")) == found

    def test_by_name(self, door: Door) -> None:
        assert "a" in names(projects(door, "name=a"))
        assert names(projects(door, "name=")) == ["a", "ab", "b", "team"]

    @pytest.mark.parametrize("name", ["missing", "foreign", "te", "TEAM", "%25", "team%2Fapp"])
    def test_missing_organization_of_a_pull_rule_is_an_error(self, door: Door, swr: RunningSandbox, name: str) -> None:
        """An empty list, or one of other names, would end the execution as a success with nothing copied."""
        refused(projects(door, f"name={name}"), 404, "does not exist in SWR", "source resource filter")
        assert len(asked(swr, "GET", CREATION)) == 1
        # Patterns, and the look-up before a push, which creates what is missing.
        assert projects(door, f"q=name%3D~{name}").status == 200
        assert names(projects(door, f"q=name%3D%7B%27{name}%27%7D")) == []
        assert swr.store.organization("missing") is None

    def test_many_names_cost_two_requests(self, door: Door, swr: RunningSandbox) -> None:
        door.ask("GET", "/v2/")
        before = len(swr.journal())
        projects(door, f"q={quote('name={' + ' '.join(f'x{count}' for count in range(30)) + '}')}")
        assert len(swr.journal()) - before <= 2

    def test_read_only_organization_is_an_error_before_a_push(self, door: Door, swr: RunningSandbox) -> None:
        swr.store.create_organization("readable", OTHER_TENANT, auth={ACCESS_KEY: 1})
        refused(projects(door, "q=name%3D%7B%27readable%27%7D"), 403, "readable", "read-only", "permission")
        assert names(projects(door, "name=readable")) == ["readable"]


class TestPages:
    @pytest.fixture(autouse=True)
    def organizations(self, swr: RunningSandbox) -> list[str]:
        swr.set_knobs(organizations=0)
        found = [f"o{number:02}" for number in range(25)]
        for name in found:
            swr.store.create_organization(name, TENANT)
        return found

    def test_all_pages_cost_one_request(self, door: Door, swr: RunningSandbox, organizations: list[str]) -> None:
        for query in ("name=", "q=name%3D~o", f"q={quote('name={' + ' '.join(organizations) + '}')}"):
            before = len(asked(swr, "GET", CREATION))
            found: list[Any] = walk(door, f"/api/v2.0/projects?page_size=4&{query}")
            assert [each["name"] for each in found] == [*organizations, *(["team"] if query == "name=" else [])]
            assert len(asked(swr, "GET", CREATION)) - before == 1
        swr.store.create_organization("new", TENANT)
        assert "new" in names(projects(door, "page_size=4&name="))
