"""Repositories, as Harbor requests them for pull rules (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Start, put_back
from tests.contract.http import Door, asked
from tests.contract.listing import PROJECTS, many, names, of, seed, walk
from tests.running import TENANT, RunningSandbox

NO_TIMES = ("empty", "null", "zero", "words")
REMEMBERED = {"content_range", "ordering", "listing_parameters"}
"""What an adapter remembers of SWR: with these knobs it must serve no other test."""


def test_repositories_of_a_project(door: Door, swr: RunningSandbox) -> None:
    answer = door.ask("GET", PROJECTS)
    assert (answer.status, answer.json, answer.header("X-Total-Count")) == (200, [], "0")
    seed(swr, "team/web", "v1")
    seed(swr, "team/a/b/c", "v1")
    swr.store.create_organization("team2", TENANT)
    seed(swr, "team2/other", "v1")
    answer = door.ask("GET", PROJECTS)
    assert names(answer) == ["team/a/b/c", "team/web"]
    assert answer.header("X-Total-Count") == "2"
    assert "Link" not in answer.headers
    assert len(asked(swr, "GET", "/v2/manage/repos")) == 2


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
def test_lists_are_the_same_with_every_form_of_swr(
    door: Door, start: Start, swr: RunningSandbox, knobs: dict[str, Any]
) -> None:
    if REMEMBERED & knobs.keys():
        door = Door(start().contract)
    put_back(swr, page_cap=7, **knobs)
    digests = many(swr, "team/many", 20)
    for number in range(9):
        seed(swr, f"team/x/r{number}", "v1")
    found = walk(door, f"{PROJECTS}?page_size=4")
    assert [each["name"] for each in found] == ["team/many", *(f"team/x/r{number}" for number in range(9))]
    artifacts = walk(door, f"{of('team/many')}?page_size=6")
    assert [each["digest"] for each in artifacts] == sorted(digests)
    assert all((each["push_time"] is None) == (knobs.get("times") in NO_TIMES) for each in artifacts)
    assert [each["name"] for each in walk(door, of("team/x/r3"))[0]["tags"]] == ["v1"]


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
def test_queries(door: Door, swr: RunningSandbox, query: str, found: list[str]) -> None:
    for name in ("web", "app", "app/web"):
        seed(swr, f"team/{name}", "v1")
    assert names(door.ask("GET", f"{PROJECTS}?q={query}")) == found
