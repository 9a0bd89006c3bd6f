"""Harbor's paging: `page` and `page_size`, `X-Total-Count`, a host-relative `Link` (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlencode

from flask import Request, Response, jsonify

from adapter.errors import InvalidRequest

T = TypeVar("T")

_LARGEST: Final = 100


@dataclass(frozen=True)
class Page:
    """Page `number` counts from 1."""

    number: int
    size: int


def page_of(incoming: Request) -> Page:
    """Raises `InvalidRequest` for what is no page."""
    return Page(_positive(incoming, "page", 1), min(_positive(incoming, "page_size", 10), _LARGEST))


def _positive(incoming: Request, name: str, default: int) -> int:
    text = incoming.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text[:10]) == 0:
        raise InvalidRequest(f"{name} must be a whole number from 1")
    return int(text[:10])


def paged(incoming: Request, entries: Sequence[T]) -> Response:
    """The page of the entries that the request asks for, as JSON."""
    page = page_of(incoming)
    first = (page.number - 1) * page.size
    response = jsonify(list(entries[first : first + page.size]))
    response.headers["X-Total-Count"] = str(len(entries))
    links = []
    if page.number > 1:
        links.append(f'<{_target(incoming, page.number - 1)}>; rel="prev"')
    if first + page.size < len(entries):
        links.append(f'<{_target(incoming, page.number + 1)}>; rel="next"')
    if links:
        response.headers["Link"] = " , ".join(links)
    return response


def _target(incoming: Request, number: int) -> str:
    query = {**incoming.args.to_dict(), "page": str(number)}
    return f"{incoming.path}?{urlencode(query)}"
