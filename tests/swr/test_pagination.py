from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapter.errors import RepositoryUnknown, Unavailable, Unexpected
from adapter.swr import pagination
from adapter.swr.pagination import MAX_ENTRIES, MAX_PAGES, PAGE_SIZE, Page, PagedList, RawPage, parse_page


@dataclass
class Server:
    """A list of names, sorted or latest push first.

    `cap` shortens its pages. `with_total`: it sends the size of the list. `after[n]` changes the list after page n.
    """

    names: list[str]
    cap: int = PAGE_SIZE
    with_total: bool = True
    sorted: bool = True
    after: dict[int, Callable[[list[str]], None]] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)

    def fetch(self, offset: int, limit: int) -> Page[str]:
        assert limit == PAGE_SIZE
        listed = sorted(self.names) if self.sorted else self.names
        chosen = listed[offset : offset + min(limit, self.cap)]
        self.offsets.append(offset)
        page = Page(chosen, len(chosen), len(listed) if self.with_total else None)
        if change := self.after.get(len(self.offsets)):
            change(self.names)
        return page

    def all(self) -> list[str]:
        return PagedList(self.fetch, str, "tags").all()


class Script:
    """Returns these pages, or a 404 in place of None; then the last one again if `repeat`."""

    def __init__(self, *pages: Page[str] | None, repeat: bool = False) -> None:
        self._pages = list(pages)
        self._repeat = repeat
        self.offsets: list[int] = []

    def fetch(self, offset: int, limit: int) -> Page[str]:
        self.offsets.append(offset)
        page = self._pages[0] if self._repeat and len(self._pages) == 1 else self._pages.pop(0)
        if page is None:
            raise RepositoryUnknown("no such page")
        return page

    def all(self) -> list[str]:
        return PagedList(self.fetch, str, "tags of a/b").all()


def page(names: str | list[str], total: int | None = None) -> Page[str]:
    return Page(list(names), len(names), total)


def names(count: int) -> list[str]:
    return [f"t{number:05}" for number in range(count)]


@given(st.integers(0, 60), st.integers(1, 9), st.booleans(), st.booleans())
def test_every_entry_is_found_with_one_request_per_page(count: int, cap: int, with_total: bool, by_name: bool) -> None:
    server = Server(names(count)[::-1], cap, with_total, by_name)
    assert server.all() == names(count)
    full = -(-count // cap)
    assert len(server.offsets) == (max(full, 1) if with_total else full + 1)


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (99, 1), (100, 1), (101, 2), (250, 3)])
def test_a_page_has_a_hundred_entries(count: int, requests: int) -> None:
    server = Server(names(count))
    assert len(server.all()) == count
    assert server.offsets == [PAGE_SIZE * number for number in range(requests)]


@given(
    st.integers(0, 40),
    st.integers(2, 9),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 12), st.text("abcxyz", min_size=1, max_size=3)), max_size=4, unique=True),
)
@example(1, 2, False, False, [(1, "a")])
@example(1, 2, False, False, [(1, "a"), (2, "b"), (3, "c"), (4, "x")])
def test_a_push_between_two_pages_hides_and_repeats_nothing(
    count: int, cap: int, with_total: bool, by_name: bool, pushed: list[tuple[int, str]]
) -> None:
    server = Server(names(count)[::-1], cap, with_total, by_name)
    for after, name in pushed:
        server.after[after] = lambda stored, name=name: stored.insert(0, name)  # type: ignore[misc]
    found = server.all()
    assert found == sorted(set(found))
    assert set(names(count)) <= set(found) <= set(server.names)


@given(st.integers(2, 40), st.integers(2, 9), st.booleans(), st.booleans(), st.data())
def test_a_deletion_or_second_push_between_two_pages_hides_nothing_if_swr_sends_a_total(
    count: int, cap: int, by_name: bool, pushed: bool, data: st.DataObject
) -> None:
    server = Server(names(count), cap, with_total=True, sorted=by_name)
    moved = data.draw(st.sampled_from(server.names))

    def change(stored: list[str]) -> None:
        stored.remove(moved)
        if pushed:
            stored.insert(0, moved)

    server.after[data.draw(st.integers(1, 6))] = change
    assert set(names(count)) - (set() if pushed else {moved}) <= set(server.all())


@pytest.mark.parametrize("by_name", [True, False])
def test_pushes_alone_cost_no_second_reading(by_name: bool) -> None:
    server = Server(names(20), cap=5, sorted=by_name)
    for number in (1, 2, 3):
        server.after[number] = lambda stored, number=number: stored.insert(0, f"a{number}")  # type: ignore[misc]
    assert set(names(20)) <= set(server.all())
    assert len(server.offsets) == 5


# Unusual pages


@pytest.mark.parametrize(("count", "total"), [(1, None), (7, None), (99, None), (7, 7), (PAGE_SIZE, PAGE_SIZE)])
def test_a_repeated_page_shorter_than_the_limit_is_the_whole_list(count: int, total: int | None) -> None:
    found = names(count)
    # In any order.
    script = Script(*(page(found[at:] + found[:at], total) for at in range(3)))
    assert script.all() == found
    assert script.offsets == ([0] if total else [0, count, 2 * count])


FULL, SEVEN = names(PAGE_SIZE), names(7)
FELL = [page("a", 3), page("c", 2)]
FELL_TO_THE_END = [page("a", 3), page("", 2)]
SHORT = [page("a", 3), page("", 3)]


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        # Entries that are left out or listed twice are not missing.
        ([Page(["a"], 3, 3)], ["a"]),
        ([page("aa", 2)], ["a"]),
        *(([page(SEVEN, total), page("xy", total), page("", total)], [*SEVEN, "x", "y"]) for total in (0, 1, 6)),
        # A page that is empty by mistake is requested again.
        ([page(SEVEN, 9), page("", 9), page(SEVEN, 9), page("xy", 9)], [*SEVEN, "x", "y"]),
        # Without a total, a second 404 after a short page is the end.
        ([page(SEVEN), None] * 2, SEVEN),
        ([page(FULL, 101), None, page(FULL, 100)], FULL),
        # The list stops changing.
        ([*FELL, *FELL, page("ab", 2)], ["a", "b", "c"]),
        ([*FELL_TO_THE_END, *SHORT, page("a", 1)], ["a"]),
        # An entry of an earlier reading does not replace one that is missing now.
        ([*FELL, page("a", 2), page("", 2), page("ab", 2)], ["a", "b", "c"]),
    ],
)
def test_pages_are_joined_to_a_list(pages: list[Page[str] | None], expected: list[str]) -> None:
    script = Script(*pages)
    assert script.all() == expected
    assert len(script.offsets) == len(pages)


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        *(([page(SEVEN, total), page("xy", total), page("", total)] * 2, rf"\(9 of {total} ") for total in (10, 5_000)),
        ([page(FULL), None] * 2, "breaks off after 100 entries"),
        ([page(FULL, 150), None] * 2, r"tags of a/b is incomplete \(100 of 150 announced entries\)"),
        ([page(SEVEN, 14)] * 4, r"incomplete \(7 of 14 announced entries\)"),
        ([*FELL, None], "changed"),
        (FELL * 3, r"tags of a/b changed during all 3 attempts"),
        ([page("a", 4), page("b"), page("d", 3)] * 3, "changed"),
        ([page("a", 4), page("c", 3), page("de", 4)] * 3, "changed"),
        ([each for total in (2, 3, 4) for each in (page("a", total), page("", total))], "changed"),
        ([*FELL_TO_THE_END, *SHORT, *SHORT], r"incomplete \(1 of 3"),
        ([*FELL_TO_THE_END, *FELL_TO_THE_END, *SHORT], "changed"),
    ],
)
def test_an_incomplete_or_changing_list_raises(pages: list[Page[str] | None], message: str) -> None:
    """Harbor treats missing entries as deleted, also one that moved to an earlier page."""
    script = Script(*pages)
    with pytest.raises(Unavailable, match=message) as caught:
        script.all()
    assert caught.value.retry_after == 10.0
    assert len(script.offsets) == len(pages)


@pytest.mark.parametrize(("count", "total"), [(PAGE_SIZE, None), (PAGE_SIZE, 150), (7, 50_000)])
def test_an_endless_list_raises(count: int, total: int | None) -> None:
    script = Script(page(names(count), total), repeat=True)
    with pytest.raises(Unexpected, match=f"returns the same page of {count} tags of a/b at every offset"):
        script.all()
    assert script.offsets == [0, count, 2 * count]

    def circle(offset: int, limit: int) -> Page[str]:
        return page([f"t{(offset + number) % 14}" for number in range(7)])

    with pytest.raises(Unexpected, match="keeps returning the same pages"):
        PagedList(circle, str, "tags").all()


def test_the_latest_version_of_an_entry_is_returned() -> None:
    answers = [Page([("a", 1), ("b", 1)], 2, 3), Page([("b", 2)], 1, 3), Page([("a", 1), ("b", 2), ("c", 1)], 3, 3)]
    found = PagedList(lambda offset, limit: answers.pop(0), lambda pair: pair[0], "tags")
    assert found.all() == [("a", 1), ("b", 2), ("c", 1)]


def test_too_many_pages_raise() -> None:
    server = Server(names(MAX_PAGES + 1), cap=1, with_total=False)
    with pytest.raises(Unexpected, match="exceeds 1000 pages"):
        server.all()
    assert len(server.offsets) == MAX_PAGES
    with pytest.raises(Unexpected, match="exceeds 1000 pages"):
        Script(Page([], 7, None), repeat=True).all()


def test_too_many_entries_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unexpected, match="exceeds 100000 entries"):
        Script(Page(["t"], 1, MAX_ENTRIES + 1)).all()
    monkeypatch.setattr(pagination, "MAX_ENTRIES", 50)
    with pytest.raises(Unexpected, match="exceeds 50 entries"):
        Server(names(60), with_total=False).all()


# Parsing a page


def read(entry: object) -> str | None:
    assert isinstance(entry, dict)
    return entry.get("n")


@pytest.mark.parametrize(
    ("header", "total"),
    [
        *((header, 9) for header in ("0-2/9", "items 0-2/9", " 0-2/ 9 ")),
        ("0-2/0", 0),
        *((header, None) for header in ("0-2/*", "0-2", "0-2/-9", "0-2/" + "9" * 40, "nonsense", "", None)),
    ],
)
def test_the_total_is_read_from_content_range(header: str | None, total: int | None) -> None:
    found = parse_page(RawPage(b'[{"n": "a"}, {"n": null}]', header), read, "tags")
    assert (found.entries, found.sent, found.total) == (["a"], 2, total)
    assert parse_page(RawPage(b"null", None), read, "tags") == Page([], 0, None)


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"{}", b"7", b'"x"', b"[1]", b"[null]", b"[[]]", b"[{}", b"[" * 100_000, b"\xff\xfe"]
)
def test_an_invalid_page_raises(document: bytes) -> None:
    with pytest.raises(Unexpected, match="cannot parse SWR's list of tags"):
        parse_page(RawPage(document, None), read, "tags")
