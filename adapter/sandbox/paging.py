"""Filters, order and pages of SWR listings (docs/facts/swr.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from adapter.sandbox.knobs import Knobs

T = TypeVar("T")


class PagingError(ValueError):
    """offset and limit do not select a page."""


class PageAbsentError(Exception):
    """The knob `later_pages` makes this page a 404."""


@dataclass(frozen=True)
class Query:
    """Query parameters; `filtered` are the names of those in `filter=key::value|key::value`."""

    values: Mapping[str, str]
    filtered: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Query:
        pairs = [part.partition("::") for part in parameters.get("filter", "").split("|") if part]
        filtered = {name: value for name, separator, value in pairs if separator}
        plain = {name: value for name, value in parameters.items() if name != "filter"}
        return cls({**filtered, **plain}, frozenset(filtered) - frozenset(plain))

    def check(self, accepted: str) -> None:
        """Checks the form of the query (docs/facts/swr.md §4.4, §4.5).

        :raises PagingError: when the listing does not accept it.
        """
        ordered = {"order_column", "order_type"} & set(self.values)
        if (accepted == "filter" and not self.filtered) or (accepted == "unordered" and ordered):
            raise PagingError

    def accepts(self, name: str, value: str) -> bool:
        """Whether `value` matches the parameter `name`: contains it if it is a filter, else equals it."""
        wanted = self.values.get(name)
        if wanted is None:
            return True
        return wanted in value if name in self.filtered else wanted == value


@dataclass(frozen=True)
class Page(Generic[T]):
    entries: list[T]
    headers: dict[str, str]


def _number(query: Query, name: str) -> int | None:
    text = query.values.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise PagingError
    return int(text)


def page(entries: list[T], query: Query, knobs: Knobs) -> Page[T]:
    """The requested entries and `Content-Range: <offset>-<count>/<total>`.

    :raises PagingError: when offset or limit is invalid.
    :raises PageAbsentError: when the knob `later_pages` makes the page a 404.
    """
    offset, limit = _number(query, "offset"), _number(query, "limit")
    if knobs.on("paging_pairs") and (offset is None) != (limit is None):
        raise PagingError
    paged = limit is not None
    size = knobs.number("default_page") if limit is None else limit
    if not 0 < size <= knobs.number("max_page"):
        raise PagingError
    size = min(size, knobs.number("page_cap") or size)
    start = offset or 0
    chosen = entries[start : start + size]
    if start and is_absent(knobs, empty=not chosen):
        raise PageAbsentError
    headers = {}
    content_range = knobs.text("content_range")
    if content_range == "always" or (content_range == "paged" and paged):
        headers["Content-Range"] = f"{start}-{len(chosen)}/{len(entries)}"
    return Page(chosen, headers)


def is_absent(knobs: Knobs, *, empty: bool) -> bool:
    """Whether a page after the first page is a 404."""
    later_pages = knobs.text("later_pages")
    return later_pages == "404" or (later_pages == "end" and empty)
