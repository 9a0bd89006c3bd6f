"""Organizations: made for Harbor exactly once, and listed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests.contract.http import Answer, Door, asked, digest_of, read_answer, refused, silent
from tests.contract.organizations import create, listed, names_in
from tests.credentials import ACCESS_KEY, LOGIN_KEY, WRONG_SECRET, basic
from tests.running import OTHER_TENANT, TENANT, RunningSandbox

CREATION = "/v2/manage/namespaces"


@pytest.fixture
def name(number: int) -> str:
    """An organization that no other test has asked for."""
    return f"new{number}"


class TestCreation:
    def test_a_missing_one_is_made_with_one_post(self, door: Door, swr: RunningSandbox, name: str) -> None:
        answer = create(door, name)
        assert answer.status == 201
        assert answer.header("Location") == f"/api/v2.0/projects/{name}"
        organization = swr.store.organization(name)
        assert organization is not None
        assert organization.tenant == TENANT
        assert len(asked(swr, "POST")) == 1

    def test_one_that_is_there_is_409(self, door: Door, name: str) -> None:
        assert create(door, name).status == 201
        refused(create(door, name), 409, name, "exists", code="CONFLICT")

    def test_one_that_was_there_before_is_409(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.store.create_organization(name, TENANT)
        refused(create(door, name), 409, name, "exists")

    def test_however_many_ask_at_once_swr_gets_one_post(self, door: Door, swr: RunningSandbox, name: str) -> None:
        together = threading.Barrier(20)

        def ask() -> int:
            together.wait()
            return create(door, name).status

        with ThreadPoolExecutor(20) as pool:
            statuses = sorted(future.result() for future in [pool.submit(ask) for _ in range(20)])
        assert statuses == [201, *[409] * 19]
        assert len(asked(swr, "POST", CREATION)) == 1

    def test_a_chunked_body_is_read_too(self, door: Door, swr: RunningSandbox, name: str) -> None:
        answer = door.ask("POST", "/api/v2.0/projects", iter([b'{"project_name": ', f'"{name}"}}'.encode()]))
        assert answer.status == 201
        assert swr.store.organization(name) is not None

    def test_any_success_of_swr_is_success(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.reset(create_status="200")
        assert create(door, name).status == 201

    def test_a_throttled_creation_is_tried_again(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.faults({"origin": "api", "method": "POST", "status": 503})
        assert create(door, name).status == 201
        assert len(asked(swr, "POST", CREATION)) == 2

    def test_a_creation_that_broke_is_not_tried_again(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.faults({"origin": "api", "method": "POST", "status": 500, "body": "?"})
        refused(create(door, name), {502, 503}, "SWR")
        assert len(asked(swr, "POST", CREATION)) == 1

    def test_a_stranger_is_refused_before_anything_is_read(self, door: Door, number: int) -> None:
        """No byte of the announced body comes."""
        wrong = Door(door.url, basic(secret=f"{WRONG_SECRET}-{number}"))
        with wrong.open(5) as connection:
            connection.sendall(wrong.head("POST", "/api/v2.0/projects", "Content-Length: 65000"))
            refused(read_answer(connection), 401, "rejected the credentials")

    def test_a_body_of_no_use_costs_no_creation(self, door: Door, swr: RunningSandbox) -> None:
        for body in (b"{", b"[]", b'{"project_name": 7}', b'{"project_name": "A B"}'):
            refused(door.ask("POST", "/api/v2.0/projects", body), 400)
        assert asked(swr, "POST") == []

    def test_what_is_made_may_be_pushed_to_at_once(self, door: Door, swr: RunningSandbox, name: str) -> None:
        assert create(door, name).status == 201
        digest = door.push(f"{name}/app", b"layer")
        assert swr.store.has_blob(f"{name}/app", digest)


class TestLoginKeyAlone:
    def test_dockyard_makes_it(self, door: Door, swr: RunningSandbox, name: str) -> None:
        assert create(door, name, authorization=basic(secret=LOGIN_KEY)).status == 201
        assert swr.store.organization(name) is not None
        assert len(asked(swr, "POST", "/dockyard/v2/namespaces")) == 1
        assert asked(swr, "", "/v2/manage") == []

    def test_without_dockyard_the_secret_key_is_asked_for(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.reset(dockyard=False)
        answer = create(door, name, authorization=basic(secret=LOGIN_KEY))
        refused(answer, 403, name, "login key alone", "enter the SK as Access Secret")

    @pytest.mark.parametrize("dockyard", [True, False])
    def test_existence_is_known_all_the_same(self, door: Door, swr: RunningSandbox, name: str, dockyard: bool) -> None:
        swr.reset(dockyard=dockyard)
        swr.store.create_organization(name, TENANT)
        query = f"q={quote(f'name={{{name!r} {name + chr(97)!r}}}')}"
        assert names_in(listed(door, query, authorization=basic(secret=LOGIN_KEY))) == [name]

    def test_the_whole_list_needs_the_secret_key_or_dockyard(self, door: Door, swr: RunningSandbox) -> None:
        assert names_in(listed(door, "name=", authorization=basic(secret=LOGIN_KEY))) == ["team"]
        swr.reset(dockyard=False)
        answer = listed(door, "name=", authorization=basic(secret=LOGIN_KEY))
        refused(answer, 403, "login key alone", "enter the SK")


class TestListing:
    @pytest.fixture(autouse=True)
    def organizations(self, swr: RunningSandbox) -> None:
        for name in ("a", "ab", "b"):
            swr.store.create_organization(name, TENANT)
        swr.store.create_organization("foreign", OTHER_TENANT)

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            pytest.param("name={'a' 'b'}", ["a", "b"], id="from 2.13"),
            pytest.param("name={'a b'}", ["a", "b"], id="up to 2.12"),
            pytest.param("name={'b'}", ["b"], id="one"),
            pytest.param("name={'b' 'missing' 'foreign'}", ["b"], id="missing and foreign"),
            pytest.param("name={a b}", ["a", "b"], id="no quotes"),
            pytest.param("name={}", [], id="empty"),
            pytest.param("name=a", ["a"], id="exact"),
            pytest.param("name=~a", ["a", "ab", "team"], id="fuzzy"),
            pytest.param("public=true,name={'a'}", ["a"], id="among others"),
        ],
    )
    def test_harbors_query(self, door: Door, query: str, names: list[str]) -> None:
        assert names_in(listed(door, f"q={quote(query)}&with_detail=false")) == names

    def test_by_name(self, door: Door) -> None:
        assert "a" in names_in(listed(door, "name=a"))
        assert names_in(listed(door, "name=")) == ["a", "ab", "b", "team"]

    @pytest.mark.parametrize("name", ["missing", "foreign", "te", "TEAM", "%25", "team%2Fapp"])
    def test_a_pull_rule_with_an_organization_that_is_not_there_is_told(
        self, door: Door, swr: RunningSandbox, name: str
    ) -> None:
        """An empty list, or one of other names, would end the execution as a success with nothing copied."""
        refused(listed(door, f"name={name}"), 404, "does not exist in SWR", "source resource filter")
        assert len(asked(swr, "GET", CREATION)) == 1
        # Patterns, and the look-up before a push, which creates what is missing, are lists as before.
        assert listed(door, f"q=name%3D~{name}").status == 200
        assert names_in(listed(door, f"q=name%3D%7B%27{name}%27%7D")) == []

    def test_one_request_however_many_names(self, door: Door, swr: RunningSandbox) -> None:
        door.ask("GET", "/v2/")
        before = len(swr.journal())
        listed(door, f"q={quote('name={' + ' '.join(f'x{count}' for count in range(30)) + '}')}")
        assert len(swr.journal()) - before <= 2

    def test_what_may_only_be_read_is_refused_before_a_push(self, door: Door, swr: RunningSandbox) -> None:
        swr.store.create_organization("readable", OTHER_TENANT, auth={ACCESS_KEY: 1})
        refused(listed(door, "q=name%3D%7B%27readable%27%7D"), 403, "readable", "read-only access", "permission")
        assert names_in(listed(door, "name=readable")) == ["readable"]

    def test_paging(self, door: Door, swr: RunningSandbox) -> None:
        expected = sorted([f"page{number:02}" for number in range(25)])
        for each in expected:
            swr.store.create_organization(each, TENANT)
        found: list[str] = []
        link = "/api/v2.0/projects?q=name%3D~page&page_size=10&with_detail=false"
        for _ in range(3):
            answer = door.ask("GET", link)
            assert answer.header("X-Total-Count") == "25"
            found += names_in(answer)
            link = next_of(answer)
            assert link.startswith("/api/v2.0/projects?") == (len(found) < 25)
        assert found == expected
        assert link == ""

    @pytest.mark.parametrize("query", ["page=0", "page=x", "page=-1", "page_size=0", "page_size=%2e", "page=%00"])
    def test_bad_pages(self, door: Door, query: str) -> None:
        refused(listed(door, query), 400, "whole number")

    def test_huge_pages(self, door: Door) -> None:
        assert listed(door, f"page={'9' * 5000}&page_size={'9' * 1000}").status == 200

    def test_repositories_by_blob_digest_is_an_empty_list(self, door: Door, swr: RunningSandbox) -> None:
        with silent(swr):
            answer = door.ask("GET", f"/api/v2.0/repositories?q=blob_digest={digest_of(b'x')}&page_size=1&page=1")
        assert (answer.status, answer.json) == (200, [])


def next_of(answer: Answer) -> str:
    """The target of `Link: <…>; rel="next"`, as Harbor's client finds it; empty if there is none."""
    for each in (answer.headers["Link"] or "").split(","):
        target, _, relation = each.partition(";")
        if relation.strip() == 'rel="next"':
            return target.strip().strip("<>")
    return ""
