from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapter.errors import RepositoryUnknown, Unavailable, Unexpected
from adapter.swr import pagination
from adapter.swr.pagination import LIMIT, MOST_ENTRIES, MOST_PAGES, Collection, Page, parse_page


@dataclass
class Server:
    """A listing of names. `cap` shortens its pages, `told`: it says how many there are; `by_name`: it honours an order,
    else what was pushed last is first. `between[n]` happens after page n."""

    names: list[str]
    cap: int = LIMIT
    told: bool = True
    by_name: bool = True
    absent: bool = False
    """Whether it answers 404 for a page that would be empty."""
    between: dict[int, Callable[[list[str]], None]] = field(default_factory=dict)
    asked: list[tuple[int, int]] = field(default_factory=list)

    def ask(self, offset: int, limit: int) -> Page[str]:
        listed = sorted(self.names) if self.by_name else self.names
        chosen = listed[offset : offset + min(limit, self.cap)]
        if self.absent and offset and not chosen:
            self.asked.append((offset, limit))
            raise RepositoryUnknown("no such page")
        page = Page(chosen, len(chosen), len(listed) if self.told else None)
        self.asked.append((offset, limit))
        if happens := self.between.get(len(self.asked)):
            happens(self.names)
        return page

    def all(self) -> list[str]:
        return Collection(self.ask, str, "tags").all()


def names(count: int) -> list[str]:
    return [f"t{number:05}" for number in range(count)]


@given(st.integers(0, 60), st.integers(1, 9), st.booleans(), st.booleans())
def test_everything_is_found_by_name_whatever_the_pages(count: int, cap: int, told: bool, by_name: bool) -> None:
    server = Server(names(count)[::-1], cap, told, by_name)
    assert server.all() == names(count)
    full = -(-count // cap)
    assert len(server.asked) == (max(full, 1) if told else full + 1)


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (99, 1), (100, 1), (101, 2), (250, 3)])
def test_it_costs_a_request_for_each_page(count: int, requests: int) -> None:
    server = Server(names(count))
    assert len(server.all()) == count
    assert server.asked == [(LIMIT * number, LIMIT) for number in range(requests)]


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
    count: int,
    cap: int,
    told: bool,
    by_name: bool,
    pushed: list[tuple[int, str]],
) -> None:
    server = Server(names(count)[::-1], cap, told, by_name)
    for after, name in pushed:
        server.between[after] = lambda stored, name=name: stored.insert(0, name)  # type: ignore[misc]
    found = server.all()
    assert found == sorted(set(found))
    assert set(names(count)) <= set(found)
    assert set(found) <= set(server.names)


@given(st.integers(1, 40), st.integers(1, 9), st.booleans(), st.data())
def test_a_deletion_between_two_pages_hides_nothing_where_swr_says_how_many_there_are(
    count: int,
    cap: int,
    by_name: bool,
    data: st.DataObject,
) -> None:
    server = Server(names(count), cap, told=True, by_name=by_name)
    gone = data.draw(st.sampled_from(server.names))
    server.between[data.draw(st.integers(1, 6))] = lambda stored: stored.remove(gone)
    assert set(names(count)) - {gone} <= set(server.all())


@given(st.integers(2, 40), st.integers(2, 9), st.data())
def test_a_tag_that_is_pushed_again_is_found_where_swr_says_how_many_there_are(
    count: int, cap: int, data: st.DataObject
) -> None:
    server = Server(names(count), cap, told=True, by_name=False)
    again = data.draw(st.sampled_from(server.names))

    def push(stored: list[str]) -> None:
        stored.remove(again)
        stored.insert(0, again)

    server.between[data.draw(st.integers(1, 6))] = push
    assert server.all() == names(count)


# What has no end


def ignoring_offset(count: int, total: int | None) -> tuple[Collection[str], list[int]]:
    """Of an SWR that sends the same page whatever the offset; and the offsets that it is asked for."""
    asked: list[int] = []

    def ask(offset: int, limit: int) -> Page[str]:
        asked.append(offset)
        return Page(names(count), count, total)

    return Collection(ask, str, "tags"), asked


@pytest.mark.parametrize(("count", "total"), [(1, None), (7, None), (99, None), (7, 7), (LIMIT, LIMIT)])
def test_a_page_shorter_than_the_limit_that_comes_again_is_the_whole_list(count: int, total: int | None) -> None:
    found, asked = ignoring_offset(count, total)
    assert found.all() == names(count)
    assert asked == ([0] if total else [0, count, 2 * count])


@pytest.mark.parametrize(("count", "total"), [(LIMIT, None), (LIMIT, 150), (7, 50_000)])
def test_a_page_that_comes_again_is_not_the_whole_list_if_there_may_be_more(count: int, total: int | None) -> None:
    found, asked = ignoring_offset(count, total)
    with pytest.raises(Unexpected, match=f"tags repeats the same page of {count} entries at every offset"):
        found.all()
    assert asked == [0, count, 2 * count]


def test_a_page_that_comes_again_but_for_its_total() -> None:
    found, _ = ignoring_offset(7, 14)
    with pytest.raises(Unavailable, match="ends after 7 of 14 announced entries"):
        found.all()


def test_entries_in_front_that_fill_a_page_are_no_end() -> None:
    server = Server(names(9), cap=2, told=False, by_name=False)
    server.between[1] = lambda stored: stored.__setitem__(slice(0, 0), ["x", "y"])
    assert set(names(9)) <= set(server.all())


def test_pages_that_go_round_in_a_circle() -> None:
    def ask(offset: int, limit: int) -> Page[str]:
        return Page([f"t{(offset + number) % 14}" for number in range(7)], 7, None)

    with pytest.raises(Unexpected, match="repeats"):
        Collection(ask, str, "tags").all()


def test_pages_without_end() -> None:
    asked = []

    def ask(offset: int, limit: int) -> Page[str]:
        asked.append(offset)
        return Page([f"t{offset}"], 1, None)

    with pytest.raises(Unexpected, match="does not come to an end within 1000 pages"):
        Collection(ask, str, "tags").all()
    assert len(asked) == MOST_PAGES


def test_pages_of_nothing_but_what_is_left_out() -> None:
    with pytest.raises(Unexpected, match="come to an end"):
        Collection(lambda offset, limit: Page[str]([], 7, None), str, "tags").all()


def test_more_than_can_be_listed() -> None:
    with pytest.raises(Unexpected, match="too many"):
        Collection(lambda offset, limit: Page(["t"], 1, MOST_ENTRIES + 1), str, "tags").all()


def test_more_sent_than_can_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "MOST_ENTRIES", 50)
    with pytest.raises(Unexpected, match="too many"):
        Server(names(60), told=False).all()


@pytest.mark.parametrize("total", [10, 12, 5_000])
def test_a_list_that_ends_before_its_announced_total_is_refused(total: int) -> None:
    """Harbor takes what is missing for deleted. It is read once more first: an empty page may have been a mistake."""
    asked = []

    def ask(offset: int, limit: int) -> Page[str]:
        asked.append(offset)
        return Page(names(9)[offset : offset + 7], len(names(9)[offset : offset + 7]), total)

    with pytest.raises(Unavailable, match=f"tags of a/b ends after 9 of {total} announced entries") as caught:
        Collection(ask, str, "tags of a/b").all()
    assert caught.value.retry_after == 10.0
    assert asked == [0, 7, 9] * 2


def test_a_total_of_less_than_was_sent_counts_something_else() -> None:
    for total in (0, 1, 6):
        stored = names(9)
        found = Collection(lambda at, _: Page(stored[at : at + 7], len(stored[at : at + 7]), total), str, "tags")  # noqa: B023
        assert found.all() == names(9)


def test_an_entry_that_stands_twice_on_a_page_is_not_missed() -> None:
    assert scripted(Page(["a", "b", "a"], 3, 3)).all() == ["a", "b"]


# Pages that are not there


def test_a_first_page_that_is_not_there_is_the_callers_to_judge() -> None:
    def ask(offset: int, limit: int) -> Page[str]:
        raise RepositoryUnknown("no")

    with pytest.raises(RepositoryUnknown):
        Collection(ask, str, "tags").all()


def test_a_deletion_that_takes_the_last_page_away_empties_nothing() -> None:
    server = Server(names(LIMIT + 1), absent=True)
    server.between[1] = lambda stored: stored.remove("t00007")
    assert set(names(LIMIT + 1)) - {"t00007"} <= set(server.all())
    assert [offset for offset, _ in server.asked] == [0, LIMIT, 0]


def test_where_no_total_is_given_a_404_after_a_short_page_is_the_end() -> None:
    """An empty page to others; it must come again to be believed."""
    server = Server(names(LIMIT - 1), told=False, absent=True)
    assert server.all() == names(LIMIT - 1)
    assert [offset for offset, _ in server.asked] == [0, LIMIT - 1] * 2


def test_but_not_after_a_full_one() -> None:
    with pytest.raises(Unavailable, match="tags broke off after 100 entries each time that it was read"):
        Server(names(LIMIT), told=False, absent=True).all()


def test_a_later_page_that_stays_away_is_told_with_both_numbers() -> None:
    def ask(offset: int, limit: int) -> Page[str]:
        if offset:
            raise RepositoryUnknown("no")
        return Page(names(LIMIT), LIMIT, 150)

    with pytest.raises(Unavailable, match="ends after 100 of 150 announced entries"):
        Collection(ask, str, "tags").all()


def test_a_list_that_is_not_there_any_more_when_it_is_read_again() -> None:
    answers = [Page(["a"], 1, 3), Page(["c"], 1, 2)]

    def ask(offset: int, limit: int) -> Page[str]:
        if not answers:
            raise RepositoryUnknown("no")
        return answers.pop(0)

    with pytest.raises(Unavailable, match="changed"):
        Collection(ask, str, "tags").all()


def scripted(*answers: Page[str]) -> Collection[str]:
    """Pages as they come, one after the other."""
    left = list(answers)
    return Collection(lambda offset, limit: left.pop(0), str, "tags of a/b")


def test_a_list_that_shrinks_each_time_is_not_given_out() -> None:
    """What moved up behind the reader was not seen, and would pass for deleted."""
    again = [Page(["a"], 1, 3), Page(["c"], 1, 2)]
    with pytest.raises(Unavailable, match="tags of a/b changed each of the 3 times") as caught:
        scripted(*again * 3).all()
    assert caught.value.retry_after == 10.0


def test_a_list_that_shrinks_is_given_out_once_it_holds_still() -> None:
    again = [Page(["a"], 1, 3), Page(["c"], 1, 2)]
    assert scripted(*again * 2, Page(["a", "b"], 2, 2)).all() == ["a", "b", "c"]


def test_a_fall_is_seen_across_a_page_without_a_total_and_after_a_rise() -> None:
    unsaid = [Page(["a"], 1, 4), Page(["b"], 1, None), Page(["d"], 1, 3)]
    risen = [Page(["a"], 1, 4), Page(["c"], 1, 3), Page(["d", "e"], 2, 4)]
    for again in (unsaid, risen):
        with pytest.raises(Unavailable):
            scripted(*again * 3).all()


def test_announcements_that_differ_each_time_are_changes() -> None:
    again = [[Page(["a"], 1, 1 + number), Page[str]([], 0, 1 + number)] for number in (1, 2, 3)]
    with pytest.raises(Unavailable, match="changed"):
        scripted(*(page for each in again for page in each)).all()


def test_the_same_announcement_after_a_fall_does_not_end_early_yet() -> None:
    fallen = [Page(["a"], 1, 3), Page[str]([], 0, 2)]
    steady = [Page(["a"], 1, 3), Page[str]([], 0, 3)]
    assert scripted(*fallen, *steady, Page(["a"], 1, 1)).all() == ["a"]
    with pytest.raises(Unavailable, match="ends after 1 of 3"):
        scripted(*fallen, *steady, *steady).all()
    with pytest.raises(Unavailable, match="changed"):
        scripted(*fallen, *fallen, *steady).all()


def test_what_was_seen_before_does_not_stand_for_what_is_missing_now() -> None:
    fallen = [Page(["a"], 1, 3), Page(["gone"], 1, 2)]
    cut = [Page(["a"], 1, 2), Page[str]([], 0, 2)]
    assert scripted(*fallen, *cut, Page(["a", "b"], 2, 2)).all() == ["a", "b", "gone"]


@pytest.mark.parametrize("by_name", [True, False])
def test_pushes_alone_cost_no_second_look(by_name: bool) -> None:
    server = Server(names(20), cap=5, by_name=by_name)
    for number in (1, 2, 3):
        server.between[number] = lambda stored, number=number: stored.insert(0, f"a{number}")  # type: ignore[misc]
    assert set(names(20)) <= set(server.all())
    assert len(server.asked) == 5


def test_a_page_that_came_empty_by_mistake_is_asked_for_again() -> None:
    server = Server(names(20), cap=7)
    usual, server_pages = server.ask, 0

    def ask(offset: int, limit: int) -> Page[str]:
        nonlocal server_pages
        server_pages += 1
        return Page([], 0, 20) if server_pages == 2 else usual(offset, limit)

    assert Collection(ask, str, "tags").all() == names(20)


def test_what_is_left_out_is_not_missed() -> None:
    asked = []

    def ask(offset: int, limit: int) -> Page[str]:
        asked.append(offset)
        return Page(["a"], 3, 3)

    assert Collection(ask, str, "tags").all() == ["a"]
    assert asked == [0]


def test_the_last_word_on_an_entry_counts() -> None:
    answers = [Page([("a", 1), ("b", 1)], 2, 3), Page([("b", 2)], 1, 3)]
    found = Collection(lambda offset, limit: answers.pop(0), lambda pair: pair[0], "tags")
    answers.append(Page([("a", 1), ("b", 2), ("c", 1)], 3, 3))
    assert found.all() == [("a", 1), ("b", 2), ("c", 1)]


# What a page looks like


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
        ("0-2/*", None),
        ("0-2", None),
        ("0-2/-9", None),
        ("0-2/" + "9" * 40, None),
        ("nonsense", None),
        ("", None),
        (None, None),
    ],
)
def test_content_range(header: str | None, total: int | None) -> None:
    page = parse_page(b'[{"n": "a"}, {"n": null}]', header, read, "tags")
    assert (page.entries, page.sent, page.total) == (["a"], 2, total)


def test_null_is_an_empty_list() -> None:
    assert parse_page(b"null", None, read, "tags") == Page([], 0, None)


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"{}", b"7", b'"x"', b"[1]", b"[null]", b"[[]]", b"[{}", b"[" * 100_000, b"\xff\xfe"]
)
def test_what_is_no_page(document: bytes) -> None:
    with pytest.raises(Unexpected, match="list of tags cannot be read"):
        parse_page(document, None, read, "tags")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_any_json_is_a_page_or_refused(value: object) -> None:
    try:
        parse_page(json.dumps(value).encode(), None, read, "tags")
    except Unexpected:
        return
    assert not value
