from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from werkzeug import Request, Response

from adapter.credentials import Credentials, parse_credentials
from adapter.documents import LARGE_BYTES, Charges, DocumentMemory, current
from adapter.errors import (
    AdapterError,
    CredentialsRefused,
    Denied,
    ManifestUnknown,
    OrganizationUnknown,
    RepositoryUnknown,
    TimedOut,
    Unavailable,
    Unexpected,
)
from adapter.references import RepositoryName
from adapter.settings import RegionHosts
from adapter.swr import catalog as module
from adapter.swr.annotations import SOURCE_DIGEST, with_content_digest
from adapter.swr.catalog import Catalog
from adapter.swr.client import SwrClient
from adapter.swr.media_types import DOCKER_LIST
from adapter.swr.repository import Repository
from tests.credentials import OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT
from tests.swr.scripted import TOKEN_PATH, Swr, client_of, error
from tests.swr.test_management import ASTRAY, NAMESPACES, entry, refusal
from tests.swr.test_models import DIGEST, repository, tag

REPOS = "/v2/manage/repos"
DOCKYARD = "/dockyard/v2/repositories"
TAGS = f"{NAMESPACES}/team/repos/a$b/tags"
TAG = f"{TAGS}/v1"
LISTS = "/v2/team/a/b/tags/list"
ORGANIZATION_MISSING = refusal(404, "SVCSTG.SWR.4040058")


@pytest.fixture
def catalog(swr: Swr, client: SwrClient) -> Catalog:
    swr.grant()
    return client.catalog


@pytest.fixture
def nested(credentials: Credentials) -> Repository:
    return Repository(credentials, RepositoryName("team", "a/b"))


@pytest.fixture
def by_key(key_only: Credentials) -> Repository:
    """The nested repository with only the login key."""
    return Repository(key_only, RepositoryName("team", "a/b"))


def page(*entries: dict[str, Any], total: int | None = None) -> Response:
    header = {"Content-Range": f"0-{len(entries)}/{len(entries) if total is None else total}"}
    return Response(json.dumps(entries), headers=header, content_type="application/json")


def queries(swr: Swr, path: str) -> list[dict[str, str]]:
    return [request.args.to_dict() for request in swr.seen if request.path == path]


def calls(catalog: Catalog, nested: Repository) -> list[Callable[[], object]]:
    """Each kind of request to the management API."""
    return [
        lambda: catalog.repositories(nested.credentials, "team"),
        lambda: catalog.tags(nested),
        lambda: catalog.delete_tag(nested, "v1"),
    ]


# Repositories


def test_repositories_are_listed(swr: Swr, catalog: Catalog, credentials: Credentials) -> None:
    """SWR's filter may match too much."""
    others = repository(namespace="team2"), repository(name="b$c"), repository(name="NO")
    swr.answer("GET", REPOS, page(*others, repository(name="a")))
    found = catalog.repositories(credentials, "team")
    assert [str(each.repository) for each in found] == ["team/a", "team/b/c"]
    order = {"order_column": "name", "order_type": "asc", "offset": "0", "limit": "100"}
    assert queries(swr, REPOS) == [{"namespace": "team", **order}]
    assert [request.path for request in swr.seen] == [TOKEN_PATH, REPOS]
    found = catalog.repositories(credentials, None)
    assert [str(each.repository) for each in found] == ["team/a", "team/b/c", "team2/app"]
    assert queries(swr, REPOS)[1] == order


@pytest.mark.parametrize("answer", [page(), Response("null"), refusal(404, "SVCSTG.SWR.4040009")])
def test_an_organization_without_repositories_has_an_empty_list(
    swr: Swr, catalog: Catalog, credentials: Credentials, answer: Response
) -> None:
    swr.answer("GET", REPOS, answer)
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("team")]})
    assert catalog.repositories(credentials, "team") == []
    with pytest.raises(Denied, match="'other' not found in SWR, or owned by another account"):
        catalog.repositories(credentials, "other")
    for refused, kind in ((ORGANIZATION_MISSING, OrganizationUnknown), *((each, Unexpected) for each in ASTRAY)):
        swr.answer("GET", REPOS, refused)
        with pytest.raises(kind):
            catalog.repositories(credentials, "team")


def test_nothing_is_signed_with_a_wrong_secret(
    swr: Swr, client: SwrClient, catalog: Catalog, nested: Repository
) -> None:
    swr.answer("GET", TOKEN_PATH, error(401, "Authenticate Error"))
    signed: list[Callable[[], object]] = [
        *calls(catalog, nested),
        lambda: client.organizations.all(nested.credentials),
        lambda: client.organizations.create(nested.credentials, "team"),
    ]
    for call in signed * 2:
        with pytest.raises(CredentialsRefused):
            call()
    assert [request.path for request in swr.seen] == [TOKEN_PATH]


# Tags


def test_tags_of_a_nested_repository_are_listed(
    swr: Swr, catalog: Catalog, nested: Repository, by_key: Repository
) -> None:
    swr.answer("GET", TAGS, page(tag(Tag="v2"), tag(Tag="v1"), tag(Tag="")), refusal(404, "SVCSTG.SWR.4041057"))
    assert [each.name for each in catalog.tags(nested)] == ["v1", "v2"]
    assert queries(swr, TAGS) == [{"order_column": "tag", "order_type": "asc", "offset": "0", "limit": "100"}]
    assert catalog.tags(nested) == []
    swr.answer("GET", LISTS, {"name": "team/a/b", "tags": ["v2", "", "v1"]})
    assert [(each.name, each.digest) for each in catalog.tags(by_key)] == [("v1", None), ("v2", None)]
    assert swr.count("GET", LISTS) == 1


COMMON: list[tuple[Response, type[AdapterError]]] = [
    (refusal(404, "SVCSTG.SWR.4040113"), RepositoryUnknown),
    (refusal(404, "X"), RepositoryUnknown),
    *((answer, Unexpected) for answer in ASTRAY),
    (ORGANIZATION_MISSING, OrganizationUnknown),
    (refusal(403, "SVCSTG.SWR.4039001"), Denied),
    (refusal(401, "APIG.0301"), CredentialsRefused),
]


@pytest.mark.parametrize(
    ("method", "answer", "kind"),
    [
        *((method, *each) for method in ("GET", "DELETE") for each in COMMON),
        *(("GET", answer, Unexpected) for answer in (Response("<html>"), page(tag(digest="yesterday")))),
        ("GET", page(tag(), total=10**9), Unexpected),
        *(("DELETE", refusal(404, f"SVCSTG.SWR.{n}"), ManifestUnknown) for n in (4040048, 4040115, 4041056)),
    ],
)
def test_an_error_for_a_tag_list_or_deletion_is_raised(
    swr: Swr, catalog: Catalog, nested: Repository, method: str, answer: Response, kind: type[AdapterError]
) -> None:
    swr.answer(method, TAGS if method == "GET" else TAG, answer)
    with pytest.raises(AdapterError) as caught:
        catalog.tags(nested) if method == "GET" else catalog.delete_tag(nested, "v1")
    assert type(caught.value) is kind


# Queries that SWR may reject


def accepts(swr: Swr, path: str, answer: Response, accepted: Callable[[Request], bool]) -> None:
    swr.answer("GET", path, lambda each: answer if accepted(each) else refusal(400, "SVCSTG.SWR.4000014", "no such"))


def test_the_accepted_query_is_remembered_for_each_account(
    swr: Swr, catalog: Catalog, credentials: Credentials
) -> None:
    """SWR may treat accounts differently while it is updated."""
    other = parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, ["eu-de"])

    def first_has_filter(who: Credentials) -> bool:
        before = len(queries(swr, REPOS))
        catalog.repositories(who, "team")
        return "filter" in queries(swr, REPOS)[before]

    accepts(swr, REPOS, page(repository()), lambda request: "filter" in request.args)
    assert [first_has_filter(credentials) for _ in range(2)] == [False, True]
    assert queries(swr, REPOS)[-1]["filter"] == "center::self|namespace::team"
    swr.answer("GET", REPOS, page(repository()))
    assert [first_has_filter(other) for _ in range(2)] == [False, False]


def test_other_queries_are_tried_if_swr_rejects_one(
    swr: Swr, catalog: Catalog, nested: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sent(accepted: Callable[[Request], bool]) -> list[str | None]:
        """The first parameter other than offset and limit of each query."""
        before = len(queries(swr, TAGS))
        accepts(swr, TAGS, page(tag()), accepted)
        assert len(catalog.tags(nested)) == 1
        return [min(set(each) - {"offset", "limit"}, default=None) for each in queries(swr, TAGS)[before:]]

    assert sent(lambda request: set(request.args) == {"offset", "limit"}) == ["order_column", "filter", None]
    assert sent(lambda _: True) == [None]
    assert sent(lambda request: "filter" in request.args) == [None, "order_column", "filter"]
    assert sent(lambda request: "order_column" in request.args) == ["filter", "order_column"]
    monkeypatch.setattr(module, "QUERY_TTL_SECONDS", 0.0)
    for _ in range(2):
        assert sent(lambda request: "filter" in request.args)[-2:] == ["order_column", "filter"]
    accepts(swr, TAGS, page(), lambda _: False)
    with pytest.raises(AdapterError, match="no such"):
        catalog.tags(nested)


# Costs


def test_a_manifest_in_a_tag_list_is_parsed_once(
    swr: Swr, catalog: Catalog, nested: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest may have megabytes; the list needs its type, its configuration and its source."""
    index = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [], "annotations": {SOURCE_DIGEST: DIGEST}}
    manifests = [with_content_digest(json.dumps(index).encode()).decode(), '{"config": {"mediaType": "a/b"}}']
    swr.answer("GET", TAGS, page(*(tag(Tag=f"v{n}", manifest=each) for n, each in enumerate(manifests))))
    parsed: list[object] = []
    loads = json.loads

    def counted(text: Any, **options: Any) -> Any:
        parsed.append(text.decode() if isinstance(text, bytes) else text)
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", counted)
    found = catalog.tags(nested)
    assert [(each.source, each.config_type) for each in found] == [(DIGEST, None), (None, "a/b")]
    assert [parsed.count(each) for each in manifests] == [1, 1]


def test_a_small_page_does_not_wait_for_a_large_one(swr: Swr, catalog: Catalog, nested: Repository) -> None:
    large = replace(nested, name=RepositoryName("team", "large"))
    swr.answer("GET", TAGS, page(tag()))
    swr.answer("GET", f"{NAMESPACES}/team/repos/large/tags", page(tag(manifest=f'{{"x": "{"y" * LARGE_BYTES}"}}')))
    memory = DocumentMemory()

    def tags(repository: Repository) -> int:
        current.set(Charges(memory))
        return len(catalog.tags(repository))

    with ThreadPoolExecutor(2) as pool:
        with memory.parsing:
            waiting = pool.submit(tags, large)
            assert pool.submit(tags, nested).result(10) == 1
            assert not waiting.done()
        assert waiting.result(10) == 1


def test_a_slow_page_times_out(swr: Swr, catalog: Catalog, nested: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIST_TIMEOUT_SECONDS", 0.3)
    stop = threading.Event()

    def trickle(request: Request) -> Response:
        return Response(iter(lambda: b"" if stop.wait(0.05) else b" ", b""), content_type="application/json")

    swr.answer("GET", TAGS, trickle)
    try:
        with pytest.raises(TimedOut):
            catalog.tags(nested)
    finally:
        stop.set()


# With only the login key


def test_dockyard_lists_repositories_with_the_login_key(swr: Swr, catalog: Catalog, key_only: Credentials) -> None:
    swr.answer("GET", DOCKYARD, page(repository(), repository(name="a/b")))
    assert [each.name for each in catalog.repositories(key_only, "team")] == ["a/b", "app"]
    (query,) = queries(swr, DOCKYARD)
    assert query["filter"] == "center::self|namespace::team"
    assert {"offset", "limit"} <= set(query)
    swr.answer("GET", DOCKYARD, refusal(403, "SVCSTG.SWR.4039002"))
    with pytest.raises(Denied, match="permission"):
        catalog.repositories(key_only, "team")


@pytest.mark.parametrize(
    "answer", [404, 401, 405, 301, Response("<html>", content_type="text/html"), refusal(404, "X"), *ASTRAY]
)
def test_without_dockyard_the_sk_is_required(swr: Swr, catalog: Catalog, key_only: Credentials, answer: Any) -> None:
    swr.answer("GET", DOCKYARD, answer)
    with pytest.raises(Denied, match="cannot list repositories with the login key alone: enter the SK"):
        catalog.repositories(key_only, "team")


def test_a_404_of_dockyard_with_a_code_means_missing(
    swr: Swr, client: SwrClient, catalog: Catalog, key_only: Credentials
) -> None:
    """An empty list does not show who owns the organization."""
    for code, kind in (("4040009", Denied), ("4040058", OrganizationUnknown)):
        for path in (DOCKYARD, "/dockyard/v2/namespaces"):
            swr.answer("GET", path, refusal(404, f"SVCSTG.SWR.{code}"))
        with pytest.raises(kind):
            catalog.repositories(key_only, "team")
        assert client.organizations.all(key_only) == []


def test_without_dockyard_and_management_host_the_host_is_required(swr: Swr, nested: Repository) -> None:
    """As in eu-ch2, whose host is unknown (`docs/facts/swr.md §1`)."""
    swr.grant()
    swr.answer("GET", DOCKYARD, 404)
    catalog = client_of(swr, regions={"eu-de": RegionHosts(swr.url)}).catalog
    for call in (calls(catalog, nested)[0], calls(catalog, nested)[2]):
        with pytest.raises(Denied, match="no management API configured for eu-de: set `api` of eu-de in"):
            call()


def test_a_repository_without_tags_is_looked_up(swr: Swr, catalog: Catalog, by_key: Repository) -> None:
    swr.answer("GET", LISTS, {"name": "team/a/b", "tags": None}, {"name": "team/a/b", "tags": []})
    swr.answer("GET", DOCKYARD, page(repository(name="a/b")))
    assert catalog.tags(by_key) == []
    swr.answer("GET", DOCKYARD, page(repository(name="a/c")))
    with pytest.raises(RepositoryUnknown):
        catalog.tags(by_key)
    swr.answer("GET", DOCKYARD, 404)
    with pytest.raises(Denied, match=r"cannot check whether it exists .* enter the SK"):
        catalog.tags(by_key)


@pytest.mark.parametrize(
    "answer",
    [refusal(404, "SVCSTG.SWR.4041057"), Response("null"), *(Response(status=code) for code in (404, 401, 302))],
)
def test_a_missing_later_page_of_dockyard_raises(
    swr: Swr, catalog: Catalog, key_only: Credentials, answer: Response
) -> None:
    first = page(repository(), total=150)
    swr.answer("GET", DOCKYARD, lambda request: first if request.args["offset"] == "0" else answer)
    with pytest.raises(Unavailable, match=r"incomplete \(1 of 150|broke off after 1 entries"):
        catalog.repositories(key_only, "team")


# Deletion


def test_a_tag_is_deleted(swr: Swr, catalog: Catalog, nested: Repository, by_key: Repository) -> None:
    swr.answer("DELETE", TAG, 204, 200)
    for _ in range(2):
        catalog.delete_tag(nested, "v1")
    with pytest.raises(Denied, match="login key alone"):
        catalog.delete_tag(by_key, "v1")
    assert swr.count("DELETE", TAG) == 2
