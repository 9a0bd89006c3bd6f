"""Numbers in what others sent, as text or as JSON: None for all that no honest sender means. Pure.

Python's own `int` takes other scripts' digits, underscores and signs, and raises for more than 4,300 digits; a JSON
number may be infinite, no number at all, or too large for a float, and `true` counts as one.
"""

from __future__ import annotations

import math
from typing import Final

_MAX_DIGITS: Final = 18
"""More than any length in bytes, and safe in 64 bits."""
_END: Final = 1 << 63
"""Harbor reads sizes and ids into 64 bits, with a sign, and drops a whole document that has a larger one."""


def whole_number(text: str | None) -> int | None:
    """The value of up to 18 ASCII digits, blanks around them allowed."""
    digits = (text or "").strip(" \t")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > _MAX_DIGITS:
        return None
    return int(digits)


def finite_number(value: object) -> float | None:
    """A number of JSON as a float; neither a boolean nor text is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def whole_in_json(value: object) -> int | None:
    """A whole number of JSON from 0 that fits into 63 bits, also written as `7.0` or `"7"`; None for anything else."""
    if isinstance(value, str):
        return whole_number(value) if value == value.strip() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    return value if 0 <= value < _END else None
