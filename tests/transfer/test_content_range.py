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
def test_valid_content_range(text: str | None, span: tuple[int, int] | None) -> None:
    assert parse_content_range(text) == span


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "5", "a-b", "-5", "5-", "0-9-10", "0-9/", "0-9/a", "bytes", "bytes0-9", "Bytes 0-9", "octets 0-9"),
        *("0x1-0x2", "٠-٩", "1e3-2e3", "0 - 9", "0-9\n0-9", "0-" + "9" * 19, "9" * 19 + "-9", "0-9/" + "9" * 19),
        "9-8",
    ],
)
def test_invalid_content_range(text: str) -> None:
    with pytest.raises(RangeInvalid) as caught:
        parse_content_range(text)
    why = " (it ends before it starts)" if text == "9-8" else ""
    assert caught.value.sentence == f"invalid Content-Range{why}: send <first byte>-<last byte>"


@pytest.mark.parametrize(
    ("span", "length", "size"),
    [(None, None, None), (None, 0, 0), (None, 7, 7), ((0, 0), None, 1), ((5, 14), None, 10), ((5, 14), 10, 10)],
)
def test_size(span: tuple[int, int] | None, length: int | None, size: int | None) -> None:
    assert size_of(span, length) == size


@pytest.mark.parametrize("length", [0, 9, 11])
def test_headers_that_differ_are_rejected(length: int) -> None:
    with pytest.raises(SizeInvalid) as caught:
        size_of((5, 14), length)
    expected = f"Content-Length ({length} bytes) and Content-Range (10 bytes) differ: send equal sizes"
    assert caught.value.sentence == expected


@pytest.mark.parametrize(("span", "begin", "header"), [(None, 5, None), ((5, 14), 5, "5-14"), ((5, 14), 9, "9-14")])
def test_content_range_for_swr(span: tuple[int, int] | None, begin: int, header: str | None) -> None:
    assert content_range(span, begin) == header
