"""JSON that was changed in places: all else keeps the bytes it had. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_BLANK: Final = re.compile(r"[ \t\n\r]*")
_BLANKS: Final = frozenset(" \t\n\r")
_DECODER: Final = json.JSONDecoder()

Part = tuple[str | int, int, int, int]
"""Of a member or an item: its key or position, where it starts (with its key), where its value starts and ends."""


def respelled(text: str, before: Any, after: Any) -> str:
    """`after` as JSON. `text` is the JSON of `before`; what both share, the very same objects, keeps its spelling."""
    start = _skip(text, 0)
    _, end = _DECODER.raw_decode(text, start)
    return text[:start] + _value(text, start, end, before, after) + text[end:]


def _value(text: str, start: int, end: int, before: Any, after: Any) -> str:
    if after is before:
        return text[start:end]
    if isinstance(before, dict) and isinstance(after, dict):
        return _object(text, start, before, after)
    if isinstance(before, list) and isinstance(after, list):
        return _array(text, start, before, after)
    return _dump(after)


def _object(text: str, start: int, before: dict[str, Any], after: dict[str, Any]) -> str:
    # The last of several members with one name is the one that counts.
    parts = {part[0]: part for part in _parts(text, start)}
    kept = {key: part for key, part in parts.items() if key in after}
    members = [
        text[at:value] + _value(text, value, end, before[str(key)], after[str(key)])
        for key, at, value, end in kept.values()
    ]
    members += [f"{_dump(key)}:{_dump(value)}" for key, value in after.items() if key not in parts]
    return "{" + ",".join(members) + "}"


def _array(text: str, start: int, before: list[Any], after: list[Any]) -> str:
    items = [
        _value(text, value, end, old, new)
        for (_, _, value, end), old, new in zip(_parts(text, start), before, after, strict=False)
    ]
    items += [_dump(item) for item in after[len(before) :]]
    return "[" + ",".join(items) + "]"


def _parts(text: str, at: int) -> Iterator[Part]:
    """What stands in the object or array that starts at `at`."""
    closing = "}" if text[at] == "{" else "]"
    at = _skip(text, at + 1)
    position = 0
    while text[at] != closing:
        start, key = at, position
        if closing == "}":
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, at)
        yield key, start, at, end
        position += 1
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    if text[at : at + 1] not in _BLANKS:
        return at
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
