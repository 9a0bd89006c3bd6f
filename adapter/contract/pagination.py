"""Harbor's paging: `page` and `page_size`, `X-Total-Count`, a host-relative `Link` (`docs/facts/harbor.md D.4`).

A `Link` to the next page also says after which entry it begins, as `after`. So what is pushed or deleted between two
pages neither hides nor repeats anything else, whichever replica is asked.
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

_LARGEST: Final = 100


@dataclass(frozen=True)
class Page:
    """Page `number` counts from 1; `after` is the key of the entry before it, None when only the number is known."""

    number: int
    size: int
    after: str | None = None

    @property
    def first(self) -> bool:
        """Whether a list begins here."""
        return self.number == 1 and self.after is None


def page_of(incoming: Request) -> Page:
    """Raises `InvalidRequest` for what is no page."""
    size = min(_positive(incoming, "page_size", 10), _LARGEST)
    return Page(_positive(incoming, "page", 1), size, incoming.args.get("after"))


def _positive(incoming: Request, name: str, default: int) -> int:
    text = incoming.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text[:10]) == 0:
        raise InvalidRequest(f"{name} must be a whole number from 1")
    return int(text[:10])


def paged(
    incoming: Request,
    entries: Sequence[T],
    *,
    key: Callable[[T], str] | None = None,
    show: Callable[[T], Any] = lambda entry: entry,
) -> Response:
    """The page of the entries that the request asks for, as JSON; with `key`, by which they are sorted, each page says
    where the next one begins."""
    page = page_of(incoming)
    start = (page.number - 1) * page.size
    if key is not None and page.after is not None:
        start = bisect_right(entries, page.after, key=key)
    chosen = entries[start : start + page.size]
    response = jsonify([show(entry) for entry in chosen])
    response.headers["X-Total-Count"] = str(len(entries))
    links = []
    if page.number > 1:
        links.append(f'<{_target(incoming, page.number - 1, None)}>; rel="prev"')
    if start + page.size < len(entries):
        after = None if key is None else key(chosen[-1])
        links.append(f'<{_target(incoming, page.number + 1, after)}>; rel="next"')
    if links:
        response.headers["Link"] = " , ".join(links)
    return response


def _target(incoming: Request, number: int, after: str | None) -> str:
    """The path as it came, its own escapes escaped again: the server undoes one layer of them."""
    query = {name: value for name, value in incoming.args.items() if name != "after"} | {"page": str(number)}
    if after is not None:
        query["after"] = after
    return f"{quote(incoming.path)}?{urlencode(query)}"
