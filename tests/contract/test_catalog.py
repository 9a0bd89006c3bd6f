"""`_catalog`, which SWR has not."""

from __future__ import annotations

import pytest

from tests.contract.conftest import put_back
from tests.contract.http import Door, asked, refused
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, WRONG_SECRET, basic
from tests.running import OTHER_TENANT, RunningAdapter, RunningSandbox

MANIFEST = b'{"schemaVersion":2}'
KIND = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def names(swr: RunningSandbox) -> list[str]:
    """Repositories of the suite's account, in order; another account has one too."""
    found = ["team/a", "team/a-b", "team/a/b", "team/b", "team2/a"]
    swr.store.create_organization("team2", "tests")
    swr.store.create_organization("theirs", OTHER_TENANT)
    for name in (*found, "theirs/secret"):
        swr.store.put_manifest(name, "v1", MANIFEST, KIND)
    return sorted(found)


def test_all_that_the_account_sees(door: Door, swr: RunningSandbox, names: list[str]) -> None:
    answer = door.ask("GET", "/v2/_catalog?n=1000")
    assert (answer.status, answer.json) == (200, {"repositories": names})
    assert answer.headers["Link"] is None
    assert not asked(swr, "GET", "/v2/_catalog")


def test_another_account_sees_its_own(door: Door, usual_adapter: RunningAdapter, names: list[str]) -> None:
    assert door.ask("GET", "/v2/_catalog").json["repositories"] == names
    other = Door(usual_adapter.contract, basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY))
    assert other.ask("GET", "/v2/_catalog").json == {"repositories": ["theirs/secret"]}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages(door: Door, names: list[str], size: int) -> None:
    found: list[str] = []
    target = f"/v2/_catalog?n={size}"
    while target:
        answer = door.ask("GET", target)
        assert 0 < len(answer.json["repositories"]) <= size
        found += answer.json["repositories"]
        link = answer.headers["Link"]
        target = link.partition(">")[0].removeprefix("<") if link else ""
    assert found == names


def test_all_pages_cost_what_the_first_does(door: Door, swr: RunningSandbox, names: list[str]) -> None:
    target, pages = "/v2/_catalog?n=1", 0
    while target:
        answer = door.ask("GET", target)
        link = answer.headers["Link"]
        target, pages = link.partition(">")[0].removeprefix("<") if link else "", pages + 1
    assert pages == len(names)
    assert len(asked(swr, "GET", "/v2/manage/repos")) == 1
    swr.store.put_manifest("team/c", "v1", MANIFEST, KIND)
    assert "team/c" in door.ask("GET", "/v2/_catalog").json["repositories"]


def test_many_cost_few_requests(door: Door, swr: RunningSandbox) -> None:
    put_back(swr, max_page=1000)
    for number in range(150):
        swr.store.put_manifest(f"team/app{number:03}", "v1", MANIFEST, KIND)
    assert len(door.ask("GET", "/v2/_catalog?n=1000").json["repositories"]) == 150
    assert len(asked(swr, "GET", "/v2/manage/repos")) <= 2


def test_an_account_without_repositories(door: Door, swr: RunningSandbox) -> None:
    assert door.ask("GET", "/v2/_catalog").json == {"repositories": []}


def test_the_login_key_lists_by_dockyard_or_is_told_why_not(
    usual_adapter: RunningAdapter, swr: RunningSandbox, names: list[str]
) -> None:
    door = Door(usual_adapter.contract, basic(ACCESS_ID, LOGIN_KEY))
    assert door.ask("GET", "/v2/_catalog").json == {"repositories": names}
    swr.set_knobs(dockyard=False)
    refused(door.ask("GET", "/v2/_catalog"), 403, "enter the SK")


def test_wrong_credentials(usual_adapter: RunningAdapter, swr: RunningSandbox) -> None:
    door = Door(usual_adapter.contract, basic(ACCESS_ID, f"{WRONG_SECRET}3"))
    refused(door.ask("GET", "/v2/_catalog"), 401)
