"""Pull rules: the repositories that Harbor lists, against the sandbox (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.conftest import Start, put_back
from tests.contract.http import Door, asked, silent
from tests.contract.listing import PROJECTS, many, names, of, seed, walk
from tests.contract.test_pagination import next_in
from tests.running import TENANT, RunningSandbox


def test_repositories_of_a_project(door: Door, swr: RunningSandbox) -> None:
    seed(swr, "team/web", "v1")
    seed(swr, "team/a/b/c", "v1")
    swr.store.create_organization("team2", TENANT)
    seed(swr, "team2/other", "v1")
    answer = door.ask("GET", PROJECTS)
    assert names(answer) == ["team/a/b/c", "team/web"]
    assert answer.header("X-Total-Count") == "2"
    assert "Link" not in answer.headers
    assert len(asked(swr, "GET", "/v2/manage/repos")) == 1


NO_TIMES = ("empty", "null", "zero", "words")


@pytest.mark.parametrize(
    "knobs",
    [
        {"content_range": "never"},
        {"ordering": False},
        {"listing_parameters": "filter"},
        {"listing_parameters": "unordered"},
        {"listed_names": "dollar"},
        *({"times": form} for form in ("blank", "seconds", "milliseconds", "digits", *NO_TIMES)),
        *({"deleted": form} for form in ("empty", "false", "0", "zero", "words")),
        {"listed_tags": 1},
        {"error_shape": "object"},
    ],
    ids=str,
)
def test_every_kind_of_swr_lists_the_same(start: Start, swr: RunningSandbox, knobs: dict[str, Any]) -> None:
    put_back(swr, page_cap=7, **knobs)
    door = Door(start().contract)
    digests = many(swr, "team/many", 20)
    for number in range(9):
        seed(swr, f"team/x/r{number}", "v1")
    found = walk(door, f"{PROJECTS}?page_size=4")
    assert [each["name"] for each in found] == ["team/many", *(f"team/x/r{number}" for number in range(9))]
    artifacts = walk(door, f"{of('team/many')}?page_size=6")
    assert [each["digest"] for each in artifacts] == sorted(digests)
    assert all((each["push_time"] is None) == (knobs.get("times") in NO_TIMES) for each in artifacts)
    assert [each["name"] for each in walk(door, of("team/x/r3"))[0]["tags"]] == ["v1"]


def test_small_pages_cost_no_more_requests(door: Door, swr: RunningSandbox) -> None:
    swr.set_knobs(page_cap=7)
    for number in range(30):
        seed(swr, f"team/r{number:02}", "v1")
    assert len(walk(door, f"{PROJECTS}?page_size=2")) == 30
    listed = asked(swr, "GET", "/v2/manage/repos")
    assert len(listed) == 5
    assert all({"offset", "limit"} <= dict(entry["query"]).keys() for entry in listed)


def test_projects_are_paged_too(door: Door, swr: RunningSandbox) -> None:
    swr.set_knobs(organizations=0)
    for number in range(25):
        swr.store.create_organization(f"o{number:02}", TENANT)
    for query in (
        "name=",
        "q=name%3D~o",
        f"q={quote('name={' + ' '.join(f'o{number:02}' for number in range(25)) + '}')}",
    ):
        before = len(asked(swr, "GET", "/v2/manage/namespaces"))
        found = [each["name"] for each in walk(door, f"/api/v2.0/projects?page_size=4&{query}")]
        assert found == [*(f"o{number:02}" for number in range(25)), *(["team"] if query == "name=" else [])]
        assert len(asked(swr, "GET", "/v2/manage/namespaces")) - before == 1
    swr.store.create_organization("new", TENANT)
    assert "new" in names(door.ask("GET", "/api/v2.0/projects?page_size=4&name="))


def test_lists_of_projects_with_and_without_names_are_kept_apart(door: Door, swr: RunningSandbox) -> None:
    swr.set_knobs(organizations=0)
    for name in ("a", "b", "c", "d"):
        swr.store.create_organization(name, TENANT)
    queries = ("q=name%3D%7Bb%20d%7D", "name=", "q=name%3D%7Ba%20c%7D")
    begun = [door.ask("GET", f"/api/v2.0/projects?{query}&page_size=1") for query in queries]
    with silent(swr):
        following = [door.ask("GET", next_in(answer.header("Link"))) for answer in begun]
    assert [names(answer) for answer in (*begun, *following)] == [["b"], ["a"], ["a"], ["d"], ["b"], ["c"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name%3D~we", ["team/app/web", "team/web"]),
        ("name%3Dweb", ["team/web"]),
        ("name%3Dteam/web", ["team/web"]),
        ("name%3D%7Bweb%20app%7D", ["team/app", "team/web"]),
        ("other%3D1", ["team/app", "team/app/web", "team/web"]),
    ],
)
def test_repositories_by_name(door: Door, swr: RunningSandbox, query: str, found: list[str]) -> None:
    for name in ("web", "app", "app/web"):
        seed(swr, f"team/{name}", "v1")
    assert names(door.ask("GET", f"{PROJECTS}?q={query}")) == found


def test_a_project_without_repositories(door: Door) -> None:
    answer = door.ask("GET", PROJECTS)
    assert (answer.status, answer.json, answer.header("X-Total-Count")) == (200, [], "0")
