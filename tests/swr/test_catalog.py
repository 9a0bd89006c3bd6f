from __future__ import annotations

import json
import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug import Request, Response

from adapter.credentials import Credentials, parse_credentials
from adapter.errors import (
    AdapterError,
    CredentialsRefused,
    Denied,
    ManifestUnknown,
    OrganizationUnknown,
    RepositoryUnknown,
    Throttled,
    TimedOut,
    Unavailable,
    Unexpected,
)
from adapter.references import RepositoryName
from adapter.settings import RegionHosts
from adapter.swr import catalog
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from tests.credentials import OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT
from tests.swr.scripted import TOKEN_PATH, Swr, client_of
from tests.swr.test_management import ASTRAY, NAMESPACES, entry, refusal
from tests.swr.test_models import repository, tag

REPOS = "/v2/manage/repos"
DOCKYARD = "/dockyard/v2/repositories"
NESTED = RepositoryName("team", "a/b")
TAGS = f"{NAMESPACES}/team/repos/a$b/tags"
LISTS = "/v2/team/a/b/tags/list"


@pytest.fixture(autouse=True)
def _granted(swr: Swr) -> None:
    swr.grant()


def page(*entries: dict[str, Any], total: int | None = None) -> Response:
    header = {"Content-Range": f"0-{len(entries)}/{len(entries) if total is None else total}"}
    return Response(json.dumps(entries), headers=header, content_type="application/json")


def asked(swr: Swr, path: str) -> list[dict[str, str]]:
    return [request.args.to_dict() for request in swr.seen if request.path == path]


# Repositories


def test_repositories_of_an_organization(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    """SWR's filter may be fuzzy."""
    others = repository(namespace="team2"), repository(name="b$c"), repository(name="NO")
    swr.answer("GET", REPOS, page(*others, repository(name="a")))
    found = client.catalog.repositories(credentials, "team")
    assert [str(each.repository) for each in found] == ["team/a", "team/b/c"]
    order = {"order_column": "name", "order_type": "asc", "offset": "0", "limit": "100"}
    assert asked(swr, REPOS) == [{"namespace": "team", **order}]
    assert [request.path for request in swr.seen] == [TOKEN_PATH, REPOS]


def test_all_repositories(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", REPOS, page(repository(namespace="z"), repository(namespace="b")))
    assert [str(each.repository) for each in client.catalog.repositories(credentials, None)] == ["b/app", "z/app"]
    assert "namespace" not in asked(swr, REPOS)[0]


@pytest.mark.parametrize("answer", [page(), Response("null"), refusal(404, "SVCSTG.SWR.4040009")])
def test_an_organization_without_repositories(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    swr.answer("GET", REPOS, answer)
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("team")]})
    assert client.catalog.repositories(credentials, "team") == []
    with pytest.raises(Denied, match="'other' does not exist in SWR, or is not yours"):
        client.catalog.repositories(credentials, "other")


@pytest.mark.parametrize("answer", ASTRAY)
def test_what_another_server_does_not_have_is_neither_empty_nor_gone(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    """Harbor would take a deletion for done, and a pull rule for finished."""
    for method, path in (("GET", REPOS), ("GET", TAGS), ("DELETE", f"{TAGS}/v1")):
        swr.answer(method, path, answer)
    for call in (
        lambda: client.catalog.repositories(credentials, None),
        lambda: client.catalog.repositories(credentials, "team"),
        lambda: client.catalog.tags(Repository(credentials, NESTED)),
        lambda: client.catalog.delete_tag(Repository(credentials, NESTED), "v1"),
    ):
        with pytest.raises(Unexpected, match="check the `api` of eu-de in SWR_ADAPTER_REGIONS"):
            call()


@pytest.mark.parametrize(
    "body",
    [
        [{"errorCode": "X", "errorMessage": "words"}],
        {"errors": [{"errorMessage": "words"}], "error_msg": "words"},
        {"error_code": "", "error_msg": "words", "request_id": "r"},
        {"errors": [{"code": "NAME_UNKNOWN", "message": "words"}]},
    ],
)
def test_a_404_in_any_shape_of_swr_is_of_what_was_asked_for(
    swr: Swr, client: SwrClient, credentials: Credentials, body: Any
) -> None:
    for method, path in (("GET", REPOS), ("GET", TAGS), ("DELETE", f"{TAGS}/v1")):
        swr.answer(method, path, Response(json.dumps(body), 404))
    assert client.catalog.repositories(credentials, None) == []
    with pytest.raises(RepositoryUnknown):
        client.catalog.tags(Repository(credentials, NESTED))
    with pytest.raises(RepositoryUnknown):
        client.catalog.delete_tag(Repository(credentials, NESTED), "v1")


def test_nothing_is_signed_with_a_wrong_secret(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, Response(json.dumps({"errors": [{"message": "Authenticate Error"}]}), 401))
    for _ in range(2):
        with pytest.raises(CredentialsRefused):
            client.catalog.repositories(credentials, None)
        with pytest.raises(CredentialsRefused):
            client.catalog.tags(Repository(credentials, NESTED))
        with pytest.raises(CredentialsRefused):
            client.catalog.delete_tag(Repository(credentials, NESTED), "v1")
    assert [request.path for request in swr.seen] == [TOKEN_PATH]


def test_an_organization_that_swr_does_not_know(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", REPOS, refusal(404, "SVCSTG.SWR.4040058"))
    with pytest.raises(OrganizationUnknown):
        client.catalog.repositories(credentials, "team")


# Tags


def test_tags_of_a_nested_repository(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TAGS, page(tag(Tag="v2"), tag(Tag="v1"), tag(Tag="")))
    assert [each.name for each in client.catalog.tags(Repository(credentials, NESTED))] == ["v1", "v2"]
    assert asked(swr, TAGS) == [{"order_column": "tag", "order_type": "asc", "offset": "0", "limit": "100"}]


def test_pages_are_asked_for_by_where_the_last_one_ended(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    stored = [tag(Tag=f"v{number}") for number in range(9)]

    def cut(request: Request) -> Response:
        offset = int(request.args["offset"])
        return page(*stored[offset : offset + 4], total=9)

    swr.answer("GET", TAGS, cut)
    assert len(client.catalog.tags(Repository(credentials, NESTED))) == 9
    assert [(each["offset"], each["limit"]) for each in asked(swr, TAGS)] == [("0", "100"), ("4", "100"), ("8", "100")]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(404, "SVCSTG.SWR.4040113"), RepositoryUnknown),
        (refusal(404, "SVCSTG.SWR.4040058"), OrganizationUnknown),
        (refusal(403, "SVCSTG.SWR.4039001"), Denied),
        (refusal(401, "APIG.0301"), CredentialsRefused),
        (refusal(403, "SVCSTG.SWR.4031042"), Throttled),
        (Response("<html>"), Unexpected),
        (page(tag(digest="yesterday")), Unexpected),
        (page(tag(Tag=None)), Unexpected),
        (page(tag(), total=10**9), Unexpected),
    ],
)
def test_tags_that_cannot_be_listed(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response, kind: type[AdapterError]
) -> None:
    swr.answer("GET", TAGS, answer)
    with pytest.raises(AdapterError) as caught:
        client.catalog.tags(Repository(credentials, NESTED))
    assert type(caught.value) is kind


def test_a_repository_without_a_list_of_tags_has_none(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TAGS, refusal(404, "SVCSTG.SWR.4041057"))
    assert client.catalog.tags(Repository(credentials, NESTED)) == []


def test_parameters_that_swr_refuses_are_left_out_from_then_on(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    def bare(request: Request) -> Response:
        if set(request.args) != {"offset", "limit"}:
            return refusal(400, "SVCSTG.SWR.4000014")
        return page(tag())

    swr.answer("GET", TAGS, bare)
    for _ in range(2):
        assert [each.name for each in client.catalog.tags(Repository(credentials, NESTED))] == ["v1"]
    assert [sorted(set(each) - {"offset", "limit"}) for each in asked(swr, TAGS)] == [
        ["order_column", "order_type"],
        ["filter"],
        [],
        [],
    ]


def test_each_account_has_its_own_way_of_asking(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    """SWR may treat them differently; and one way may be right for some hours only, as long as it is rolled out."""
    old = True

    def answer(request: Request) -> Response:
        return refusal(400, "SVCSTG.SWR.4000055") if old and "filter" not in request.args else page(repository())

    def first() -> bool:
        """Whether the filter is asked with at once."""
        before = len(asked(swr, REPOS))
        client.catalog.repositories(asker, "team")
        return "filter" in asked(swr, REPOS)[before]

    swr.answer("GET", REPOS, answer)
    asker = credentials
    assert [first(), first()] == [False, True]
    asker = parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, ["eu-de"])
    old = False
    assert [first(), first()] == [False, False]


@pytest.mark.parametrize(("seconds", "requests"), [(3600.0, [2, 1]), (0.0, [2, 2])])
def test_a_way_of_asking_is_remembered_for_a_time(
    swr: Swr,
    client: SwrClient,
    credentials: Credentials,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    requests: list[int],
) -> None:
    monkeypatch.setattr(catalog, "REMEMBERED", seconds)
    swr.answer("GET", REPOS, lambda each: page() if "filter" in each.args else refusal(400, "SVCSTG.SWR.4000055"))
    for number in requests:
        before = len(asked(swr, REPOS))
        assert client.catalog.repositories(credentials, None) == []
        assert len(asked(swr, REPOS)) - before == number


def test_a_way_that_swr_takes_no_more_costs_a_look_for_another(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    taken = "filter"

    def answer(request: Request) -> Response:
        return page(tag()) if taken in request.args else refusal(400, "SVCSTG.SWR.4000014")

    swr.answer("GET", TAGS, answer)
    assert len(client.catalog.tags(Repository(credentials, NESTED))) == 1
    taken = "order_column"
    assert len(client.catalog.tags(Repository(credentials, NESTED))) == 1
    assert ["filter" in each for each in asked(swr, TAGS)] == [False, True, True, False]


def test_a_list_that_does_not_hold_still_is_not_given_out_in_part(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    def shrinking(request: Request) -> Response:
        offset = int(request.args["offset"])
        return page(tag(Tag=f"v{offset}"), total=3 - offset)

    swr.answer("GET", TAGS, shrinking)
    with pytest.raises(Unavailable, match="changed each of the 3 times that it was read") as caught:
        client.catalog.tags(Repository(credentials, NESTED))
    assert caught.value.retry_after == 10.0


def test_an_older_swr_wants_a_filter(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    def filtered(request: Request) -> Response:
        if "filter" not in request.args:
            return refusal(400, "SVCSTG.SWR.4000055")
        return page(repository())

    swr.answer("GET", REPOS, filtered)
    assert len(client.catalog.repositories(credentials, "team")) == 1
    assert asked(swr, REPOS)[-1]["filter"] == "center::self|namespace::team"


def test_a_refusal_of_every_form_is_told(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TAGS, refusal(400, "SVCSTG.SWR.4000014", "no such parameter"))
    with pytest.raises(AdapterError, match="no such parameter"):
        client.catalog.tags(Repository(credentials, NESTED))


# Bounds


def test_a_body_of_a_hundred_megabytes(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    """Read no further than a page can be; the sender meets a closed connection."""
    sent = 0

    def endless(request: Request) -> Response:
        def blocks() -> Iterator[bytes]:
            nonlocal sent
            for _ in range(100):
                sent += 1 << 20
                yield b" " * (1 << 20)

        return Response(blocks(), content_type="application/json", direct_passthrough=True)

    swr.answer("GET", TAGS, endless)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unexpected, match="more than"):
        client.catalog.tags(Repository(credentials, NESTED))
    assert sent < 60 << 20
    # In KiB. The server of this test is in the same process.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_page_that_trickles(
    swr: Swr, client: SwrClient, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "LONGEST", 0.5)
    stop = threading.Event()

    def trickle(request: Request) -> Response:
        def blocks() -> Iterator[bytes]:
            while not stop.wait(0.05):
                yield b" "

        return Response(blocks(), content_type="application/json")

    swr.answer("GET", TAGS, trickle)
    try:
        with pytest.raises(TimedOut):
            client.catalog.tags(Repository(credentials, NESTED))
    finally:
        stop.set()


def test_many_lists_at_once_stay_within_the_budget(swr: Swr, credentials: Credentials) -> None:
    """They wait for each other; one proof of the credentials serves them all."""
    client = client_of(swr, requests_per_second=40.0)
    for number in range(60):
        swr.answer("GET", f"{NAMESPACES}/team/repos/r{number}/tags", page(tag()))
    with ThreadPoolExecutor(60) as pool:
        found = list(
            pool.map(lambda n: client.catalog.tags(Repository(credentials, RepositoryName("team", f"r{n}"))), range(60))
        )
    assert [len(each) for each in found] == [1] * 60
    assert swr.count("GET", TOKEN_PATH) == 1
    assert len(swr.seen) == 61


# With the login key alone


def test_dockyard_lists_repositories(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    swr.answer("GET", DOCKYARD, page(repository(), repository(name="a/b")))
    found = client.catalog.repositories(key_only, "team")
    assert [each.name for each in found] == ["a/b", "app"]
    assert asked(swr, DOCKYARD)[0]["filter"] == "center::self|namespace::team"
    assert {"offset", "limit"} <= set(asked(swr, DOCKYARD)[0])


@pytest.mark.parametrize(
    "answer", [404, 401, 405, 301, Response("<html>", content_type="text/html"), refusal(404, "X"), *ASTRAY]
)
def test_without_dockyard_the_secret_key_is_asked_for(
    swr: Swr, client: SwrClient, key_only: Credentials, answer: Any
) -> None:
    swr.answer("GET", DOCKYARD, answer)
    with pytest.raises(Denied, match="cannot be listed with the login key alone on this SWR: enter the SK"):
        client.catalog.repositories(key_only, "team")


def test_without_dockyard_and_without_a_management_host(swr: Swr, credentials: Credentials) -> None:
    """As in eu-ch2, whose host is not known (`docs/facts/swr.md §1`)."""
    client = client_of(swr, regions={"eu-de": RegionHosts(swr.url)})
    swr.answer("GET", DOCKYARD, 404)
    with pytest.raises(Denied, match="management API of eu-de is unknown"):
        client.catalog.repositories(credentials, "team")
    with pytest.raises(Denied, match="management API of eu-de is unknown"):
        client.catalog.delete_tag(Repository(credentials, NESTED), "v1")


@pytest.mark.parametrize(("code", "kind"), [("4040009", Denied), ("4040058", OrganizationUnknown)])
def test_what_dockyard_has_not(
    swr: Swr, client: SwrClient, key_only: Credentials, code: str, kind: type[AdapterError]
) -> None:
    """Its own code shows that it is there. An empty list does not tell whose the organization is."""
    swr.answer("GET", DOCKYARD, refusal(404, f"SVCSTG.SWR.{code}"))
    swr.answer("GET", "/dockyard/v2/namespaces", refusal(404, f"SVCSTG.SWR.{code}"))
    with pytest.raises(kind):
        client.catalog.repositories(key_only, "team")
    assert client.organizations.all(key_only) == []


@pytest.mark.parametrize(
    "answer",
    [refusal(404, "SVCSTG.SWR.4041057"), Response("null"), *(Response(status=code) for code in (404, 401, 302))],
)
def test_a_later_page_that_is_not_there_empties_nothing(
    swr: Swr, client: SwrClient, credentials: Credentials, key_only: Credentials, answer: Response
) -> None:
    def cut(entry: dict[str, Any]) -> Callable[[Request], Response]:
        return lambda request: page(entry, total=150) if request.args["offset"] == "0" else answer

    swr.answer("GET", REPOS, cut(repository()))
    swr.answer("GET", DOCKYARD, cut(repository()))
    swr.answer("GET", TAGS, cut(tag()))
    calls: list[Callable[[], object]] = [
        lambda: client.catalog.repositories(credentials, "team"),
        lambda: client.catalog.repositories(key_only, "team"),
        lambda: client.catalog.tags(Repository(credentials, NESTED)),
    ]
    for call in calls:
        with pytest.raises(AdapterError) as caught:
            call()
        assert caught.value.status in (401, 502, 503)
        if answer.data:
            assert isinstance(caught.value, Unavailable)
            assert "ends after 1 of 150 announced entries" in caught.value.sentence


def test_dockyard_that_ignores_the_offset(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    """A page shorter than the limit that comes again is the whole list; a full one is not."""
    few = [repository(name=f"r{number}") for number in range(3)]
    swr.answer("GET", DOCKYARD, Response(json.dumps(few)))
    assert [each.name for each in client.catalog.repositories(key_only, "team")] == ["r0", "r1", "r2"]
    assert len(asked(swr, DOCKYARD)) == 3
    swr.answer("GET", DOCKYARD, Response(json.dumps([repository(name=f"r{number}") for number in range(100)])))
    with pytest.raises(Unexpected, match="repeats the same page of 100 entries at every offset"):
        client.catalog.repositories(key_only, "team")


def test_a_refusal_of_dockyard(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    swr.answer("GET", DOCKYARD, refusal(403, "SVCSTG.SWR.4039002"))
    with pytest.raises(Denied, match="lacks the SWR permission"):
        client.catalog.repositories(key_only, "team")


def test_tags_have_names_only(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    swr.answer("GET", LISTS, {"name": "team/a/b", "tags": ["v2", "", "v1"]})
    found = client.catalog.tags(Repository(key_only, NESTED))
    assert [(each.name, each.digest) for each in found] == [("v1", None), ("v2", None)]
    assert swr.count("GET", LISTS) == 1


@pytest.mark.parametrize("names", [None, []])
def test_no_tags_may_mean_no_repository(swr: Swr, client: SwrClient, key_only: Credentials, names: Any) -> None:
    swr.answer("GET", LISTS, {"name": "team/a/b", "tags": names})
    swr.answer("GET", DOCKYARD, page(repository(name="a/b")))
    assert client.catalog.tags(Repository(key_only, NESTED)) == []
    swr.answer("GET", DOCKYARD, page(repository(name="a/c")))
    with pytest.raises(RepositoryUnknown):
        client.catalog.tags(Repository(key_only, NESTED))
    swr.answer("GET", DOCKYARD, 404)
    with pytest.raises(Denied, match=r"whether it exists cannot be seen .* enter the SK"):
        client.catalog.tags(Repository(key_only, NESTED))


# Deletion


def test_deleting_a_tag(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("DELETE", f"{TAGS}/v1", 204, 200)
    client.catalog.delete_tag(Repository(credentials, NESTED), "v1")
    client.catalog.delete_tag(Repository(credentials, NESTED), "v1")
    assert swr.count("DELETE", f"{TAGS}/v1") == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(404, "SVCSTG.SWR.4040048"), ManifestUnknown),
        (refusal(404, "SVCSTG.SWR.4040115"), ManifestUnknown),
        (refusal(404, "SVCSTG.SWR.4041056"), ManifestUnknown),
        (refusal(404, "SVCSTG.SWR.4040113"), RepositoryUnknown),
        (refusal(404, "SVCSTG.SWR.4040058"), OrganizationUnknown),
        (refusal(403, "SVCSTG.SWR.4039002"), Denied),
    ],
)
def test_a_tag_that_cannot_be_deleted(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response, kind: type[AdapterError]
) -> None:
    swr.answer("DELETE", f"{TAGS}/v1", answer)
    with pytest.raises(AdapterError) as caught:
        client.catalog.delete_tag(Repository(credentials, NESTED), "v1")
    assert type(caught.value) is kind


def test_a_login_key_deletes_no_tag(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    with pytest.raises(Denied, match="login key alone"):
        client.catalog.delete_tag(Repository(key_only, NESTED), "v1")
