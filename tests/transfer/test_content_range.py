from __future__ import annotations

import pytest

from adapter.errors import RangeInvalid, SizeInvalid
from adapter.transfer.upload_session import content_range, parse_content_range, size_of


@pytest.mark.parametrize(
    ("text", "span"),
    [
        (None, None),
        ("0-9", (0, 9)),
        (" 5-5 ", (5, 5)),
        ("bytes 0-9/10", (0, 9)),
        ("bytes=0-9", (0, 9)),
        ("bytes 0-9/*", (0, 9)),
        ("007-0010", (7, 10)),
        ("0-" + "9" * 18, (0, 10**18 - 1)),
        ("9" * 18 + "-" + "9" * 18 + "/" + "9" * 18, (10**18 - 1, 10**18 - 1)),
    ],
)
def test_content_ranges(text: str | None, span: tuple[int, int] | None) -> None:
    assert parse_content_range(text) == span


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "5", "a-b", "-5", "5-", "0-9-10", "0-9/", "0-9/a", "bytes", "bytes0-9", "Bytes 0-9", "octets 0-9"),
        *("0x1-0x2", "٠-٩", "1e3-2e3", "0 - 9", "0-9\n0-9", "0-" + "9" * 19, "9" * 19 + "-9", "0-9/" + "9" * 19),
    ],
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(RangeInvalid) as caught:
        parse_content_range(text)
    assert caught.value.sentence == "the Content-Range cannot be read: <first byte>-<last byte> is wanted"


def test_a_range_that_ends_before_it_starts() -> None:
    with pytest.raises(RangeInvalid) as caught:
        parse_content_range("9-8")
    assert caught.value.sentence == "the Content-Range ends before it starts"


@pytest.mark.parametrize(
    ("span", "length", "size"),
    [
        (None, None, None),
        (None, 0, 0),
        (None, 7, 7),
        ((0, 0), None, 1),
        ((5, 14), None, 10),
        ((5, 14), 10, 10),
    ],
)
def test_sizes(span: tuple[int, int] | None, length: int | None, size: int | None) -> None:
    assert size_of(span, length) == size


@pytest.mark.parametrize("length", [0, 9, 11])
def test_two_headers_that_contradict_each_other(length: int) -> None:
    with pytest.raises(SizeInvalid) as caught:
        size_of((5, 14), length)
    assert caught.value.sentence == f"Content-Length says {length} bytes, Content-Range 10"


def test_swr_gets_a_range_only_where_the_client_sent_one() -> None:
    assert content_range(None, 5) is None
    assert content_range((5, 14), 5) == "5-14"
    assert content_range((5, 14), 9) == "9-14"
