"""Lists that somebody may not see, or that SWR makes no sense of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.http import Door, asked, digest_of, refused
from tests.contract.listing import PROJECTS, login_key, manifest, names, of, other, seed, walk
from tests.running import OTHER_TENANT, RunningAdapter, RunningSandbox

# Who may see it


def test_an_organization_that_is_not_there(usual_adapter: RunningAdapter, door: Door) -> None:
    """404 only where SWR has said so itself: an empty list may be of a permission that was lost."""
    key_door = login_key(usual_adapter.contract)
    for asker in (door, key_door):
        answer = asker.ask("GET", "/api/v2.0/projects/missing/repositories")
        refused(answer, 403, "not found in SWR, or owned by another account", code="DENIED")
        refused(asker.ask("GET", of("missing/app")), 404)


def test_a_repository_that_is_not_there(usual_adapter: RunningAdapter, door: Door) -> None:
    for asker in (door, login_key(usual_adapter.contract)):
        refused(asker.ask("GET", of("team/missing")), 404)


def test_another_accounts_are_invisible_even_while_the_first_ones_are_listed(
    usual_adapter: RunningAdapter, door: Door, swr: RunningSandbox
) -> None:
    swr.set_knobs(organizations=0)
    swr.store.create_organization("others", OTHER_TENANT)
    theirs = [seed(swr, "others/secret", f"v{number}", data=manifest(number)) for number in range(12)]
    owner = other(usual_adapter.contract)
    targets = ["/api/v2.0/projects/others/repositories", f"{of('others/secret')}?page_size=5"]
    targets += [f"{of('others/secret')}?page=2&page_size=5", f"{of('others/secret')}/{theirs[0]}"]

    def check(number: int) -> None:
        target = targets[number % len(targets)]
        mine = owner.ask("GET", target)
        assert mine.status == 200, mine
        assert mine.json
        for asker in (door, login_key(usual_adapter.contract)):
            refused(asker.ask("GET", target), {403, 404})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, range(24)))
    refused(door.ask("GET", "/api/v2.0/projects?name=others"), 404)
    assert door.ask("GET", "/api/v2.0/projects?q=name%3Dothers").json == []


def test_without_credentials(door: Door) -> None:
    for target in (PROJECTS, of("team/app"), f"{of('team/app')}/v1"):
        refused(door.ask("GET", target, authorization=None), 401)


# With the login key alone


def test_a_login_key_lists_by_dockyard(usual_adapter: RunningAdapter, swr: RunningSandbox) -> None:
    seed(swr, "team/a/b", "v1", "v2")
    door = login_key(usual_adapter.contract)
    assert names(door.ask("GET", PROJECTS)) == ["team/a/b"]
    artifacts = walk(door, f"{of('team/a/b')}?page_size=1")
    assert [(each["digest"], [tag["name"] for tag in each["tags"]]) for each in artifacts] == [
        ("", ["v1"]),
        ("", ["v2"]),
    ]
    assert not asked(swr, path="/v2/manage/")
    assert not asked(swr, path="/manifests/")
    single = door.ask("GET", f"{of('team/a/b')}/v1").json
    assert (single["digest"], [tag["name"] for tag in single["tags"]]) == (digest_of(manifest()), ["v1"])


def test_without_dockyard_a_login_key_lists_no_repositories(usual_adapter: RunningAdapter, swr: RunningSandbox) -> None:
    swr.set_knobs(dockyard=False)
    seed(swr, "team/app", "v1")
    door = login_key(usual_adapter.contract)
    refused(door.ask("GET", PROJECTS), 403, "login key alone", "enter the SK")
    assert [each["tags"][0]["name"] for each in walk(door, of("team/app"))] == ["v1"]


# When SWR makes no sense

NONSENSE = {
    "no JSON": "<html>",
    "no list": {"repos": []},
    "names that are none": [{"namespace": 7, "name": []}, {"Tag": 7}],
    "the same page again": [
        {"namespace": "team", "name": f"app{number}", "Tag": f"v{number}"} for number in range(100)
    ],
}


@pytest.mark.parametrize("what", NONSENSE)
@pytest.mark.parametrize("target", [PROJECTS, of("team/app")])
def test_nonsense_is_told(door: Door, swr: RunningSandbox, what: str, target: str) -> None:
    seed(swr, "team/app", "v1")
    swr.faults({"origin": "api", "path": "/repos", "status": 200, "body": NONSENSE[what], "times": 99})
    refused(door.ask("GET", target), 502, "SWR")


@pytest.mark.parametrize(
    "body",
    [
        "<html>404 Not Found</html>",
        {"error_code": "APIG.0101", "error_msg": "The API does not exist", "request_id": "r"},
        [{"errorCode": "SVCSTG.SWR.4040083", "errorMessage": "The URL does not exist", "detail": ""}],
    ],
    ids=["a page", "the gateway", "an unknown URL"],
)
def test_where_the_management_api_is_not_nothing_is_empty_and_nothing_gone(
    door: Door, swr: RunningSandbox, body: object
) -> None:
    digest = seed(swr, "team/app", "v1")
    swr.faults({"origin": "api", "path": "/v2/manage", "status": 404, "body": body, "times": 0})
    # The token endpoint has proven the credentials.
    assert door.ask("GET", "/v2/").status == 200
    targets = ("/api/v2.0/labels?scope=g", "/api/v2.0/projects?name=", PROJECTS, of("team/app"))
    asks = [("GET", target) for target in targets]
    asks += [("GET", "/v2/_catalog"), ("DELETE", f"/v2/team/app/manifests/{digest}")]
    asks += [("DELETE", "/v2/team/app/manifests/v1"), ("DELETE", f"{of('team/app')}/v1/tags/v1")]
    for method, target in asks:
        refused(door.ask(method, target), 502, "management API is not where", "`api` of eu-de in SWR_ADAPTER_REGIONS")
    assert swr.store.tags("team/app")


def test_a_list_that_does_not_hold_still(door: Door, swr: RunningSandbox) -> None:
    """A part of it would make Harbor take the rest for deleted."""
    seed(swr, "team/app", "v1")
    rules = [
        {"origin": "api", "path": "/tags", "status": 200, "body": [{"Tag": f"v{number}"}]}
        | {"headers": {"Content-Range": f"{number}-1/{3 - number}"}}
        for number in (0, 1)
    ]
    swr.faults(*rules * 3)
    answer = refused(door.ask("GET", of("team/app")), 503, "changed during all 3 attempts to read it")
    assert answer.header("Retry-After") == "10"


@pytest.mark.parametrize("target", [PROJECTS, of("team/r1"), "/v2/_catalog", "/v2/team/r1/tags/list"])
@pytest.mark.parametrize("key_alone", [False, True])
def test_a_list_whose_later_pages_are_not_there(
    usual_adapter: RunningAdapter, swr: RunningSandbox, target: str, key_alone: bool
) -> None:
    """It is never taken for one that is empty, or shorter than SWR says."""
    swr.set_knobs(later_pages="404", page_cap=2, tags_page=2)
    for repository in ("team/r0", "team/r1", "team/r2"):
        seed(swr, repository, "v1", "v2", "v3")
    asker = login_key(usual_adapter.contract) if key_alone else Door(usual_adapter.contract)
    answer = refused(asker.ask("GET", target), 503)
    assert "incomplete (2 of 3 announced entries)" in answer.message or "broke off after 2 tags" in answer.message
    assert answer.header("Retry-After") == "10"


@pytest.mark.parametrize("content_range", ["always", "never"])
def test_a_404_in_place_of_an_empty_page(door: Door, swr: RunningSandbox, content_range: str) -> None:
    swr.set_knobs(later_pages="end", content_range=content_range, page_cap=2)
    for number in range(4):
        seed(swr, f"team/r{number}", "v1")
    assert names(door.ask("GET", PROJECTS)) == [f"team/r{number}" for number in range(4)]


@pytest.mark.parametrize("content_range", ["always", "never"])
def test_dockyard_without_paging(usual_adapter: RunningAdapter, swr: RunningSandbox, content_range: str) -> None:
    swr.set_knobs(dockyard_paging=False, content_range=content_range, rate=0)
    door = login_key(usual_adapter.contract)
    for number in range(7):
        seed(swr, f"team/r{number}", "v1")
    assert names(door.ask("GET", PROJECTS)) == [f"team/r{number}" for number in range(7)]
    for number in range(7, 101):
        seed(swr, f"team/r{number}", "v1")
    refused(door.ask("GET", PROJECTS), 502, "returns the same page of 100 repositories at every offset")


def test_an_announcement_of_too_many(door: Door, swr: RunningSandbox) -> None:
    rule = {"origin": "api", "path": "/tags", "status": 200, "body": [{"Tag": "v1"}], "times": 99}
    swr.faults({**rule, "headers": {"Content-Range": "0-1/100000000"}})
    refused(door.ask("GET", of("team/app")), 502, "exceeds 100000 entries")
    assert len(asked(swr, path="/tags")) == 1
