"""`tags/list` of the registry, made whole: SWR's `null` and empty strings are repaired, its pages joined.

A repository that is missing has no tags: SWR says so with 200 and `null` (`docs/facts/swr.md §6`), and a 404 would end
a whole run of Harbor's (`docs/facts/harbor.md D.5`). Whether SWR pages, and in which order, is not known.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

import requests

from adapter.documents import dropping, parse_json
from adapter.errors import (
    AdapterError,
    NotFound,
    OrganizationUnknown,
    RepositoryUnknown,
    TagInvalid,
    TimedOut,
    Unexpected,
)
from adapter.identity import Identity
from adapter.names import Repository, check_tag
from adapter.swr.errors import error_for
from adapter.swr.locations import resolve
from adapter.swr.patience import SAFE
from adapter.swr.registry import Registry
from adapter.swr.tokens import PULL
from adapter.swr.transport import read_document, refusal_of

MOST_PAGES: Final = 1_000
MOST_TAGS: Final = 200_000
LONGEST: Final = 300.0
"""Seconds for all pages together."""
_NEXT: Final = re.compile(r"<([^<>]*)>\s*;[^<]*\brel=\"?next\"?", re.IGNORECASE)


class TagLists:
    """Lists the tags of a repository; shared by all threads."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def names(self, identity: Identity, repository: Repository) -> list[str]:
        """In the order of their bytes, each once. Raises `RepositoryUnknown`, `OrganizationUnknown`, `Unexpected`."""
        path: str | None = f"/v2/{repository}/tags/list"
        found: set[str] = set()
        asked: set[str] = set()
        deadline = time.monotonic() + LONGEST
        patience = replace(SAFE, deadline=deadline)
        while path is not None:
            if time.monotonic() > deadline:
                raise TimedOut(f"SWR's list of the tags of {repository} does not come to an end in {LONGEST:g} s")
            if path in asked or len(asked) == MOST_PAGES or len(found) > MOST_TAGS:
                raise Unexpected(f"SWR's list of the tags of {repository} does not come to an end")
            asked.add(path)
            response = self._registry.exchange("GET", identity, repository, path, actions=PULL, patience=patience)
            if response.status_code != 200:
                raise _narrow(error_for(refusal_of(response)), repository)
            path = self._next(identity, response)
            with dropping():
                found |= tags_in(read_document(response, deadline=deadline))
        return sorted(found)

    def _next(self, identity: Identity, response: requests.Response) -> str | None:
        """The path of the next page; only one on the registry gets the credentials."""
        link = _NEXT.search(response.headers.get("Link", ""))
        if link is None:
            return None
        try:
            target = resolve(str(response.url), link[1])
        except Unexpected:
            response.close()
            raise
        own = urlsplit(self._registry.origin(identity))
        if target.hostname != own.hostname or not target.path.startswith("/v2/"):
            response.close()
            raise Unexpected("SWR continues a list of tags at another place: not followed")
        return target.path + (f"?{target.query}" if target.query else "")


def tags_in(document: bytes) -> set[str]:
    """The tags of `{"tags": […]|null}`; what is no tag, an empty string say, is left out. Raises `Unexpected`."""
    try:
        answer = parse_json(document)
        # A list that is null may be left out as well.
        entries = answer.get("tags", None if "name" in answer else "missing") or []
        if not isinstance(entries, list) or not all(isinstance(entry, str | None) for entry in entries):
            raise TypeError
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise Unexpected("SWR's list of tags cannot be read") from None
    return {entry for entry in entries if entry and _is_tag(entry)}


def _is_tag(entry: str) -> bool:
    try:
        return bool(check_tag(entry))
    except TagInvalid:
        return False


def _narrow(error: AdapterError, repository: Repository) -> AdapterError:
    if not isinstance(error, NotFound) or isinstance(error, OrganizationUnknown):
        return error
    return RepositoryUnknown(f"SWR knows no repository {repository}", **error.of_swr())
