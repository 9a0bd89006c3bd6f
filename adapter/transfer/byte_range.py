"""The `Range` of a download (RFC 9110 section 14.2). Pure."""

from __future__ import annotations

import re
from typing import Final

_RANGE: Final = re.compile(r"bytes=[ \t]{0,8}(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]{0,8}", re.IGNORECASE)


def asked_range(value: str | None, condition: str | None, digest: str) -> str | None:
    """`bytes=<first>-<last>` to ask for, or None for all of the blob.

    `value` is the `Range` of a request and `condition` its `If-Range`. A server ignores a unit that it does not know,
    a range that is none, and any range when the condition names another state of the content (RFC 9110 sections 13.1.5
    and 14.2); several ranges it may ignore. One that ends before it starts it may ignore or reject: SWR decides, as for
    one past the end. A blob has one state, which its digest names: `"<digest>"` is its ETag.
    """
    if value is None or (condition is not None and condition.strip(" \t") != f'"{digest}"'):
        return None
    found = _RANGE.fullmatch(value.strip(" \t"))
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return f"bytes=-{suffix}"
    return f"bytes={first}-{last}"
