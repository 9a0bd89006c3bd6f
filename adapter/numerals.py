"""Numbers in received text or JSON, parsed strictly: None for an invalid one. Pure.

`int` accepts digits of other scripts, underscores and signs, and raises for more than 4,300 digits. A number from
`json.loads` may be infinite, NaN, or too large for a float, and `true` counts as 1.
"""

from __future__ import annotations

import math
from typing import Final

_MAX_DIGITS: Final = 18
"""Enough for any length in bytes, and few enough for 64 bits."""
_LIMIT: Final = 1 << 63
"""Harbor parses sizes and IDs as signed 64-bit integers, and rejects a document that has a larger one."""


def whole_number(text: str | None) -> int | None:
    """The value of 1 to 18 ASCII digits; blanks around them are allowed."""
    digits = (text or "").strip(" \t")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > _MAX_DIGITS:
        return None
    return int(digits)


def finite_number(value: object) -> float | None:
    """A JSON number as a float; None for a boolean, a text, or a value that is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def whole_in_json(value: object) -> int | None:
    """A JSON integer from 0 to 2**63 - 1, also written as `7.0` or `"7"`; None for anything else."""
    if isinstance(value, str):
        return whole_number(value) if value == value.strip() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    return value if 0 <= value < _LIMIT else None
