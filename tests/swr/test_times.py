from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.swr.models import parse_timestamp


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"),
        ("2026-01-02T03:04:05.678901234Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02t03:04:05z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000Z"),
        ("2026-01-02T03:04:05-0130", "2026-01-02T04:34:05.000Z"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02 03:04:05.678 +0000 UTC", "2026-01-02T03:04:05.678Z"),
        (" 2026-01-02T03:04:05 ", "2026-01-02T03:04:05.000Z"),
        (1767323045, "2026-01-02T03:04:05.000Z"),
        (1767323045.9, "2026-01-02T03:04:05.000Z"),
        (1767323045678, "2026-01-02T03:04:05.678Z"),
        ("1767323045678", "2026-01-02T03:04:05.678Z"),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("1970-01-01T08:00:00+08:00", None),
        ("0001-01-01T00:00:00+08:00", None),
        ("", None),
        (None, None),
    ],
)
def test_forms(text: object, read: str | None) -> None:
    assert parse_timestamp(text) == read


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+02:60",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "2026-01-02",
        "2026-01-02T03:04:05Zulu",
        "२०२६-01-02T03:04:05Z",
        "0000-00-00 00:00:00",
        "1767323045 ",
        0,
        1,
        -1767323045,
        10**40,
        float("nan"),
        float("inf"),
        True,
        False,
        [],
        {},
    ],
)
def test_what_is_not_a_time_is_none(value: object) -> None:
    """It decides nothing, so it must not refuse the list that it stands in."""
    assert parse_timestamp(value) is None


@given(
    st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(9999, 12, 30)),
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_every_moment_stays_what_it_is(naive: datetime, zone: timezone) -> None:
    moment = naive.replace(microsecond=0, tzinfo=zone)
    read = parse_timestamp(moment.isoformat())
    assert read is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", read)
    assert datetime.fromisoformat(read) == moment


@given(st.text(max_size=40) | st.integers() | st.floats() | st.booleans() | st.lists(st.integers()))
def test_anything_is_read_or_none(value: object) -> None:
    read = parse_timestamp(value)
    assert read is None or datetime.fromisoformat(read).tzinfo is not None
