"""JSON documents of Harbor: read, changed and written again. Pure.

A document that is not changed keeps its bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from adapter.documents import parse_json

_ESCAPED_ASCII: Final = re.compile(rb"\\u00([0-7][0-9a-f])", re.IGNORECASE)


def parse(body: bytes) -> Any:
    """The document in UTF-8 bytes. Of several members with one name, the last one counts, in its own position.

    Raises `ValueError` for bytes that are not UTF-8 JSON, `Busy` if the process holds too many documents.
    """
    return parse_json(body.decode(), object_pairs_hook=_last_members)


def dump(document: Any) -> bytes:
    """The document as ASCII JSON without blanks."""
    return json.dumps(document, separators=(",", ":")).encode()


def edit(body: bytes, change: Callable[[Any], Any]) -> bytes:
    """The document after `change`. Returns `body` itself if `change` returns its argument or `body` is not JSON."""
    try:
        before = parse(body)
    except ValueError:
        return body
    after = change(before)
    return body if after is before else dump(after)


def max_values(body: bytes) -> int:
    """An upper bound of the JSON values in these bytes. A value takes about 60 bytes of memory, however short it is."""
    return 1 + sum(map(body.count, (b"{", b"[", b",")))


def unescape_ascii(body: bytes) -> bytes:
    """The bytes with `\\u00XX` escapes of ASCII characters replaced, as a more lenient JSON reader may see them."""
    return _ESCAPED_ASCII.sub(lambda found: bytes([int(found[1], 16)]), body)


def _last_members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        members.pop(name, None)
        members[name] = value
    return members
