"""Harbor's query language, `q=key=value,key=value`, as far as Harbor's client uses it (`docs/facts/harbor.md A.5`).
Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_QUOTES: Final = re.compile(r"['\"]")


def parse_query(query: str | None) -> dict[str, str]:
    """Key to value. Ignores parts that are not `key=value`."""
    parts = (part.partition("=") for part in (query or "").split(","))
    return {key.strip(): value for key, equals, value in parts if equals}


def parse_or_list(value: str) -> tuple[str, ...] | None:
    """The names of an or-list, `{'a' 'b'}`; None for any other value.

    Up to 2.12 Harbor quotes the whole list, `{'a b'}`. Names contain no blank, so both forms mean the same names.
    """
    if not (value.startswith("{") and value.endswith("}")):
        return None
    return tuple(_QUOTES.sub(" ", value[1:-1]).split())


def matcher(value: str) -> Callable[[str], bool]:
    """A predicate: whether a text is in the or-list, contains the part of `~part`, or equals the value."""
    if (alternatives := parse_or_list(value)) is not None:
        # A set, because both the query and the list may have many names.
        names = frozenset(alternatives)
        return lambda text: text in names
    if value.startswith("~"):
        return lambda text: value[1:] in text
    return lambda text: text == value
