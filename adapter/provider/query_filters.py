"""The `q` filter of a list of endpoints, where it asks for our type. Pure.

The grammar is `key=value,key=value` (`docs/facts/harbor.md A.5`); core decodes it once more than the query string.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_plus

from adapter.provider.constants import ALIAS, NAMES

_TARGET: Final = re.compile("<([^<>?]*[?])([^<>]*)>")
_COMMA: Final = re.compile(",|%2c", re.IGNORECASE)
"""Between filters, in a `q` that was decoded once: core decodes the whole once more before it looks for commas."""
_SAFE: Final = "".join(sorted(set(map(chr, range(33, 127))) - set('<>"')))
"""What a query may have on the wire, without what would end the target in the header."""


def translated(query: str, adapter: str, carrier: str) -> str:
    """A raw query string that core can answer: what asks for our name asks for the adapter's URL instead.

    All but such a `q` stays as it is, byte for byte.
    """
    return "&".join(_pair(pair, adapter, carrier) for pair in query.split("&"))


def restored(link: str, asked: str, sent: str) -> str:
    """A `Link` header of core's, which was asked with `sent`, as the caller has to see it, who asked with `asked`.

    Only the `q` parameters of its targets change, and only those that were translated.
    """
    given = {
        unquote_plus(after.partition("=")[2]): quote(before.partition("=")[2], safe=_SAFE)
        for before, after in zip(asked.split("&"), sent.split("&"), strict=True)
        if before != after
    }

    def pair(text: str) -> str:
        key, equals, value = text.partition("=")
        before = given.get(unquote_plus(value)) if equals and unquote_plus(key) == "q" else None
        return text if before is None else f"{key}={before}"

    return _TARGET.sub(lambda found: f"<{found[1]}{'&'.join(map(pair, found[2].split('&')))}>", link)


def _pair(pair: str, adapter: str, carrier: str) -> str:
    key, equals, value = pair.partition("=")
    if not equals or unquote_plus(key) != "q":
        return pair
    filters = _COMMA.split(unquote_plus(value))
    after = [_filter(each, adapter, carrier) for each in filters]
    return pair if after == filters else f"{key}={quote(','.join(after), safe='')}"


def _filter(text: str, adapter: str, carrier: str) -> str:
    key, equals, value = unquote_plus(text).partition("=")
    if not equals or key.strip().lower() != "type":
        return text
    if value.strip().removeprefix("~").strip('"') in NAMES:
        return f"url={quote(adapter, safe=':/[]')}"
    if value.startswith("{") and value.endswith("}") and ALIAS in value[1:-1].split(" "):
        # An or-list knows one column only, so the nearest answer is all endpoints of the stored type.
        kept = [each for each in value[1:-1].split(" ") if each not in (ALIAS, carrier)]
        return f"type={{{' '.join([*kept, carrier])}}}"
    return text
