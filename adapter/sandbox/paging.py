"""Filters, order and pages of SWR's listings (docs/facts/swr.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from adapter.sandbox.knobs import Knobs

T = TypeVar("T")


class PagingError(ValueError):
    """offset and limit do not make a page."""


class PageAbsentError(Exception):
    """A page after the first one is answered with 404, as the knob `later_pages` wants it."""


@dataclass(frozen=True)
class Query:
    """The parameters, from plain ones and from `filter=key::value|key::value`, whose names are `filtered`."""

    values: Mapping[str, str]
    filtered: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Query:
        pairs = [part.partition("::") for part in parameters.get("filter", "").split("|") if part]
        filtered = {name: value for name, separator, value in pairs if separator}
        plain = {name: value for name, value in parameters.items() if name != "filter"}
        return cls({**filtered, **plain}, frozenset(filtered) - frozenset(plain))

    def check(self, wanted: str) -> None:
        """Raises PagingError when the listing does not take parameters of this form (docs/facts/swr.md §4.4, §4.5)."""
        ordered = {"order_column", "order_type"} & set(self.values)
        if (wanted == "filter" and not self.filtered) or (wanted == "unordered" and ordered):
            raise PagingError

    def accepts(self, name: str, value: str) -> bool:
        """Whether `value` passes the filter `name`: a part is enough in the filter form, else it must be equal."""
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
    """The entries asked for and `Content-Range: <offset>-<count>/<total>`. Raises PagingError, PageAbsentError."""
    offset, limit = _number(query, "offset"), _number(query, "limit")
    if knobs.on("paging_pairs") and (offset is None) != (limit is None):
        raise PagingError
    asked = limit is not None
    size = knobs.number("default_page") if limit is None else limit
    if not 0 < size <= knobs.number("max_page"):
        raise PagingError
    size = min(size, knobs.number("page_cap") or size)
    start = offset or 0
    chosen = entries[start : start + size]
    if start and is_absent(knobs, empty=not chosen):
        raise PageAbsentError
    headers = {}
    shown = knobs.text("content_range")
    if shown == "always" or (shown == "paged" and asked):
        headers["Content-Range"] = f"{start}-{len(chosen)}/{len(entries)}"
    return Page(chosen, headers)


def is_absent(knobs: Knobs, *, empty: bool) -> bool:
    """Whether a page after the first one is answered with 404."""
    wanted = knobs.text("later_pages")
    return wanted == "404" or (wanted == "end" and empty)
