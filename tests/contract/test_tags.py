"""`tags/list`, and its paging."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.contract.conftest import Start, put_back
from tests.contract.http import Door, asked, refused, silent
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, basic
from tests.running import RunningAdapter, RunningSandbox

MANIFEST = b'{"schemaVersion":2}'
KIND = "application/vnd.docker.distribution.manifest.v2+json"


def tag(swr: RunningSandbox, repository: str, *names: str) -> None:
    for name in names:
        swr.store.put_manifest(repository, name, MANIFEST, KIND)


def follow(door: Door, target: str) -> list[list[str]]:
    """The tags of each page, by `Link`."""
    found = []
    while target:
        answer = door.ask("GET", target)
        assert answer.status == 200, answer.body
        found.append(answer.json["tags"])
        link = answer.headers["Link"]
        target = link.partition(">")[0].removeprefix("<") if link else ""
        assert not link or (target.startswith("/v2/") and link.endswith('>; rel="next"'))
    return found


class TestTags:
    @pytest.mark.parametrize("secret", [None, LOGIN_KEY], ids=["SK", "login key"])
    def test_all_of_them(
        self, usual_adapter: RunningAdapter, swr: RunningSandbox, repository: str, secret: str | None
    ) -> None:
        door = Door(usual_adapter.contract, basic(ACCESS_ID, secret) if secret else None)
        tag(swr, repository, "v10", "v2", "V3", "latest")
        answer = door.ask("GET", f"/v2/{repository}/tags/list")
        assert answer.json == {"name": repository, "tags": ["V3", "latest", "v10", "v2"]}
        assert answer.header("Content-Type") == "application/json"
        assert answer.headers["Link"] is None
        assert len(asked(swr, "GET", "/tags/list")) == 1

    def test_a_nested_repository(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        tag(swr, f"{repository}/deep/er", "v1")
        assert door.ask("GET", f"/v2/{repository}/deep/er/tags/list").json["tags"] == ["v1"]

    def test_empty_strings_of_swr_are_left_out(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, empty_tags=3)
        tag(swr, repository, "v1", "v2")
        assert follow(door, f"/v2/{repository}/tags/list?n=1") == [["v1"], ["v2"]]

    def test_a_missing_repository_has_none(self, door: Door, repository: str) -> None:
        answer = door.ask("GET", f"/v2/{repository}/tags/list")
        assert (answer.status, answer.json) == (200, {"name": repository, "tags": []})

    def test_where_swr_calls_it_missing_so_do_we(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, missing_tags_null=False)
        refused(door.ask("GET", f"/v2/{repository}/tags/list"), 404, repository, code="NAME_UNKNOWN")

    def test_a_missing_organization(self, door: Door) -> None:
        refused(door.ask("GET", "/v2/nobody/app/tags/list"), 404, "'nobody' does not exist", code="NAME_UNKNOWN")

    def test_another_account_sees_nothing(
        self, door: Door, usual_adapter: RunningAdapter, swr: RunningSandbox, repository: str
    ) -> None:
        tag(swr, repository, "v1")
        assert door.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == ["v1"]
        other = Door(usual_adapter.contract, basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY))
        answer = other.ask("GET", f"/v2/{repository}/tags/list")
        refused(answer, {403, 404})
        assert b"v1" not in answer.body


class TestPaging:
    @pytest.mark.parametrize("paging", [True, False], ids=["SWR pages", "SWR does not"])
    @pytest.mark.parametrize("upstream", [0, 3], ids=["whole", "in threes"])
    @pytest.mark.parametrize("size", [1, 4, 9, 10, 11])
    def test_every_tag_once(
        self, door: Door, swr: RunningSandbox, repository: str, size: int, upstream: int, paging: bool
    ) -> None:
        put_back(swr, tags_page=upstream, tags_paging=paging)
        names = sorted(f"v{number}" for number in range(10))
        tag(swr, repository, *names)
        pages = follow(door, f"/v2/{repository}/tags/list?n={size}")
        assert [each for page in pages for each in page] == names
        assert [len(each) for each in pages[:-1]] == [size] * (len(pages) - 1)

    def test_what_comes_and_goes_between_two_pages_moves_nothing_else(
        self, door: Door, start: Start, swr: RunningSandbox, repository: str
    ) -> None:
        """The list is of the moment of its first page; a replica that has not seen that asks SWR."""
        tag(swr, repository, "b", "d", "f", "h")
        first = door.ask("GET", f"/v2/{repository}/tags/list?n=2")
        assert first.json["tags"] == ["b", "d"]
        tag(swr, repository, "a", "c", "e")
        swr.store.delete_tag(repository, "d")
        assert follow(door, f"/v2/{repository}/tags/list?n=2&last=d") == [["f", "h"]]
        replica = Door(start().contract)
        assert follow(replica, f"/v2/{repository}/tags/list?n=2&last=d") == [["e", "f"], ["h"]]

    @pytest.mark.parametrize(("upstream", "requests"), [(0, 1), (7, 3)])
    def test_small_pages_cost_no_more_requests(
        self, door: Door, swr: RunningSandbox, repository: str, upstream: int, requests: int
    ) -> None:
        put_back(swr, tags_page=upstream, tags_paging=True)
        tag(swr, repository, *(f"v{number:02}" for number in range(20)))
        assert len(follow(door, f"/v2/{repository}/tags/list?n=2")) == 10
        assert len(asked(swr, "GET", "/tags/list")) == requests

    @pytest.mark.parametrize("query", ["", "?n=1", "?n=9", "?n=1&last="])
    def test_what_was_pushed_before_a_list_begins_is_in_it(
        self, door: Door, swr: RunningSandbox, repository: str, query: str
    ) -> None:
        tag(swr, repository, "b", "c")
        assert follow(door, f"/v2/{repository}/tags/list?n=1") == [["b"], ["c"]]
        tag(swr, repository, "a")
        swr.store.delete_tag(repository, "b")
        assert list(chain(*follow(door, f"/v2/{repository}/tags/list{query}"))) == ["a", "c"]

    @pytest.mark.parametrize(
        ("query", "names"), [("last=v1", ["v2"]), ("last=v2", []), ("last=", ["v1", "v2"]), ("n=0", [])]
    )
    def test_ends(self, door: Door, swr: RunningSandbox, repository: str, query: str, names: list[str]) -> None:
        tag(swr, repository, "v1", "v2")
        assert follow(door, f"/v2/{repository}/tags/list?{query}") == [names]

    @pytest.mark.parametrize("n", ["-1", "x", "", "1.5", "%D9%A3"])
    def test_no_number(self, door: Door, swr: RunningSandbox, repository: str, n: str) -> None:
        with silent(swr):
            refused(door.ask("GET", f"/v2/{repository}/tags/list?n={n}"), 400, "whole number")
