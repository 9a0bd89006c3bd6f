"""JSON that was changed in places: all else keeps the bytes it had. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from adapter.documents import parse_json

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


_ESCAPED: Final = re.compile(rb"\\u00([0-7][0-9a-f])", re.IGNORECASE)


def parsed(body: bytes) -> tuple[str, Any] | None:
    """The text of a JSON document and the document, or None for what is none.

    Of several members with one name the last counts, and stands where it stands.
    """
    try:
        text = body.decode()
        return text, parse_json(text, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        return None


def values_at_most(body: bytes) -> int:
    """No JSON document of these bytes has more values: each costs some 60 bytes of memory, whatever its own length."""
    return 1 + sum(map(body.count, (b"{", b"[", b",")))


def changed(body: bytes, change: Callable[[Any], Any]) -> bytes:
    """The document as `change` makes it; the very bytes where it changes nothing, and for what is no document."""
    if (found := parsed(body)) is None:
        return body
    text, before = found
    after = change(before)
    return body if after is before else respelled(text, before, after).encode()


def unescaped(body: bytes) -> bytes:
    """What is no document to us, as a more lenient reader may read it: without the escapes that hide plain letters."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), body)


def _members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        members.pop(name, None)
        members[name] = value
    return members
