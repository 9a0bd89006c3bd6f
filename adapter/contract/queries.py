"""Harbor's query language, `q=key=value,key=value`, as far as it is needed (`docs/facts/harbor.md A.5`). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from adapter.references import RepositoryName, parse_repository

Match = Callable[[str], bool]

_QUOTES: Final = re.compile(r"['\"]")


def terms(query: str | None) -> dict[str, str]:
    """Key → value; what is no `key=value` is left out."""
    parts = (part.partition("=") for part in (query or "").split(","))
    return {key.strip(): value for key, equals, value in parts if equals}


def alternatives(value: str) -> tuple[str, ...] | None:
    """The names of an or-list, `{'a' 'b'}`; None for any other value.

    Up to 2.12 Harbor quotes the whole list, `{'a b'}`; names hold no blank, so that is the same list.
    """
    if not (value.startswith("{") and value.endswith("}")):
        return None
    return tuple(_QUOTES.sub(" ", value[1:-1]).split())


def matcher(value: str) -> Match:
    """An or-list, `~part`, or the exact text."""
    if (alternative := alternatives(value)) is not None:
        # A set, because both the names of a query and the entries of a list may be many.
        names = frozenset(alternative)
        return lambda text: text in names
    if value.startswith("~"):
        return lambda text: value[1:] in text
    return lambda text: text == value


def repository_in(project: str, name: str) -> RepositoryName:
    """The repository of a path on `/api`: slashes of its name come escaped twice, and the server undoes that once
    (`docs/facts/harbor.md D.4`); a proxy on the way may have undone it once more. Raises `NameInvalid`."""
    return parse_repository(f"{project}/{unquote(name)}")
