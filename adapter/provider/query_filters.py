"""The `q` filter of a list of endpoints, if it contains the type of the SWR provider. Pure.

The grammar is `key=value,key=value` (`docs/facts/harbor.md A.5`). Core decodes `q` once more after the query string.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_plus

from adapter.provider.constants import ALIAS, NAMES

_LINK_TARGET: Final = re.compile("<([^<>?]*[?])([^<>]*)>")
_COMMA: Final = re.compile(",|%2c", re.IGNORECASE)
"""The separator of filters in a `q` that was decoded once: core decodes all of it once more before it splits at
commas."""
_SAFE: Final = "".join(sorted(set(map(chr, range(33, 127))) - set('<>"')))
"""Characters that a query may contain unencoded, except those that would end the target in a `Link` header."""


def translate_query(query: str, adapter: str, carrier: str) -> str:
    """A raw query string that core can evaluate: a filter for the provider's type becomes one for the adapter's URL.

    Everything else keeps its bytes.
    """
    return "&".join(_translate_pair(pair, adapter, carrier) for pair in query.split("&"))


def restore_links(link: str, query: str, sent_query: str) -> str:
    """A `Link` header of core with the filters of `query` in place of those of `sent_query`.

    Changes only `q` parameters of link targets, and only those that `translate_query` changed.
    """
    originals = {
        unquote_plus(sent.partition("=")[2]): quote(original.partition("=")[2], safe=_SAFE)
        for original, sent in zip(query.split("&"), sent_query.split("&"), strict=True)
        if original != sent
    }

    def restore(pair: str) -> str:
        key, equals, value = pair.partition("=")
        original = originals.get(unquote_plus(value)) if equals and unquote_plus(key) == "q" else None
        return pair if original is None else f"{key}={original}"

    return _LINK_TARGET.sub(lambda found: f"<{found[1]}{'&'.join(map(restore, found[2].split('&')))}>", link)


def _translate_pair(pair: str, adapter: str, carrier: str) -> str:
    key, equals, value = pair.partition("=")
    if not equals or unquote_plus(key) != "q":
        return pair
    filters = _COMMA.split(unquote_plus(value))
    translated = [_translate_filter(each, adapter, carrier) for each in filters]
    return pair if translated == filters else f"{key}={quote(','.join(translated), safe='')}"


def _translate_filter(text: str, adapter: str, carrier: str) -> str:
    key, equals, value = unquote_plus(text).partition("=")
    if not equals or key.strip().lower() != "type":
        return text
    if value.strip().removeprefix("~").strip('"') in NAMES:
        return f"url={quote(adapter, safe=':/[]')}"
    if value.startswith("{") and value.endswith("}") and ALIAS in value[1:-1].split(" "):
        # An or-list has only one column, so the closest result is all endpoints of the carrier's type.
        types = [each for each in value[1:-1].split(" ") if each not in (ALIAS, carrier)]
        return f"type={{{' '.join([*types, carrier])}}}"
    return text
