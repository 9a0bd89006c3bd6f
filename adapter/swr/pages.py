"""All pages of one of SWR's listings (`docs/facts/swr.md §4`, Pagination): complete, and bounded whatever SWR answers.

A page may be shorter than asked for, and `Content-Range` may be missing; then only an empty page is the end. While
pages are read, tags come and go. What comes in front shows the end of the last page again, which is found by its name.
What goes may hide an entry; the total falls then, and the list is read once more. One that goes on falling is refused:
whoever got a part of it would take the rest for gone. Where SWR gives no total, none of this can be seen.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from adapter.documents import dropping, parse_json
from adapter.errors import Unavailable, Unexpected

log = logging.getLogger(__name__)

T = TypeVar("T")

LIMIT: Final = 100
"""Entries that are asked for at once: SWR's default. A tag comes with its whole manifest, so more might be too much."""
MOST_PAGES: Final = 1000
MOST_ENTRIES: Final = 100_000
_MOST_PASSES: Final = 3
_MOST_REPEATS: Final = 8
"""Pages without anything new, one after the other: a short page is shown again for each entry that comes in front."""
_LATER: Final = 10.0
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
        raise Unexpected(f"SWR's list of {what} cannot be read: it is no JSON") from None
    if raw is None:
        raw = []
    if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
        raise Unexpected(f"SWR's list of {what} cannot be read: it is no list of objects")
    found = _TOTAL.fullmatch(content_range or "")
    entries = [entry for each in raw if (entry := read(each)) is not None]
    return Page(entries, len(raw), int(found[1]) if found else None)


@dataclass(frozen=True)
class _Pass:
    """What reading a list once showed. `steady`: its total never fell. `missing`: how many entries were announced when
    it began and not sent; what comes while it is read need not be."""

    steady: bool
    missing: int


class Collection(Generic[T]):
    """One listing. `ask` fetches a page by offset and limit, `key` tells an entry from all others."""

    def __init__(self, ask: Callable[[int, int], Page[T]], key: Callable[[T], str], what: str) -> None:
        self._ask = ask
        self._key = key
        self._what = what
        self._found: dict[str, T] = {}
        self._pages = 0

    def all(self) -> list[T]:
        """By key. Costs one request for each page, one more where SWR gives no total.

        Raises `Unexpected`, and `Unavailable` for a list that changes each time it is read.
        """
        last: _Pass | None = None
        for _ in range(_MOST_PASSES):
            seen = self._pass(first=last is None)
            if seen.steady and (seen.missing <= 0 or seen == last):
                if seen.missing > 0:
                    log.warning("SWR announces %d more %s than it lists", seen.missing, self._what)
                return [self._found[key] for key in sorted(self._found)]
            last = seen
        raise Unavailable(
            f"SWR's list of {self._what} changed each of the {_MOST_PASSES} times that it was read, so some may be "
            "missing from it: try again later",
            retry_after=_LATER,
        )

    def _pass(self, *, first: bool) -> _Pass:
        offset = left_out = repeats = 0
        here: set[str] = set()
        begun: int | None = None
        before, steady = 0, True
        while True:
            page = self._page(offset)
            known = len(self._found)
            entries = {self._key(entry): entry for entry in page.entries}
            self._found.update(entries)
            here.update(entries)
            left_out += page.sent - len(page.entries)
            offset += page.sent
            self._refuse_endless(len(self._found) + left_out)
            repeats = repeats + 1 if len(self._found) == known and page.entries else 0
            if first and repeats == _MOST_REPEATS:
                raise Unexpected(f"SWR's list of {self._what} repeats the same page: it has no end")
            if page.total is not None:
                begun = page.total if begun is None else begun
                steady = steady and page.total >= before
                before = page.total
            if not page.sent or (page.total is not None and offset >= page.total):
                return _Pass(steady, (begun or 0) - len(here) - left_out)

    def _page(self, offset: int) -> Page[T]:
        self._pages += 1
        if self._pages > MOST_PAGES:
            raise Unexpected(f"SWR's list of {self._what} does not come to an end within {MOST_PAGES} pages")
        with dropping():
            page = self._ask(offset, LIMIT)
        self._refuse_endless(page.total or 0)
        return page

    def _refuse_endless(self, count: int) -> None:
        if count > MOST_ENTRIES:
            raise Unexpected(f"SWR's list of {self._what} has more than {MOST_ENTRIES} entries: too many to list")
