from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
import requests
from werkzeug import Request, Response

from adapter.errors import (
    AdapterError,
    Denied,
    OrganizationUnknown,
    RepositoryUnknown,
    TimedOut,
    Unavailable,
    Unexpected,
)
from adapter.swr import tags
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.tags import parse_tags
from tests.swr.scripted import TOKEN_PATH, Handler, Swr, error
from tests.swr.test_management import ASTRAY, NAMESPACES, entry, refusal

LIST = "/v2/org/repo/tags/list"
NEXT = f'<{LIST}?last=v2>; rel="next"'


class Lister:
    """Lists the tags of a repository, for which `swr` returns the answers one after the other."""

    def __init__(self, swr: Swr, client: SwrClient, repository: Repository) -> None:
        swr.grant()
        swr.answer("GET", NAMESPACES, {"namespaces": [entry("org")]})
        self.swr = swr
        self.client = client
        self.repository = repository

    def names(self, *answers: Handler | Response | int) -> list[str]:
        if answers:
            self.swr.answer("GET", LIST, *answers)
        return self.client.tag_lister.names(self.repository)


@pytest.fixture
def lister(swr: Swr, client: SwrClient, repository: Repository) -> Lister:
    return Lister(swr, client, repository)


def page(*tags: str | None, link: str = "") -> Response:
    return Response(json.dumps({"name": "org/repo", "tags": list(tags)}), headers={"Link": link} if link else {})


def test_a_whole_list_costs_one_request(lister: Lister) -> None:
    assert lister.names(page("v2", "", "v1", "V1", "", "v2")) == ["V1", "v1", "v2"]
    assert lister.swr.count("GET", LIST) == 1
    assert lister.swr.seen[-1].query_string == b""


@pytest.mark.parametrize("relation", ['rel="next"', "rel=next", 'rel="Next"; title=x'])
@pytest.mark.parametrize("form", ["relative", "absolute"])
def test_pages_are_joined(lister: Lister, form: str, relation: str) -> None:
    base = lister.swr.url if form == "absolute" else ""

    def answer(request: Request) -> Response:
        last = int(request.args.get("last", "0"))
        link = f'<{base}/v2/>; rel="first", <{base}{LIST}?n=2&last={last + 2}>; {relation}' if last < 4 else ""
        return page(f"v{last + 1}", f"v{last + 2}", link=link)

    assert lister.names(answer) == [f"v{number}" for number in range(1, 7)]
    queries = [parse_qs(request.query_string.decode()) for request in lister.swr.seen if request.path == LIST]
    assert [query.get("last") for query in queries] == [None, ["2"], ["4"]]


MISSING = error(404, "words", "NAME_UNKNOWN")
OTHER_HOST = "`registry` of eu-de in SWR_ADAPTER_REGIONS"


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (MISSING, RepositoryUnknown, "org/repo"),
        *((answer, Unexpected, OTHER_HOST) for answer in ASTRAY),
        (599, Unavailable, "599"),
        *((page("v1", link=f'<{LIST}{query}>; rel="next"'), Unexpected, "never ends") for query in ("", "?last=v1")),
    ],
)
def test_an_error_for_the_first_page_raises(
    lister: Lister, answer: Response | int, kind: type[AdapterError], message: str
) -> None:
    with pytest.raises(AdapterError, match=message) as caught:
        lister.names(answer)
    assert type(caught.value) is kind
    assert lister.swr.count("GET", LIST) <= 2 or answer == 599


def test_a_missing_organization_raises(lister: Lister) -> None:
    lister.swr.answer("GET", NAMESPACES, {"namespaces": []})
    with pytest.raises(Denied, match="'org'"):
        lister.names(401)
    lister.swr.answer("GET", f"{NAMESPACES}/org", refusal(404, "SVCSTG.SWR.4040058"))
    with pytest.raises(OrganizationUnknown, match="'org'"):
        lister.names()


def test_the_list_is_read_again_after_a_404_for_a_later_page(lister: Lister) -> None:
    first = page("v1", "v2", link=NEXT)
    assert lister.names(first, MISSING, first, page("v3")) == ["v1", "v2", "v3"]
    assert lister.swr.count("GET", LIST) == 4
    with pytest.raises(Unavailable, match="broke off after 2 tags in all 2 attempts") as caught:
        lister.names(first, MISSING, first, MISSING)
    assert caught.value.retry_after == 10.0


def test_a_list_beyond_its_limits_raises(lister: Lister, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "MAX_PAGES", 20)
    with pytest.raises(Unexpected, match="never ends"):
        lister.names(lambda request: page("v1", link=f'<{LIST}?last={len(lister.swr.seen)}>; rel="next"'))
    assert lister.swr.count("GET", LIST) == 20
    monkeypatch.setattr(tags, "MAX_TAGS", 3)
    with pytest.raises(Unexpected, match="never ends"):
        lister.names(page("v0", "v1", "v2", "v3", link=NEXT))
    with pytest.raises(Unexpected, match="more than"):
        lister.names(Response(b'{"tags":["' + b"x" * (9 << 20) + b'"]}'))
    monkeypatch.setattr(tags, "LIST_TIMEOUT_SECONDS", 0.0)
    with pytest.raises(TimedOut):
        lister.names(page("v1"))


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("http://127.0.0.9:1/v2/org/repo/tags/list?last=v1", "outside the registry API"),
        ("/elsewhere", "outside the registry API"),
        ("http://[::1", "an invalid Location"),
    ],
)
def test_a_next_page_elsewhere_is_not_requested(lister: Lister, link: str, message: str) -> None:
    with pytest.raises(Unexpected, match=message):
        lister.names(page("v1", link=f'<{link}>; rel="next"'))
    assert [request.path for request in lister.swr.seen if request.path != TOKEN_PATH] == [LIST]


@pytest.mark.parametrize("part", ["<", "<a>;", "<a>; rel=", "<a> ", " ", ", <", ",  "])
def test_a_link_header_costs_no_more_than_its_length(lister: Lister, part: str) -> None:
    """Quadratic work would take minutes, and the time limit of a test would end it."""
    response = requests.Response()
    response.headers["Link"] = "<a>" + part * (1_000_000 // len(part))
    assert lister.client.tag_lister._next_path(lister.repository.credentials, response) is None


DOCUMENTS = ["", "[]", "{}", *(f'{{"tags":{each}}}' for each in ('{"a":1}', '"v1"', "[1]", "0", '""')), "[" * 99_999]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_an_invalid_list_raises(document: str) -> None:
    with pytest.raises(Unexpected, match="cannot parse SWR's tag list"):
        parse_tags(document.encode())


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        *((text, set()) for text in ('{"name": "x", "tags": null}', '{"name": "x"}', '{"tags": ["", null]}')),
        (json.dumps({"tags": ["v1", " ", "a/b", "sha256:0", "x" * 129, "é"]}), {"v1"}),
    ],
)
def test_invalid_tags_are_left_out(document: str, expected: set[str]) -> None:
    assert parse_tags(document.encode()) == expected
