"""Pull rules: what Harbor lists, against the sandbox (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from adapter.contract.snapshots import Snapshots
from adapter.swr.images import Tag
from adapter.swr.manifest_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST
from tests.contract.conftest import ORGANIZATION, Start, put_back
from tests.contract.http import Answer, Door, asked, digest_of, refused, silent
from tests.contract.stubbed import Ask, Stubbed, StubSwr
from tests.contract.test_paging import next_in
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, basic
from tests.running import OTHER_TENANT, TENANT, RunningAdapter, RunningSandbox

CONFIG = "application/vnd.docker.container.image.v1+json"
CHART = "application/vnd.cncf.helm.config.v1+json"
PROJECTS = f"/api/v2.0/projects/{ORGANIZATION}/repositories"
HARBORS_QUERY = "page_size=100&with_label=true&with_accessory=true"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def manifest(number: int = 0, media_type: str = DOCKER_MANIFEST, config: str = CONFIG) -> bytes:
    parts = [{"digest": f"sha256:{number:064x}", "size": 100 + number, "mediaType": config}, {"size": 1000}]
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": parts[0], "layers": parts[1:]}).encode()


def seed(swr: RunningSandbox, repository: str, *tags: str, data: bytes = b"", media_type: str = DOCKER_MANIFEST) -> str:
    for tag in tags:
        swr.store.put_manifest(repository, tag, data or manifest(), media_type)
    return digest_of(data or manifest())


def many(swr: RunningSandbox, repository: str, count: int) -> set[str]:
    """So many artifacts with a tag each; their digests."""
    return {seed(swr, repository, f"t{number:03}", data=manifest(number)) for number in range(count)}


def of(repository: str) -> str:
    """Where Harbor asks for the artifacts of a repository."""
    organization, _, path = repository.partition("/")
    return f"/api/v2.0/projects/{organization}/repositories/{path.replace('/', '%252F')}/artifacts"


def login_key(url: str) -> Door:
    return Door(url, basic(ACCESS_ID, LOGIN_KEY))


def other(url: str) -> Door:
    return Door(url, basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY))


def walk(door: Door, target: str, between: Any = None) -> list[Any]:
    """All entries, by the links that Harbor follows; `between` is called after each page."""
    entries: list[Any] = []
    while target:
        answer = door.ask("GET", target)
        assert answer.status == 200, answer
        entries += answer.json
        target = next_in(answer.headers.get("Link", ""))
        if between is not None:
            between()
    return entries


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [each["name"] for each in answer.json]


# Repositories


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


@pytest.mark.parametrize(
    "knobs",
    [
        {"content_range": "never"},
        {"ordering": False},
        {"listing_parameters": "filter"},
        {"listing_parameters": "unordered"},
        {"listed_names": "dollar"},
        {"times": "blank"},
        {"times": "empty"},
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
    assert all((each["push_time"] is None) == (knobs.get("times") == "empty") for each in artifacts)
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
    for query in ("name=", "name=o", f"q={quote('name={' + ' '.join(f'o{number:02}' for number in range(25)) + '}')}"):
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


# Artifacts


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

    def tags(self, *called: Any) -> list[Tag]:
        self.listed.append(str(called[1]))
        return super().tags()


def test_an_artifact_that_is_kept_counts_as_its_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory goes by what SWR lists: an artifact may have thousands of tags."""
    # Two artifacts with three tags: 6 with the list. Two lists are too much, and so the first one goes.
    monkeypatch.setattr(Snapshots.__init__, "__kwdefaults__", {**(Snapshots.__init__.__kwdefaults__ or {}), "most": 11})
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


# One artifact


def test_a_single_artifact(door: Door, swr: RunningSandbox) -> None:
    digest = seed(swr, "team/a/b", "v1", "latest")
    seed(swr, "team/a/b", "other", data=manifest(1))
    by_digest = door.ask("GET", f"{of('team/a/b')}/{digest}?with_accessory=true&with_tag=true")
    assert by_digest.status == 200, by_digest
    [listed] = [each for each in walk(door, of("team/a/b")) if each["digest"] == digest]
    assert by_digest.json == listed
    assert door.ask("GET", f"{of('team/a/b')}/v1").json == listed
    bare = door.ask("GET", f"{of('team/a/b')}/{digest}?with_tag=false").json
    assert bare == {**listed, "tags": [], "push_time": None}


def test_a_single_artifact_without_tags(door: Door, swr: RunningSandbox) -> None:
    child = digest_of(manifest(7))
    swr.store.put_manifest("team/app", child, manifest(7), DOCKER_MANIFEST)
    found = door.ask("GET", f"{of('team/app')}/{child}?with_accessory=true").json
    assert (found["digest"], found["tags"], found["push_time"]) == (child, [], None)


@pytest.mark.parametrize("code", ["4039002", "4040113"])
def test_a_single_artifact_whose_tags_may_not_be_listed(door: Door, swr: RunningSandbox, code: str) -> None:
    digest = seed(swr, "team/app", "v1", "v2")
    body = [{"errorCode": f"SVCSTG.SWR.{code}", "errorMessage": "no", "detail": ""}]
    swr.faults({"origin": "api", "path": "/tags", "status": int(code[:3]), "body": body, "times": 0})
    assert [each["name"] for each in door.ask("GET", f"{of('team/app')}/v2").json["tags"]] == ["v2"]
    assert door.ask("GET", f"{of('team/app')}/{digest}").json["tags"] == []


def test_a_single_artifact_while_the_account_is_locked(start: Start, swr: RunningSandbox) -> None:
    """The refusal is remembered, so this adapter serves no other test."""
    door = Door(start().contract)
    seed(swr, "team/app", "v1")
    body = {"error_code": "SVCSTG.SWR.4031033", "error_msg": "Not allow to login, upload or download image"}
    swr.faults({"origin": "api", "path": "/tags", "status": 403, "body": body, "times": 1})
    refused(door.ask("GET", f"{of('team/app')}/v1"), 403, "blocked this account")


def test_a_single_artifact_of_unknown_size(door: Door, swr: RunningSandbox) -> None:
    seed(swr, "team/app", "v1", data=b'{"layers": [7]}')
    found = door.ask("GET", f"{of('team/app')}/v1?with_tag=false").json
    assert (found["size"], found["manifest_media_type"]) == (None, DOCKER_MANIFEST)


@pytest.mark.parametrize("reference", ["v9", digest_of(b"other")])
def test_an_artifact_that_is_not_there(door: Door, swr: RunningSandbox, reference: str) -> None:
    seed(swr, "team/app", "v1")
    refused(door.ask("GET", f"{of('team/app')}/{reference}"), 404)


@pytest.mark.parametrize("reference", ["sha256:x", "-", "a" * 200])
def test_a_reference_that_is_none(door: Door, reference: str) -> None:
    refused(door.ask("GET", f"{of('team/app')}/{reference}"), 400)


# Who may see it


@pytest.mark.parametrize(
    "target", ["/api/v2.0/projects/{0}/repositories", "/api/v2.0/projects/{0}/repositories/app/artifacts"]
)
@pytest.mark.parametrize("key_alone", [False, True])
def test_what_is_not_there_is_not_found(
    usual_adapter: RunningAdapter, door: Door, target: str, key_alone: bool
) -> None:
    asker = login_key(usual_adapter.contract) if key_alone else door
    refused(asker.ask("GET", target.format("missing")), 404)


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
    assert door.ask("GET", "/api/v2.0/projects?name=others").json == []


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
    "wrong times": [{"namespace": "team", "name": "app", "updated_at": "yesterday", "Tag": "v1", "updated": "soon"}],
    "the same page again": [{"namespace": "team", "name": f"app{number}", "Tag": f"v{number}"} for number in range(7)],
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
    asks = [("GET", target) for target in ("/v2/", "/api/v2.0/projects?name=", PROJECTS, of("team/app"))]
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
    answer = refused(door.ask("GET", of("team/app")), 503, "changed each of the 3 times that it was read")
    assert answer.header("Retry-After") == "10"


def test_an_announcement_of_too_many(door: Door, swr: RunningSandbox) -> None:
    rule = {"origin": "api", "path": "/tags", "status": 200, "body": [{"Tag": "v1"}], "times": 99}
    swr.faults({**rule, "headers": {"Content-Range": "0-1/100000000"}})
    refused(door.ask("GET", of("team/app")), 502, "too many")
    assert len(asked(swr, path="/tags")) == 1
