from __future__ import annotations

import pytest

from adapter.swr.retry import CREATE, HEALTH_CHECK, IDEMPOTENT, STREAMED_UPLOAD, UPLOAD_START, backoff, retry_after


def test_waits_double_up_to_eight_seconds() -> None:
    waits = [backoff(attempt, None, spread=1.0) for attempt in range(8)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    assert [backoff(attempt, None, spread=0.0) for attempt in range(8)] == [wait / 2 for wait in waits]


def test_jitter_stays_in_its_bounds() -> None:
    assert all(0.125 <= backoff(0, None) <= 0.25 for _ in range(100))


def test_the_server_decides_when_it_asks() -> None:
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
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, 40.0) == seconds


def test_the_policies() -> None:
    assert not STREAMED_UPLOAD.statuses
    assert not STREAMED_UPLOAD.retry_broken
    assert not CREATE.retry_broken
    assert CREATE.statuses == {429, 503}
    assert IDEMPOTENT.retry_broken
    assert UPLOAD_START.retry_broken
    assert HEALTH_CHECK.total_seconds <= 10
    assert not HEALTH_CHECK.rate_limited
