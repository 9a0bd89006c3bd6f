"""Bodies as JSON documents, and changed in places. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from adapter.documents import parse_json
from adapter.provider.spelling import respelled

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
