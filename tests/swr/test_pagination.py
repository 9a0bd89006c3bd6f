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

    `cap` shortens its pages. `with_total`: it sends the size of the list. `empty_is_404`: it answers 404 in place of an
    empty page. `after[n]` changes the list after page n.
    """

    names: list[str]
    cap: int = PAGE_SIZE
    with_total: bool = True
    sorted: bool = True
    empty_is_404: bool = False
    after: dict[int, Callable[[list[str]], None]] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)

    def fetch(self, offset: int, limit: int) -> Page[str]:
        assert limit == PAGE_SIZE
        listed = sorted(self.names) if self.sorted else self.names
        chosen = listed[offset : offset + min(limit, self.cap)]
        self.offsets.append(offset)
        if self.empty_is_404 and offset and not chosen:
            raise RepositoryUnknown("no such page")
        page = Page(chosen, len(chosen), len(listed) if self.with_total else None)
        if change := self.after.get(len(self.offsets)):
            change(self.names)
        return page

    def all(self) -> list[str]:
        return PagedList(self.fetch, str, "tags").all()


class Script:
    """Pages, or 404 in place of None: one after the other, the last one repeatedly if `repeat`."""

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


def test_pushes_that_fill_a_page_do_not_end_the_list() -> None:
    server = Server(names(9), cap=2, with_total=False, sorted=False)
    server.after[1] = lambda stored: stored.__setitem__(slice(0, 0), ["x", "y"])
    assert set(names(9)) <= set(server.all())


# Endless lists


@pytest.mark.parametrize(("count", "total"), [(1, None), (7, None), (99, None), (7, 7), (PAGE_SIZE, PAGE_SIZE)])
def test_a_repeated_page_shorter_than_the_limit_is_the_whole_list(count: int, total: int | None) -> None:
    found = names(count)
    # In any order.
    script = Script(*(Page(found[at:] + found[:at], count, total) for at in range(3)))
    assert script.all() == found
    assert script.offsets == ([0] if total else [0, count, 2 * count])


@pytest.mark.parametrize(("count", "total"), [(PAGE_SIZE, None), (PAGE_SIZE, 150), (7, 50_000)])
def test_a_repeated_page_is_not_the_whole_list_if_there_may_be_more(count: int, total: int | None) -> None:
    script = Script(Page(names(count), count, total), repeat=True)
    with pytest.raises(Unexpected, match=f"returns the same page of {count} tags of a/b at every offset"):
        script.all()
    assert script.offsets == [0, count, 2 * count]


def test_pages_in_a_circle_raise() -> None:
    def fetch(offset: int, limit: int) -> Page[str]:
        return Page([f"t{(offset + number) % 14}" for number in range(7)], 7, None)

    with pytest.raises(Unexpected, match="keeps returning the same pages"):
        PagedList(fetch, str, "tags").all()


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


# Totals


@pytest.mark.parametrize("total", [10, 5_000])
def test_a_list_that_ends_before_its_total_raises_after_a_second_reading(total: int) -> None:
    """Harbor treats missing entries as deleted. An empty page may have been a mistake."""
    pages = [Page(names(7), 7, total), Page(["x", "y"], 2, total), Page[str]([], 0, total)] * 2
    script = Script(*pages)
    with pytest.raises(Unavailable, match=rf"tags of a/b is incomplete \(9 of {total} announced entries\)") as caught:
        script.all()
    assert caught.value.retry_after == 10.0
    assert script.offsets == [0, 7, 9] * 2


@pytest.mark.parametrize("total", [0, 1, 6])
def test_a_total_smaller_than_what_was_sent_is_ignored(total: int) -> None:
    pages = [Page(names(9)[:7], 7, total), Page(names(9)[7:], 2, total), Page([], 0, total)]
    assert Script(*pages).all() == names(9)


def test_entries_that_are_left_out_or_listed_twice_are_not_missing() -> None:
    for page in (Page(["a"], 3, 3), Page(["a", "a"], 2, 2)):
        script = Script(page)
        assert script.all() == ["a"]
        assert script.offsets == [0]


def test_the_latest_version_of_an_entry_counts() -> None:
    answers = [Page([("a", 1), ("b", 1)], 2, 3), Page([("b", 2)], 1, 3), Page([("a", 1), ("b", 2), ("c", 1)], 3, 3)]
    found = PagedList(lambda offset, limit: answers.pop(0), lambda pair: pair[0], "tags")
    assert found.all() == [("a", 1), ("b", 2), ("c", 1)]


def test_a_page_that_is_empty_by_mistake_is_requested_again() -> None:
    first, rest = Page(names(7), 7, 9), Page(["x", "y"], 2, 9)
    assert Script(first, Page([], 0, 9), first, rest).all() == [*names(7), "x", "y"]


# Missing pages


def test_a_missing_first_page_raises() -> None:
    with pytest.raises(RepositoryUnknown):
        Script(None).all()


def test_a_deletion_that_removes_the_last_page_hides_nothing() -> None:
    server = Server(names(PAGE_SIZE + 1), empty_is_404=True)
    server.after[1] = lambda stored: stored.remove("t00007")
    assert set(names(PAGE_SIZE + 1)) - {"t00007"} <= set(server.all())
    assert server.offsets == [0, PAGE_SIZE, 0]


def test_without_a_total_a_repeated_404_after_a_short_page_is_the_end() -> None:
    server = Server(names(PAGE_SIZE - 1), with_total=False, empty_is_404=True)
    assert server.all() == names(PAGE_SIZE - 1)
    assert server.offsets == [0, PAGE_SIZE - 1] * 2


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ([Page(names(PAGE_SIZE), PAGE_SIZE, None), None] * 2, "breaks off after 100 entries"),
        ([Page(names(PAGE_SIZE), PAGE_SIZE, 150), None] * 2, r"incomplete \(100 of 150 announced entries\)"),
        ([Page(names(7), 7, 14)] * 4, r"incomplete \(7 of 14 announced entries\)"),
        ([Page(["a"], 1, 3), Page(["c"], 1, 2), None], "changed"),
    ],
    ids=["no total", "total", "same page twice", "gone at the second reading"],
)
def test_a_missing_later_page_raises(pages: list[Page[str] | None], message: str) -> None:
    with pytest.raises(Unavailable, match=message):
        Script(*pages).all()


# Totals that change

FELL = [Page(["a"], 1, 3), Page(["c"], 1, 2)]
FELL_TO_THE_END = [Page(["a"], 1, 3), Page[str]([], 0, 2)]
SHORT = [Page(["a"], 1, 3), Page[str]([], 0, 3)]


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        (FELL * 3, r"tags of a/b changed during all 3 attempts"),
        ([Page(["a"], 1, 4), Page(["b"], 1, None), Page(["d"], 1, 3)] * 3, "changed"),
        ([Page(["a"], 1, 4), Page(["c"], 1, 3), Page(["d", "e"], 2, 4)] * 3, "changed"),
        ([page for total in (2, 3, 4) for page in (Page(["a"], 1, total), Page[str]([], 0, total))], "changed"),
        ([*FELL_TO_THE_END, *SHORT, *SHORT], r"incomplete \(1 of 3"),
        ([*FELL_TO_THE_END, *FELL_TO_THE_END, *SHORT], "changed"),
    ],
    ids=["falls", "falls across a page without", "falls and rises", "differs each time", "steady twice", "steady once"],
)
def test_a_list_that_keeps_changing_raises(pages: list[Page[str]], message: str) -> None:
    """Harbor would treat an entry that moved to an earlier page as deleted."""
    with pytest.raises(Unavailable, match=message) as caught:
        Script(*pages).all()
    assert caught.value.retry_after == 10.0


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ([*FELL, *FELL, Page(["a", "b"], 2, 2)], ["a", "b", "c"]),
        ([*FELL_TO_THE_END, *SHORT, Page(["a"], 1, 1)], ["a"]),
        # An entry of an earlier reading does not replace one that is missing now.
        ([*FELL, Page(["a"], 1, 2), Page([], 0, 2), Page(["a", "b"], 2, 2)], ["a", "b", "c"]),
    ],
)
def test_a_list_that_stops_changing_is_returned(pages: list[Page[str]], found: list[str]) -> None:
    assert Script(*pages).all() == found


# Parsing a page


def read(entry: object) -> str | None:
    assert isinstance(entry, dict)
    return entry.get("n")


@pytest.mark.parametrize(
    ("header", "total"),
    [
        ("0-2/9", 9),
        ("0-2/0", 0),
        ("items 0-2/9", 9),
        (" 0-2/ 9 ", 9),
        *((header, None) for header in ("0-2/*", "0-2", "0-2/-9", "0-2/" + "9" * 40, "nonsense", "", None)),
    ],
)
def test_content_range(header: str | None, total: int | None) -> None:
    page = parse_page(RawPage(b'[{"n": "a"}, {"n": null}]', header), read, "tags")
    assert (page.entries, page.sent, page.total) == (["a"], 2, total)


def test_null_is_an_empty_list() -> None:
    assert parse_page(RawPage(b"null", None), read, "tags") == Page([], 0, None)


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"{}", b"7", b'"x"', b"[1]", b"[null]", b"[[]]", b"[{}", b"[" * 100_000, b"\xff\xfe"]
)
def test_an_invalid_page_raises(document: bytes) -> None:
    with pytest.raises(Unexpected, match="cannot parse SWR's list of tags"):
        parse_page(RawPage(document, None), read, "tags")
