"""`tags/list` and `_catalog`, and their pages."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.contract.conftest import SECRETS, Start, put_back
from tests.contract.http import Door, asked, refused, silent
from tests.credentials import basic
from tests.running import OTHER_TENANT, TENANT, RunningAdapter, RunningSandbox

MANIFEST = b'{"schemaVersion":2}'
KIND = "application/vnd.docker.distribution.manifest.v2+json"


def tag(swr: RunningSandbox, repository: str, *names: str) -> None:
    for name in names:
        swr.store.put_manifest(repository, name, MANIFEST, KIND)


def follow(door: Door, target: str, key: str = "tags") -> list[list[str]]:
    """The names of each page, by `Link`."""
    found = []
    while target:
        answer = door.ask("GET", target)
        assert answer.status == 200, answer.body
        found.append(answer.json[key])
        link = answer.headers["Link"]
        target = link.partition(">")[0].removeprefix("<") if link else ""
        assert not link or (target.startswith("/v2/") and link.endswith('>; rel="next"'))
    return found


class TestTags:
    @pytest.mark.parametrize("secret", SECRETS)
    def test_all_tags(self, usual_adapter: RunningAdapter, swr: RunningSandbox, repository: str, secret: str) -> None:
        door = Door(usual_adapter.contract, basic(secret=secret))
        tag(swr, f"{repository}/deep/er", "v10", "v2", "V3", "latest")
        answer = door.ask("GET", f"/v2/{repository}/deep/er/tags/list")
        assert answer.json == {"name": f"{repository}/deep/er", "tags": ["V3", "latest", "v10", "v2"]}
        assert answer.header("Content-Type") == "application/json"
        assert answer.headers["Link"] is None
        assert len(asked(swr, "GET", "/tags/list")) == 1

    def test_empty_names_of_swr_are_ignored(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, empty_tags=3)
        tag(swr, repository, "v1", "v2")
        assert follow(door, f"/v2/{repository}/tags/list?n=1") == [["v1"], ["v2"]]

    def test_missing_repository_is_as_in_swr(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        assert follow(door, f"/v2/{repository}/tags/list") == [[]]
        put_back(swr, missing_tags_null=False)
        refused(door.ask("GET", f"/v2/{repository}/tags/list"), 404, repository, code="NAME_UNKNOWN")

    def test_other_tenant_sees_no_tags(
        self, door: Door, other_door: Door, swr: RunningSandbox, repository: str
    ) -> None:
        tag(swr, repository, "v1")
        assert follow(door, f"/v2/{repository}/tags/list") == [["v1"]]
        answer = refused(other_door.ask("GET", f"/v2/{repository}/tags/list"), {403, 404})
        assert b"v1" not in answer.body


class TestPages:
    @pytest.mark.parametrize("paging", [True, False], ids=["SWR pages", "SWR does not"])
    @pytest.mark.parametrize("upstream", [0, 3], ids=["one page", "pages of 3"])
    @pytest.mark.parametrize("size", [1, 4, 10])
    def test_every_tag_once(
        self, door: Door, swr: RunningSandbox, repository: str, size: int, upstream: int, paging: bool
    ) -> None:
        put_back(swr, tags_page=upstream, tags_paging=paging)
        names = sorted(f"v{number}" for number in range(10))
        tag(swr, repository, *names)
        pages = follow(door, f"/v2/{repository}/tags/list?n={size}")
        assert list(chain(*pages)) == names
        assert [len(each) for each in pages[:-1]] == [size] * (len(pages) - 1)

    def test_changes_between_two_pages(self, door: Door, start: Start, swr: RunningSandbox, repository: str) -> None:
        """Later pages are of the time of the first one; a replica without the list requests it from SWR."""
        tag(swr, repository, "b", "d", "f", "h")
        assert door.ask("GET", f"/v2/{repository}/tags/list?n=2").json["tags"] == ["b", "d"]
        tag(swr, repository, "a", "c", "e")
        swr.store.delete_tag(repository, "d")
        assert follow(door, f"/v2/{repository}/tags/list?n=2&last=d") == [["f", "h"]]
        assert follow(Door(start().contract), f"/v2/{repository}/tags/list?n=2&last=d") == [["e", "f"], ["h"]]

    @pytest.mark.parametrize(("upstream", "requests"), [(0, 1), (7, 3)])
    def test_small_pages_cost_no_more_requests(
        self, door: Door, swr: RunningSandbox, repository: str, upstream: int, requests: int
    ) -> None:
        put_back(swr, tags_page=upstream, tags_paging=True)
        tag(swr, repository, *(f"v{number:02}" for number in range(20)))
        assert len(follow(door, f"/v2/{repository}/tags/list?n=2")) == 10
        assert len(asked(swr, "GET", "/tags/list")) == requests

    @pytest.mark.parametrize("query", ["", "?n=1", "?n=9", "?n=1&last="])
    def test_first_page_is_always_fetched(self, door: Door, swr: RunningSandbox, repository: str, query: str) -> None:
        tag(swr, repository, "b", "c")
        assert follow(door, f"/v2/{repository}/tags/list?n=1") == [["b"], ["c"]]
        tag(swr, repository, "a")
        swr.store.delete_tag(repository, "b")
        assert list(chain(*follow(door, f"/v2/{repository}/tags/list{query}"))) == ["a", "c"]

    @pytest.mark.parametrize("n", ["-1", "x", "", "1.5", "%D9%A3"])
    def test_invalid_n(self, door: Door, swr: RunningSandbox, repository: str, n: str) -> None:
        with silent(swr):
            refused(door.ask("GET", f"/v2/{repository}/tags/list?n={n}"), 400, "n must be an integer, 0 or greater")


class TestCatalog:
    @pytest.fixture
    def names(self, swr: RunningSandbox) -> list[str]:
        found = sorted(["team/a", "team/a-b", "team/a/b", "team/b", "team2/a"])
        swr.store.create_organization("team2", TENANT)
        swr.store.create_organization("theirs", OTHER_TENANT)
        for name in (*found, "theirs/secret"):
            tag(swr, name, "v1")
        return found

    def test_each_tenant_sees_its_own(
        self, door: Door, other_door: Door, swr: RunningSandbox, names: list[str]
    ) -> None:
        answer = door.ask("GET", "/v2/_catalog?n=1000")
        assert (answer.status, answer.json, answer.headers["Link"]) == (200, {"repositories": names}, None)
        assert other_door.ask("GET", "/v2/_catalog").json == {"repositories": ["theirs/secret"]}
        # SWR has no catalog.
        assert not asked(swr, "GET", "/v2/_catalog")

    def test_all_pages_cost_one_request(self, door: Door, swr: RunningSandbox, names: list[str]) -> None:
        assert follow(door, "/v2/_catalog?n=2", "repositories") == [names[:2], names[2:4], names[4:]]
        assert len(asked(swr, "GET", "/v2/manage/repos")) == 1
        tag(swr, "team/c", "v1")
        assert "team/c" in door.ask("GET", "/v2/_catalog").json["repositories"]

    def test_no_repositories(self, door: Door) -> None:
        assert door.ask("GET", "/v2/_catalog").json == {"repositories": []}

    def test_login_key_lists_by_dockyard(self, key_door: Door, swr: RunningSandbox, names: list[str]) -> None:
        assert key_door.ask("GET", "/v2/_catalog").json == {"repositories": names}
        swr.set_knobs(dockyard=False)
        refused(key_door.ask("GET", "/v2/_catalog"), 403, "enter the SK")

    def test_wrong_secret(self, door: Door, wrong: str) -> None:
        refused(door.ask("GET", "/v2/_catalog", authorization=wrong), 401)
