"""Pull rules: the artifacts that Harbor lists, against the sandbox (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from adapter.contract.list_cache import ListCache
from adapter.swr.catalog import ListedTag
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST
from tests.contract.conftest import Start
from tests.contract.http import Door, asked, digest_of
from tests.contract.listing import CHART, CONFIG, HARBORS_QUERY, PROJECTS, manifest, many, of, seed, walk
from tests.contract.stubbed import Ask, Stubbed, StubSwr
from tests.contract.test_pagination import next_in
from tests.running import RunningSandbox


def test_an_artifact_as_harbor_reads_it(door: Door, swr: RunningSandbox) -> None:
    digest = seed(swr, "team/a/b", "v1", "latest")
    answer = door.ask("GET", f"{of('team/a/b')}?{HARBORS_QUERY}")
    [artifact] = answer.json
    assert answer.header("X-Total-Count") == "1"
    assert (artifact["digest"], artifact["size"]) == (digest, 1100)
    assert (artifact["type"], artifact["media_type"], artifact["manifest_media_type"]) == (
        "IMAGE",
        CONFIG,
        DOCKER_MANIFEST,
    )
    assert [each["name"] for each in artifact["tags"]] == ["latest", "v1"]
    assert artifact["push_time"] == artifact["tags"][0]["push_time"] > artifact["tags"][1]["push_time"]
    assert (artifact["references"], artifact["accessories"], artifact["labels"]) == (None, [], [])


def test_types_of_artifacts(door: Door, swr: RunningSandbox) -> None:
    listed = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []}).encode()
    seed(swr, "team/mixed", "list", data=listed, media_type=DOCKER_LIST)
    seed(swr, "team/mixed", "chart", data=manifest(1, OCI_MANIFEST, CHART), media_type=OCI_MANIFEST)
    found = {each["tags"][0]["name"]: (each["type"], each["media_type"]) for each in walk(door, of("team/mixed"))}
    assert found == {"list": ("IMAGE", DOCKER_LIST), "chart": ("CHART", CHART)}


@pytest.mark.parametrize("path", ["a%252Fb%252Fc", "a%2Fb%2Fc", "a/b/c"])
def test_nested_names_however_often_they_are_escaped(door: Door, swr: RunningSandbox, path: str) -> None:
    digest = seed(swr, "team/a/b/c", "v1")
    seed(swr, "team/a/b/c", "v2", data=manifest(1))
    target = f"{PROJECTS}/{path}/artifacts?page_size=1"
    assert {each["digest"] for each in walk(door, target)} == {digest, digest_of(manifest(1))}
    [page] = asked(swr, "GET", "/v2/manage/namespaces")
    assert page["path"] == "/v2/manage/namespaces/team/repos/a$b$c/tags"


def test_many_pages_at_both_ends(door: Door, swr: RunningSandbox) -> None:
    """As in the recording `pull-many-pages`, with pages of 7 at SWR."""
    swr.set_knobs(page_cap=7)
    digests = many(swr, "team/many", 120)
    first = door.ask("GET", f"{of('team/many')}?{HARBORS_QUERY}")
    assert (len(first.json), first.header("X-Total-Count")) == (100, "120")
    second = door.ask("GET", next_in(first.header("Link")))
    by_number = door.ask("GET", f"{of('team/many')}?page=2&{HARBORS_QUERY}")
    assert second.json == by_number.json
    assert [each["digest"] for each in first.json + second.json] == sorted(digests)
    assert len(asked(swr, "GET", "/v2/manage/namespaces")) == 18


class Counting(StubSwr):
    """Remembers whose tags it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[str] = []

    def tags(self, *called: Any) -> list[ListedTag]:
        self.listed.append(str(called[0]))
        return super().tags()


def test_an_artifact_that_is_kept_counts_as_its_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory goes by what SWR lists: an artifact may have thousands of tags."""
    # Two artifacts with three tags: 6 with the list. Two lists are too much, and so the first one goes.
    monkeypatch.setattr(ListCache.__init__, "__kwdefaults__", {**(ListCache.__init__.__kwdefaults__ or {}), "most": 11})
    swr = Counting()
    door = Stubbed(swr)
    for name, page in (("a", 1), ("a", 2), ("b", 1), ("b", 2), ("a", 2)):
        assert door.ask(Ask("GET", f"{of(f'team/{name}')}?page_size=1&page={page}")).status == 200
    assert swr.listed == ["team/a", "team/b", "team/a"]


@pytest.mark.parametrize("times", [1, 2])
def test_the_order_is_always_the_same(door: Door, swr: RunningSandbox, times: int) -> None:
    digests = many(swr, "team/many", 30)
    assert [each["digest"] for each in walk(door, of("team/many"))] == sorted(digests)


def test_a_push_between_two_pages_hides_and_repeats_nothing(start: Start, swr: RunningSandbox) -> None:
    """Whichever replica answers: the second one has not seen the first page."""
    replicas = [Door(start().contract), Door(start().contract)]
    digests, pushed = many(swr, "team/many", 40), Counter[str]()
    seen: list[str] = []
    target = f"{of('team/many')}?page_size=7"
    while target:
        answer = replicas[len(seen) % 2].ask("GET", target)
        seen += [each["digest"] for each in answer.json]
        target = next_in(answer.headers.get("Link", ""))
        for number in range(5):
            pushed[
                seed(swr, "team/many", f"new{len(seen)}-{number}", data=manifest(1000 + 10 * len(seen) + number))
            ] += 1
    assert [each for each in seen if each in digests] == sorted(digests)
    assert max(Counter(seen).values()) == 1
    assert set(seen) <= digests | set(pushed)


def test_a_push_before_a_first_page_is_always_seen(door: Door, swr: RunningSandbox) -> None:
    seed(swr, "team/app", "v1")
    assert len(walk(door, of("team/app"))) == 1
    seed(swr, "team/app", "v2", data=manifest(1))
    assert len(walk(door, of("team/app"))) == 2
    swr.store.delete_tag("team/app", "v1")
    assert [each["name"] for each in walk(door, of("team/app"))[0]["tags"]] == ["v2"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tags%3Dv1", [["v1", "v2"]]),
        ("tags%3D~v", [["v1", "v2"], ["v3"]]),
        ("tags%3D%7Bv3%20x%7D", [["v3"]]),
        ("tags%3D*", [["v1", "v2"], ["v3"]]),
        ("tags%3Dnil", []),
        (f"digest%3D{digest_of(manifest(1))}", [["v3"]]),
        ("type%3DIMAGE", [["v1", "v2"], ["v3"]]),
    ],
)
def test_artifacts_by_query(door: Door, swr: RunningSandbox, query: str, found: list[list[str]]) -> None:
    seed(swr, "team/app", "v1", "v2")
    seed(swr, "team/app", "v3", data=manifest(1))
    answer = door.ask("GET", f"{of('team/app')}?q={query}")
    assert sorted([tag["name"] for tag in each["tags"]] for each in answer.json) == found


def test_a_hundred_lists_at_once_stay_within_the_budget(start: Start, swr: RunningSandbox) -> None:
    """Harbor asks for the artifacts of 100 repositories at once (`docs/facts/harbor.md D.4`)."""
    door = Door(start(requests_per_second=50).contract)
    for number in range(100):
        seed(swr, f"team/r{number}", "v1")
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda n: door.ask("GET", f"{of(f'team/r{n}')}?{HARBORS_QUERY}"), range(100)))
    assert [answer.status for answer in answers] == [200] * 100
    assert len(swr.journal()) == 101
