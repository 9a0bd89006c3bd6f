"""Harbor's pagination: `page` and `page_size`, `X-Total-Count`, a host-relative `Link` (`docs/facts/harbor.md D.4`).

A `Link` to the next page also has the key of the entry before that page, as `after`. So a push or deletion between two
pages neither hides nor repeats another entry, whichever replica responds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from flask import Request, Response, jsonify

from adapter.errors import InvalidRequest

T = TypeVar("T")

_MAX_PAGE_SIZE: Final = 100


@dataclass(frozen=True)
class Page:
    """A page of `size` entries. `number` starts at 1. `after` is the key of the entry before the page, if known."""

    number: int
    size: int
    after: str | None = None

    @property
    def first(self) -> bool:
        """Whether the page begins a list."""
        return self.number == 1 and self.after is None


def page_of(incoming: Request) -> Page:
    """The page that a request selects. Raises `InvalidRequest` if `page` or `page_size` is not a positive integer."""
    size = min(_positive(incoming, "page_size", 10), _MAX_PAGE_SIZE)
    return Page(_positive(incoming, "page", 1), size, incoming.args.get("after"))


def _positive(incoming: Request, name: str, default: int) -> int:
    text = incoming.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text[:10]) == 0:
        raise InvalidRequest(f"{name} must be an integer, 1 or greater")
    return int(text[:10])


def paged(
    incoming: Request,
    entries: Sequence[T],
    *,
    key: Callable[[T], str] | None = None,
    show: Callable[[T], Any] = lambda entry: entry,
) -> Response:
    """The requested page as JSON, each entry as `show` returns it.

    `key` is the key by which the entries are sorted: with it the link to the next page has `after`.
    """
    page = page_of(incoming)
    start = (page.number - 1) * page.size
    if key is not None and page.after is not None:
        start = bisect_right(entries, page.after, key=key)
    shown = entries[start : start + page.size]
    response = jsonify([show(entry) for entry in shown])
    response.headers["X-Total-Count"] = str(len(entries))
    links = []
    if page.number > 1:
        links.append(f'<{_target(incoming, page.number - 1, None)}>; rel="prev"')
    if start + page.size < len(entries):
        after = None if key is None else key(shown[-1])
        links.append(f'<{_target(incoming, page.number + 1, after)}>; rel="next"')
    if links:
        response.headers["Link"] = " , ".join(links)
    return response


def _target(incoming: Request, number: int, after: str | None) -> str:
    """The path of the request and the query of another page. The server has undone one escape of the path: `quote`
    restores it."""
    query = {name: value for name, value in incoming.args.items() if name != "after"} | {"page": str(number)}
    if after is not None:
        query["after"] = after
    return f"{quote(incoming.path)}?{urlencode(query)}"
