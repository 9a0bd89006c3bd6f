"""All pages of one of SWR's listings (`docs/facts/swr.md §4`, Pagination): complete, and bounded whatever SWR answers.

A page may be shorter than asked for, and `Content-Range` may be missing; then only an empty page is the end. While
pages are read, tags come and go. What comes in front shows the end of the last page again, which is found by its name.
What goes may hide an entry; the total falls then, or the next page is not there any more, and the list is read again.
One that goes on falling, or that ends before its announced total, is refused: whoever got a part of it would take the
rest for deleted. Where SWR gives no total, none of this can be seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from adapter.documents import dropping, parse_json
from adapter.errors import NotFound, Unavailable, Unexpected

T = TypeVar("T")

LIMIT: Final = 100
"""Entries that are asked for at once: SWR's default. A tag comes with its whole manifest, so more might be too much."""
MOST_PAGES: Final = 1000
MOST_ENTRIES: Final = 100_000
_MOST_PASSES: Final = 3
_MOST_REPEATS: Final = 8
"""Pages without anything new, one after the other: a short page is shown again for each entry that comes in front."""
_SAME_PAGES: Final = 3
"""So many pages in a row with the same entries, in any order, are of an SWR that ignores the offset, not of entries
that came in front."""
LATER: Final = 10.0
"""Seconds after which a list that did not hold still may be asked for again."""
_TOTAL: Final = re.compile(r"[^/]*/\s*(\d{1,18})\s*", re.ASCII)


@dataclass(frozen=True)
class Page(Generic[T]):
    """`sent` is how many entries SWR sent, those that are left out of `entries` included.

    `total` is how many there are in all, None when SWR does not say.
    """

    entries: Sequence[T]
    sent: int
    total: int | None


def parse_page(
    document: bytes, content_range: str | None, read: Callable[[Mapping[str, Any]], T | None], what: str
) -> Page[T]:
    """A JSON array, each element for `read`, which gives None for one to leave out. Raises `Unexpected`.

    `null` is an empty array to programs written in Go, as Harbor's peers and SWR are.
    """
    try:
        raw = parse_json(document)
    except (ValueError, RecursionError):
        raise Unexpected(f"SWR's list of {what} cannot be read: it is not JSON") from None
    if raw is None:
        raw = []
    if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
        raise Unexpected(f"SWR's list of {what} cannot be read: it is not a list of objects")
    found = _TOTAL.fullmatch(content_range or "")
    entries = [entry for each in raw if (entry := read(each)) is not None]
    return Page(entries, len(raw), int(found[1]) if found else None)


@dataclass(frozen=True)
class _Pass:
    """What reading a list once showed.

    `steady`: its total never fell. `announced`: the total when it began, None without one; what comes while it is read
    need not be sent. `listed`: the entries that were sent, those that are left out included. `cut`: a page after the
    first one was answered with 404. `full`: the last page had as many entries as were asked for, so there may be more.
    """

    steady: bool
    announced: int | None
    listed: int
    cut: bool
    full: bool

    @property
    def missing(self) -> int:
        """How many entries were announced and not sent."""
        return (self.announced or 0) - self.listed


@dataclass
class _Reading:
    """A pass that is under way. `left_out`: entries without a use, and those that stand twice on one page."""

    offset: int = 0
    pages: int = 0
    left_out: int = 0
    without_new: int = 0
    full: bool = False
    same: int = 0
    last: frozenset[str] = frozenset()
    begun: int | None = None
    before: int = 0
    steady: bool = True
    here: set[str] = field(default_factory=set)

    def add(self, keys: tuple[str, ...], sent: int, total: int | None) -> None:
        """A page with distinct keys."""
        self.offset += sent
        self.full = sent >= LIMIT
        self.left_out += sent - len(keys)
        distinct = frozenset(keys)
        self.same = self.same + 1 if distinct == self.last else 1
        self.without_new = self.without_new + 1 if keys and self.here.issuperset(keys) else 0
        self.last = distinct
        self.here.update(keys)
        if total is not None:
            self.begun = total if self.begun is None else self.begun
            self.steady = self.steady and total >= self.before
            self.before = total

    def done(self, *, cut: bool = False) -> _Pass:
        """As it ends here."""
        return _Pass(self.steady, self.begun, len(self.here) + self.left_out, cut, self.full)


class Collection(Generic[T]):
    """One listing. `ask` fetches a page by offset and limit, `key` tells an entry from all others."""

    def __init__(self, ask: Callable[[int, int], Page[T]], key: Callable[[T], str], what: str) -> None:
        self._ask = ask
        self._key = key
        self._what = what
        self._found: dict[str, T] = {}

    def all(self) -> list[T]:
        """By key. Costs one request for each page, one more where SWR gives no total.

        Raises `NotFound` when it is the first page that is not there, `Unexpected`, and `Unavailable` for a list that
        changes each time it is read, or that ends before its announced total.
        """
        last: _Pass | None = None
        for _ in range(_MOST_PASSES):
            seen = self._pass()
            again = seen == last
            # Where SWR gives no total it may answer 404 for what is an empty page to others: each time, and after a
            # page that is shorter than the limit.
            if seen.steady and seen.missing <= 0 and (not seen.cut or (again and not seen.full)):
                return [self._found[key] for key in sorted(self._found)]
            if again and seen.steady:
                raise self._ends_early(seen)
            last = seen
        raise self._changed()

    def _pass(self) -> _Pass:
        reading = _Reading()
        while True:
            page = self._page(reading)
            if page is None:
                return reading.done(cut=True)
            entries = {self._key(entry): entry for entry in page.entries}
            self._found.update(entries)
            # A total that is less than what was sent counts something else.
            total = page.total if page.total is None or page.total >= reading.offset + page.sent else None
            reading.add(tuple(entries), page.sent, total)
            self._refuse_endless(len(self._found) + reading.left_out)
            if not page.sent or (total is not None and reading.offset >= total):
                return reading.done()
            if reading.same == _SAME_PAGES and entries:
                if page.sent < LIMIT and reading.begun is None:
                    # SWR ignores the offset, and would have sent more if there were more.
                    return reading.done()
                raise Unexpected(
                    f"SWR's list of {self._what} repeats the same page of {page.sent} entries at every offset, so the "
                    "rest cannot be read: report this"
                )
            if reading.without_new == _MOST_REPEATS:
                raise Unexpected(f"SWR's list of {self._what} repeats the same pages without an end: report this")

    def _page(self, reading: _Reading) -> Page[T] | None:
        """None for a page after the first one that is not there."""
        reading.pages += 1
        if reading.pages > MOST_PAGES:
            raise Unexpected(f"SWR's list of {self._what} does not come to an end within {MOST_PAGES} pages")
        try:
            with dropping():
                page = self._ask(reading.offset, LIMIT)
        except NotFound as error:
            if reading.offset:
                return None
            if self._found:
                raise self._changed() from error
            raise
        self._refuse_endless(page.total or 0)
        return page

    def _refuse_endless(self, count: int) -> None:
        if count > MOST_ENTRIES:
            raise Unexpected(f"SWR's list of {self._what} has more than {MOST_ENTRIES} entries: too many to list")

    def _changed(self) -> Unavailable:
        return Unavailable(
            f"SWR's list of {self._what} changed each of the {_MOST_PASSES} times that it was read, so some may be "
            "missing from it: try again later",
            retry_after=LATER,
        )

    def _ends_early(self, seen: _Pass) -> Unavailable:
        if seen.announced is None:
            return Unavailable(
                f"SWR's list of {self._what} broke off after {seen.listed} entries each time that it was read: try "
                "again later",
                retry_after=LATER,
            )
        return Unavailable(
            f"SWR's list of {self._what} ends after {seen.listed} of {seen.announced} announced entries, and the rest "
            "would pass for deleted: try again later, and if that does not help, grant the account the permission to "
            "read all of them",
            retry_after=LATER,
        )
