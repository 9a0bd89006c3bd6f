from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from werkzeug import Request, Response

from adapter.credentials import Credentials
from adapter.errors import Denied, OrganizationUnknown, RepositoryUnknown, TimedOut, Unavailable, Unexpected
from adapter.references import RepositoryName
from adapter.swr import tags
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.tags import TagLister, tags_in
from tests.swr.scripted import Swr
from tests.swr.test_management import ASTRAY, NAMESPACES, entry

REPOSITORY = RepositoryName("org", "repo")
LIST = "/v2/org/repo/tags/list"


@pytest.fixture(autouse=True)
def _granted(swr: Swr) -> None:
    swr.grant()
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("org")]})


@pytest.fixture
def lists(client: SwrClient) -> TagLister:
    return client.tag_lister


def page(*tags: str | None, link: str | None = None) -> Response:
    headers = {"Link": link} if link else {}
    return Response(json.dumps({"name": "org/repo", "tags": list(tags)}), headers=headers)


def test_one_request_serves_a_whole_list(swr: Swr, lists: TagLister, credentials: Credentials) -> None:
    swr.answer("GET", LIST, page("v2", "", "v1", "V1", "", "v2"))
    assert lists.names(Repository(credentials, REPOSITORY)) == ["V1", "v1", "v2"]
    assert swr.count("GET", LIST) == 1
    assert swr.seen[-1].query_string == b""


@pytest.mark.parametrize("form", ["relative", "absolute"])
def test_pages_are_joined(swr: Swr, lists: TagLister, credentials: Credentials, form: str) -> None:
    base = swr.url if form == "absolute" else ""

    def answer(request: Request) -> Response:
        last = int(request.args.get("last", "0"))
        link = f'<{base}{LIST}?n=2&last={last + 2}>; rel="next"' if last < 6 else None
        return page(f"v{last + 1}", f"v{last + 2}", link=link)

    swr.answer("GET", LIST, answer)
    assert lists.names(Repository(credentials, REPOSITORY)) == [f"v{number}" for number in range(1, 9)]
    assert [parse_qs(request.query_string.decode()).get("last") for request in swr.seen if request.path == LIST] == [
        None,
        ["2"],
        ["4"],
        ["6"],
    ]


@pytest.mark.parametrize(
    "answer", [{"name": "org/repo", "tags": None}, {"name": "x"}, {"tags": []}, {"tags": [""]}, {"tags": [None]}]
)
def test_a_missing_repository_has_no_tags(
    swr: Swr, lists: TagLister, credentials: Credentials, answer: dict[str, object]
) -> None:
    swr.answer("GET", LIST, answer)
    assert lists.names(Repository(credentials, REPOSITORY)) == []


def refusal(status: int, code: str) -> Response:
    return Response(json.dumps({"errors": [{"code": code, "message": "words"}]}), status)


def test_a_404_stays_one(swr: Swr, lists: TagLister, credentials: Credentials) -> None:
    swr.answer("GET", LIST, refusal(404, "NAME_UNKNOWN"))
    with pytest.raises(RepositoryUnknown, match="org/repo"):
        lists.names(Repository(credentials, REPOSITORY))


@pytest.mark.parametrize("answer", ASTRAY)
def test_a_404_of_another_server_says_nothing(
    swr: Swr, lists: TagLister, credentials: Credentials, answer: Response
) -> None:
    swr.answer("GET", LIST, answer)
    with pytest.raises(Unexpected, match="`registry` of eu-de in SWR_ADAPTER_REGIONS"):
        lists.names(Repository(credentials, REPOSITORY))


def test_a_missing_organization(swr: Swr, lists: TagLister, credentials: Credentials) -> None:
    swr.answer("GET", LIST, 401)
    swr.answer("GET", NAMESPACES, {"namespaces": []})
    with pytest.raises(Denied, match="'org' does not exist in SWR, or belongs to another account"):
        lists.names(Repository(credentials, REPOSITORY))
    gone = [{"errorCode": "SVCSTG.SWR.4040058", "errorMessage": "words"}]
    swr.answer("GET", f"{NAMESPACES}/org", Response(json.dumps(gone), 404))
    with pytest.raises(OrganizationUnknown, match="'org'"):
        lists.names(Repository(credentials, REPOSITORY))


def paged(*later: Response | int) -> Callable[[Request], Response]:
    """A first page, and then one after the other what is answered to the second one."""
    left = list(later)

    def answer(request: Request) -> Response:
        if "last" not in request.args:
            return page("v1", "v2", link=f'<{LIST}?last=v2>; rel="next"')
        found = left.pop(0)
        return refusal(404, "NAME_UNKNOWN") if isinstance(found, int) else found

    return answer


def test_a_later_page_that_is_not_there_makes_the_list_be_read_again(
    swr: Swr, lists: TagLister, credentials: Credentials
) -> None:
    swr.answer("GET", LIST, paged(404, page("v3")))
    assert lists.names(Repository(credentials, REPOSITORY)) == ["v1", "v2", "v3"]
    assert swr.count("GET", LIST) == 4


def test_a_later_page_that_stays_away_is_never_the_end(swr: Swr, lists: TagLister, credentials: Credentials) -> None:
    swr.answer("GET", LIST, paged(404, 404))
    with pytest.raises(Unavailable, match="broke off after 2 tags each of the 2 times that it was read") as caught:
        lists.names(Repository(credentials, REPOSITORY))
    assert caught.value.retry_after == 10.0


@pytest.mark.parametrize("link", [f'<{LIST}>; rel="next"', f"<{LIST}?last=v1>; rel=next"])
def test_a_page_that_leads_to_itself(swr: Swr, lists: TagLister, credentials: Credentials, link: str) -> None:
    swr.answer("GET", LIST, page("v1", link=link))
    with pytest.raises(Unexpected, match="end"):
        lists.names(Repository(credentials, REPOSITORY))
    assert swr.count("GET", LIST) <= 2


def test_pages_without_end(
    swr: Swr, lists: TagLister, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "MOST_PAGES", 20)
    swr.answer("GET", LIST, lambda _: page(f"v{len(swr.seen)}", link=f'<{LIST}?last={len(swr.seen)}>; rel="next"'))
    with pytest.raises(Unexpected, match="end"):
        lists.names(Repository(credentials, REPOSITORY))
    assert swr.count("GET", LIST) == 20


def test_a_list_that_takes_too_long(
    swr: Swr, lists: TagLister, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "LONGEST", 0.0)
    swr.answer("GET", LIST, page("v1"))
    with pytest.raises(TimedOut):
        lists.names(Repository(credentials, REPOSITORY))


def test_more_tags_than_anyone_has(
    swr: Swr, lists: TagLister, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "MOST_TAGS", 3)
    names = [f"v{number}" for number in range(4)]
    swr.answer("GET", LIST, page(*names, link=f'<{LIST}?last=v3>; rel="next"'))
    with pytest.raises(Unexpected, match="end"):
        lists.names(Repository(credentials, REPOSITORY))


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("http://127.0.0.9:1/v2/org/repo/tags/list?last=v1", "at another place: not followed"),
        ("/elsewhere", "at another place: not followed"),
        ("http://[::1", "an invalid Location"),
    ],
)
def test_a_next_page_elsewhere_is_not_asked_for(
    swr: Swr, lists: TagLister, credentials: Credentials, link: str, message: str
) -> None:
    swr.answer("GET", LIST, page("v1", link=f'<{link}>; rel="next"'))
    with pytest.raises(Unexpected, match=message):
        lists.names(Repository(credentials, REPOSITORY))
    assert [request.path for request in swr.seen if request.path != "/swr/auth/v2/registry/auth/"] == [LIST]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"tags":{"a":1}}',
        b'{"tags":"v1"}',
        b'{"tags":[1]}',
        b'{"tags":0}',
        b'{"tags":""}',
        b"[" * 99_999,
    ],
)
def test_nonsense(document: bytes) -> None:
    with pytest.raises(Unexpected, match="cannot be read"):
        tags_in(document)


def test_what_is_no_tag_is_left_out() -> None:
    assert tags_in(json.dumps({"tags": ["v1", " ", "a/b", "sha256:0", "x" * 129, "é"]}).encode()) == {"v1"}


def test_a_list_of_more_bytes_than_are_read(swr: Swr, lists: TagLister, credentials: Credentials) -> None:
    swr.answer("GET", LIST, Response(b'{"tags":["' + b"x" * (9 << 20) + b'"]}'))
    with pytest.raises(Unexpected, match="more than"):
        lists.names(Repository(credentials, REPOSITORY))


def test_other_refusals_pass(swr: Swr, lists: TagLister, credentials: Credentials) -> None:
    swr.answer("GET", LIST, 599)
    with pytest.raises(Unavailable):
        lists.names(Repository(credentials, REPOSITORY))
