"""The `q` filter of a list of endpoints, where it asks for our type. Pure.

The grammar is `key=value,key=value` (`docs/facts/harbor.md A.5`); core decodes it once more than the query string.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_plus

from adapter.provider.names import ALIAS, NAMES


def translated(query: str, adapter: str, carrier: str) -> str:
    """A raw query string that core can answer: what asks for our name asks for the adapter's URL instead.

    All but such a `q` stays as it is, byte for byte.
    """
    return "&".join(_pair(pair, adapter, carrier) for pair in query.split("&"))


def _pair(pair: str, adapter: str, carrier: str) -> str:
    key, equals, value = pair.partition("=")
    if not equals or unquote_plus(key) != "q":
        return pair
    filters = unquote_plus(value).split(",")
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
