from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask, Response, request
from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.pagination import page_of, paged
from adapter.errors import InvalidRequest


class Peer:
    """An application that lists names, and a client that follows links as Harbor does, by path."""

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
def test_pages_have_every_entry_once(count: int, size: int, keyed: bool) -> None:
    pages = Peer(names(count), keyed=keyed).walk(f"/a?page_size={size}")
    assert [each for page in pages for each in page] == names(count)
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert len(pages) == max(1, -(-count // size))


change = st.one_of(
    st.text("abnz", min_size=1, max_size=3).map(lambda name: lambda stored: stored.append(name)),
    st.integers(0, 29).map(lambda at: lambda stored: stored.remove(f"n{at:04}") if f"n{at:04}" in stored else None),
)


@given(st.integers(1, 9), st.lists(change, min_size=40, max_size=40))
def test_changes_between_pages_hide_and_repeat_nothing(size: int, between: list[Any]) -> None:
    peer = Peer(names(30))
    walked = [each for page in peer.walk(f"/a?page_size={size}", between) for each in page]
    there_throughout = set(names(30)) & set(peer.names)
    assert [each for each in walked if each in there_throughout] == sorted(there_throughout)


def test_links_keep_the_query_and_the_escapes_of_the_path() -> None:
    answer = Peer(names(9)).get("/p/a%252Fb/%C3%A4?page_size=2&page=2&q=name%3D%7Ba+b,c%7D&with_label=true")
    previous, following = answer.headers["Link"].split(" , ")
    query = "q=name%3D%7Ba+b%2Cc%7D&with_label=true"
    assert previous == f'</p/a%252Fb/%C3%A4?page_size=2&page=1&{query}>; rel="prev"'
    assert following == f'</p/a%252Fb/%C3%A4?page_size=2&page=3&{query}&after=n0003>; rel="next"'


@pytest.mark.parametrize("target", ["/a?page=99", "/a?after=zzz", "/a?page=99999999999999999999"])
def test_page_after_the_end(target: str) -> None:
    answer = Peer(names(9)).get(target)
    assert answer.json == []
    assert answer.headers["X-Total-Count"] == "9"
    assert next_in(answer.headers.get("Link", "")) == ""


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=", "page_size=0", "page_size=٣", "page=1.5"])
def test_invalid_pages(query: str) -> None:
    with Flask("x").test_request_context(f"/a?{query}"), pytest.raises(InvalidRequest):
        page_of(request)
