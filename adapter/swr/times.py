"""Times as SWR writes them, made RFC 3339 in UTC, which Harbor reads (`docs/facts/harbor.md D.4`). Pure.

A time decorates an entry of a list, it decides nothing. So whatever is not a time becomes None, and refuses no list.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from adapter.numerals import whole_in_json

_FORM: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})? ?(?:[Zz]|([+-])(\d\d):?(\d\d))?(?: [A-Z]{3,4})?",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_SECONDS: Final = 946_684_800
_LATEST_SECONDS: Final = 4_102_444_800
"""From 2000 to 2100: numbers outside are not taken for the time of an image, whether in seconds or in milliseconds."""


def read_time(value: object) -> str | None:
    """`2026-01-02T03:04:05.678Z`; None where SWR gives none, an unreadable one, or a zero one. Never raises.

    RFC 3339 is documented (`docs/facts/swr.md §4.4, §4.5`); a blank for the T, and a zone that is left out, are read
    too: all times are UTC. So are seconds and milliseconds since 1970, as a number or in digits. A zero time is one of
    1970-01-01T00:00:00Z or before: Go writes year 1 for a time that was never set, other programs 1970.
    """
    moment = _from_text(value) if isinstance(value, str) else None
    if moment is None:
        moment = _from_number(value)
    if moment is None or moment <= _EPOCH:
        return None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _from_text(text: str) -> datetime | None:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    try:
        moment = datetime(*(int(found[at]) for at in range(1, 7)), tzinfo=UTC)  # type: ignore[misc,arg-type]
        milliseconds = int(((found[7] or "")[1:] + "000")[:3])
        return moment - _offset(found) + timedelta(milliseconds=milliseconds)
    except (ValueError, OverflowError):
        return None


def _offset(found: re.Match[str]) -> timedelta:
    if found[8] is None:
        return timedelta()
    hours, minutes = int(found[9]), int(found[10])
    if hours > 23 or minutes > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if found[8] == "-" else offset


def _from_number(value: object) -> datetime | None:
    number = int(value) if isinstance(value, float) and abs(value) < 1e18 else whole_in_json(value)
    if number is None:
        return None
    for milliseconds in (number * 1000, number):
        if _EARLIEST_SECONDS * 1000 <= milliseconds < _LATEST_SECONDS * 1000:
            return _EPOCH + timedelta(milliseconds=milliseconds)
    return None
