from __future__ import annotations

import pytest

from adapter.swr.retry import backoff, retry_after


def test_backoff_doubles_up_to_four_seconds() -> None:
    waits = [backoff(attempt, None, spread=1.0) for attempt in range(8)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    assert [backoff(attempt, None, spread=0.0) for attempt in range(8)] == [wait / 2 for wait in waits]


def test_backoff_follows_retry_after() -> None:
    assert backoff(0, 5.0) == 5.0
    assert backoff(5, 0.0, spread=1.0) == 1.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
    ],
)
def test_retry_after_is_parsed(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, 40.0) == seconds
