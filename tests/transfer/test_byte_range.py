from __future__ import annotations

import pytest

from adapter.transfer.byte_range import asked_range

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (None, None),
        ("bytes=0-99", "bytes=0-99"),
        ("Bytes=5-", "bytes=5-"),
        ("BYTES= -7 ", "bytes=-7"),
        ("bytes=3-3", "bytes=3-3"),
        ("bytes=4-3", "bytes=4-3"),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-1,4-5", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("items=0-1", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_what_is_asked_for(value: str | None, asked: str | None) -> None:
    assert asked_range(value, None, DIGEST) == asked


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        (f'"{DIGEST}"', "bytes=0-1"),
        (f'W/"{DIGEST}"', None),
        ('"another"', None),
        ("Tue, 24 Nov 2026 07:00:00 GMT", None),
        ("", None),
    ],
)
def test_a_condition_that_is_not_met_gives_all(condition: str, asked: str | None) -> None:
    assert asked_range("bytes=0-1", condition, DIGEST) == asked
