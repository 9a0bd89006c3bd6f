"""Fields of SWR's documents that only decorate an entry, read from whatever form they come in. Pure, and never raises:
an unreadable size must not refuse a whole list."""

from __future__ import annotations

from typing import Final

LARGEST_NUMBER: Final = 2**63 - 1
"""Harbor reads numbers as 64-bit integers, and refuses an answer that has a larger one."""


def whole_number(value: object) -> int | None:
    """An integer from 0 to `LARGEST_NUMBER`, also from `7.0` and from `"7"`; None for anything else.

    `true` is not a number, although Python counts it as one.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(LARGEST_NUMBER)):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= LARGEST_NUMBER else None
