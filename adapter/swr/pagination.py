"""Reads all pages of an SWR list (`docs/facts/swr.md §4`, Pagination), complete and bounded.

A page may be shorter than requested, and `Content-Range` may be missing; then only an empty page is the end. While the
pages are read, pushes and deletions change the list. A new entry in front shifts the others, and an entry that appears
twice is found by its key. A deletion may hide an entry; then the total falls, or the next page is missing, and the list
is read again. If the total keeps falling, or the list ends before its announced total, an error is raised: Harbor would
treat the missing entries as deleted. If SWR sends no total, such changes cannot be detected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from adapter.documents import dropping, parse_json
from adapter.errors import NotFound, Unavailable, Unexpected

T = TypeVar("T")

PAGE_SIZE: Final = 100
"""Entries requested at once: SWR's default. A tag includes its whole manifest, so more might be too large."""
MAX_PAGES: Final = 1000
MAX_ENTRIES: Final = 100_000
_MAX_PASSES: Final = 3
_MAX_PAGES_WITHOUT_NEW: Final = 8
"""In a row. Each new entry in front makes SWR send a short page again."""
_MAX_IDENTICAL_PAGES: Final = 3
"""In a row, with the same entries in any order: SWR ignores the offset. New entries in front do not look like this."""
RETRY_AFTER_SECONDS: Final = 10.0
"""Retry-After for a list that changed while it was read."""
_TOTAL: Final = re.compile(r"[^/]*/\s*(\d{1,18})\s*", re.ASCII)


@dataclass(frozen=True)
class RawPage:
    """A page as SWR sent it."""

    document: bytes
    content_range: str | None


@dataclass(frozen=True)
class Page(Generic[T]):
    """`sent` counts the entries that SWR sent, including those missing from `entries` because they were left out.

    `total` is the size of the whole list, None if SWR does not send it.
    """

    entries: Sequence[T]
    sent: int
    total: int | None


def parse_page(raw: RawPage, read: Callable[[Mapping[str, Any]], T | None], what: str) -> Page[T]:
    """Parses a JSON array. `read` parses one element, and returns None to leave it out. Raises `Unexpected`.

    `null` is an empty array, as Go writes one.
    """
    try:
        elements = parse_json(raw.document)
    except (ValueError, RecursionError):
        raise Unexpected(f"cannot parse SWR's list of {what} (not JSON): report this") from None
    if elements is None:
        elements = []
    if not isinstance(elements, list) or not all(isinstance(each, dict) for each in elements):
        raise Unexpected(f"cannot parse SWR's list of {what} (not a list of objects): report this")
    found = _TOTAL.fullmatch(raw.content_range or "")
    entries = [entry for each in elements if (entry := read(each)) is not None]
    return Page(entries, len(elements), int(found[1]) if found else None)


@dataclass(frozen=True)
class _PassResult:
    """The result of reading the list once.

    `total_fell`: whether a total was smaller than the one before. `first_total`: the first total, None without one;
    entries that are pushed later may be missing. `received`: the entries that SWR sent, including those left out.
    `page_missing`: SWR answered 404 for a page after the first. `last_page_full`: the last page had as many entries as
    requested, so there may be more.
    """

    total_fell: bool
    first_total: int | None
    received: int
    page_missing: bool
    last_page_full: bool

    @property
    def missing(self) -> int:
        """How many entries were announced but not sent."""
        return (self.first_total or 0) - self.received


@dataclass
class _Pass:
    """One reading of the list, in progress. `left_out` counts invalid entries, and those twice on one page."""

    offset: int = 0
    pages: int = 0
    left_out: int = 0
    pages_without_new: int = 0
    last_page_full: bool = False
    identical_pages: int = 0
    last_keys: frozenset[str] = frozenset()
    first_total: int | None = None
    last_total: int = 0
    total_fell: bool = False
    keys: set[str] = field(default_factory=set)

    def add(self, keys: frozenset[str], sent: int, total: int | None) -> None:
        """Adds a page."""
        self.offset += sent
        self.last_page_full = sent >= PAGE_SIZE
        self.left_out += sent - len(keys)
        self.identical_pages = self.identical_pages + 1 if keys == self.last_keys else 1
        self.pages_without_new = self.pages_without_new + 1 if keys and self.keys >= keys else 0
        self.last_keys = keys
        self.keys |= keys
        if total is not None:
            self.first_total = total if self.first_total is None else self.first_total
            self.total_fell = self.total_fell or total < self.last_total
            self.last_total = total

    def result(self, *, page_missing: bool = False) -> _PassResult:
        """The result if the list ends here."""
        received = len(self.keys) + self.left_out
        return _PassResult(self.total_fell, self.first_total, received, page_missing, self.last_page_full)


class PagedList(Generic[T]):
    """One list. `fetch` requests a page by offset and limit, `key` identifies an entry."""

    def __init__(self, fetch: Callable[[int, int], Page[T]], key: Callable[[T], str], what: str) -> None:
        self._fetch = fetch
        self._key = key
        self._what = what
        self._found: dict[str, T] = {}

    def all(self) -> list[T]:
        """All entries, sorted by key. Costs one request for each page, and one more if SWR sends no total.

        Raises `NotFound` if the first page is missing, `Unexpected`, and `Unavailable` for a list that changes each
        time it is read, or that ends before its announced total.
        """
        last: _PassResult | None = None
        for _ in range(_MAX_PASSES):
            result = self._read_once()
            repeated = result == last
            # Without a total, SWR may answer 404 in place of an empty page: each time, and after a short page.
            ended = not result.page_missing or (repeated and not result.last_page_full)
            if not result.total_fell and result.missing <= 0 and ended:
                return [self._found[key] for key in sorted(self._found)]
            if repeated and not result.total_fell:
                raise self._incomplete(result)
            last = result
        raise self._changed()

    def _read_once(self) -> _PassResult:
        progress = _Pass()
        while True:
            page = self._next_page(progress)
            if page is None:
                return progress.result(page_missing=True)
            entries = {self._key(entry): entry for entry in page.entries}
            self._found.update(entries)
            # A total smaller than what was sent counts something else.
            total = page.total if page.total is None or page.total >= progress.offset + page.sent else None
            progress.add(frozenset(entries), page.sent, total)
            self._check_size(len(self._found) + progress.left_out)
            if not page.sent or (total is not None and progress.offset >= total):
                return progress.result()
            if progress.identical_pages == _MAX_IDENTICAL_PAGES and entries:
                if page.sent < PAGE_SIZE and progress.first_total is None:
                    # SWR ignores the offset, and a page shorter than the limit is the whole list.
                    return progress.result()
                raise Unexpected(
                    f"SWR returns the same page of {page.sent} {self._what} at every offset, so the other entries "
                    "cannot be read: report this"
                )
            if progress.pages_without_new == _MAX_PAGES_WITHOUT_NEW:
                raise Unexpected(f"SWR keeps returning the same pages of {self._what}: report this")

    def _next_page(self, progress: _Pass) -> Page[T] | None:
        """None if a page after the first is missing."""
        progress.pages += 1
        if progress.pages > MAX_PAGES:
            raise Unexpected(
                f"SWR's list of {self._what} exceeds {MAX_PAGES} pages: narrow the name filter of the rule"
            )
        try:
            with dropping():
                page = self._fetch(progress.offset, PAGE_SIZE)
        except NotFound as error:
            if progress.offset:
                return None
            if self._found:
                raise self._changed() from error
            raise
        self._check_size(page.total or 0)
        return page

    def _check_size(self, count: int) -> None:
        if count > MAX_ENTRIES:
            raise Unexpected(
                f"SWR's list of {self._what} exceeds {MAX_ENTRIES} entries: narrow the name filter of the rule"
            )

    def _changed(self) -> Unavailable:
        return Unavailable(
            f"SWR's list of {self._what} changed during all {_MAX_PASSES} attempts to read it: run the rule again "
            "later",
            retry_after=RETRY_AFTER_SECONDS,
        )

    def _incomplete(self, result: _PassResult) -> Unavailable:
        if result.first_total is None:
            return Unavailable(
                f"SWR's list of {self._what} breaks off after {result.received} entries: run the rule again later",
                retry_after=RETRY_AFTER_SECONDS,
            )
        return Unavailable(
            f"SWR's list of {self._what} is incomplete ({result.received} of {result.first_total} announced entries): "
            "run the rule again later; if the error persists, grant permission to read all of them",
            retry_after=RETRY_AFTER_SECONDS,
        )
