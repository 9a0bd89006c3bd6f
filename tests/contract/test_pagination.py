from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask, Response, request
from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.pagination import Page, page_of, paged
from adapter.errors import InvalidRequest


class Peer:
    """Lists names under any path, and a client that follows links as Harbor does: by the path, on the same host."""

    def __init__(self, names: list[str], *, keyed: bool = True) -> None:
        self.names = names
        self._app = Flask("peer")
        key = str if keyed else None

        @self._app.route("/<path:name>")
        def listed(name: str) -> Response:
            return paged(request, sorted(self.names), key=key, show=lambda each: {"name": each})

    def get(self, target: str) -> Any:
        return self._app.test_client().get(target)

    def walk(self, target: str, between: list[Any] | None = None) -> list[list[str]]:
        pages = []
        while target:
            answer = self.get(target)
            pages.append([each["name"] for each in answer.json])
            target = next_in(answer.headers.get("Link", ""))
            if between:
                between.pop(0)(self.names)
        return pages


def next_in(link: str) -> str:
    """Harbor splits the header at commas first (`docs/facts/harbor.md D.1`)."""
    for part in link.split(","):
        if found := re.fullmatch(r'\s*<(/[^>]*)>; rel="next"\s*', part):
            return found[1]
    return ""


def names(count: int) -> list[str]:
    return [f"n{number:04}" for number in range(count)]


@given(st.integers(0, 60), st.integers(1, 20), st.booleans())
def test_pages_hold_everything_once(count: int, size: int, keyed: bool) -> None:
    pages = Peer(names(count), keyed=keyed).walk(f"/a?page_size={size}")
    assert [each for page in pages for each in page] == names(count)
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert len(pages) == max(1, -(-count // size))


change = st.one_of(
    st.text("abnz", min_size=1, max_size=3).map(lambda name: lambda stored: stored.append(name)),
    st.integers(0, 29).map(lambda at: lambda stored: stored.remove(f"n{at:04}") if f"n{at:04}" in stored else None),
)


@given(st.integers(1, 9), st.lists(change, min_size=40, max_size=40))
def test_pushes_and_deletions_between_pages_hide_and_repeat_nothing(size: int, between: list[Any]) -> None:
    peer = Peer(names(30))
    walked = [each for page in peer.walk(f"/a?page_size={size}", between) for each in page]
    there_throughout = set(names(30)) & set(peer.names)
    assert [each for each in walked if each in there_throughout] == sorted(there_throughout)


def test_a_page_by_number_alone() -> None:
    answer = Peer(names(120)).get("/a?page=2&page_size=100")
    assert [each["name"] for each in answer.json] == names(120)[100:]
    assert answer.headers["X-Total-Count"] == "120"
    assert answer.headers["Link"] == '</a?page=1&page_size=100>; rel="prev"'


def test_links_keep_the_query_and_escape_what_the_server_undid() -> None:
    answer = Peer(names(9)).get("/p/a%252Fb/%C3%A4?page_size=2&page=2&q=name%3D%7Ba+b,c%7D&with_label=true")
    previous, following = answer.headers["Link"].split(" , ")
    query = "q=name%3D%7Ba+b%2Cc%7D&with_label=true"
    assert previous == f'</p/a%252Fb/%C3%A4?page_size=2&page=1&{query}>; rel="prev"'
    assert following == f'</p/a%252Fb/%C3%A4?page_size=2&page=3&{query}&after=n0003>; rel="next"'


@pytest.mark.parametrize("target", ["/a?page=99", "/a?after=zzz", "/a?page=99999999999999999999"])
def test_beyond_the_end(target: str) -> None:
    answer = Peer(names(9)).get(target)
    assert answer.json == []
    assert answer.headers["X-Total-Count"] == "9"
    assert next_in(answer.headers.get("Link", "")) == ""


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=", "page_size=0", "page_size=٣", "page=1.5"])
def test_what_is_no_page(query: str) -> None:
    with Flask("x").test_request_context(f"/a?{query}"), pytest.raises(InvalidRequest):
        page_of(request)


@pytest.mark.parametrize(
    ("query", "page", "first"),
    [
        ("", Page(1, 10), True),
        ("page=1&page_size=5", Page(1, 5), True),
        ("page=3&page_size=500", Page(3, 100), False),
        ("page=1&after=x", Page(1, 10, "x"), False),
    ],
)
def test_pages(query: str, page: Page, first: bool) -> None:
    with Flask("x").test_request_context(f"/a?{query}"):
        assert page_of(request) == page
    assert page.first == first
