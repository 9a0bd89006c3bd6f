"""Times as SWR writes them, made RFC 3339 in UTC, which Harbor reads (`docs/facts/harbor.md D.4`). Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from adapter.errors import Unexpected

_FORM: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})? ?(?:[Zz]|([+-])(\d\d):?(\d\d))?(?: [A-Z]{3,4})?",
    re.ASCII,
)


def read_time(value: object) -> str | None:
    """`2026-01-02T03:04:05.678Z`; None where SWR gives none, or a zero one.

    RFC 3339 is documented (`docs/facts/swr.md §4.4, §4.5`); a blank for the T, and a zone that is left out, are read
    too: all times are UTC. Raises `Unexpected` for what is no time.
    """
    if value is None or value == "":
        return None
    found = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Unexpected("SWR gives a time that is none")
    try:
        moment = datetime(*(int(found[at]) for at in range(1, 7)), tzinfo=UTC)  # type: ignore[misc,arg-type]
        if moment.year > 1:
            moment -= _offset(found)
    except (ValueError, OverflowError):
        raise Unexpected("SWR gives a time that is none") from None
    if moment.year <= 1:
        return None
    return f"{moment.replace(tzinfo=None).isoformat()}.{((found[7] or '')[1:] + '000')[:3]}Z"


def _offset(found: re.Match[str]) -> timedelta:
    if found[8] is None:
        return timedelta()
    hours, minutes = int(found[9]), int(found[10])
    if hours > 23 or minutes > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if found[8] == "-" else offset
