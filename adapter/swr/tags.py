"""`tags/list` of the registry, made whole: SWR's `null` and empty strings are repaired, its pages joined.

A repository that is missing has no tags: SWR says so with 200 and `null` (`docs/facts/swr.md §6`), and a 404 would end
a whole run of Harbor's (`docs/facts/harbor.md D.5`). Whether SWR pages, and in which order, is not known. "Not there"
is for the first page alone: a later one that is missing makes the list be read again, and is never its end.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

import requests

from adapter.credentials import Credentials
from adapter.documents import dropping, parse_json
from adapter.errors import (
    AdapterError,
    NotFound,
    OrganizationUnknown,
    RepositoryUnknown,
    TagInvalid,
    TimedOut,
    Unavailable,
    Unexpected,
)
from adapter.references import check_tag
from adapter.swr.errors import error_for
from adapter.swr.pagination import LATER
from adapter.swr.registry import Registry
from adapter.swr.repository import Repository
from adapter.swr.retry import READ, RetryPolicy
from adapter.swr.tokens import PULL
from adapter.swr.transport import error_response_of, read_document
from adapter.swr.urls import resolve

MOST_PAGES: Final = 1_000
MOST_TAGS: Final = 200_000
_MOST_PASSES: Final = 2
LONGEST: Final = 300.0
"""Seconds for all pages together."""
_NEXT: Final = re.compile(r"<([^<>]*)>\s*;[^<]*\brel=\"?next\"?", re.IGNORECASE)


class TagLister:
    """Lists the tags of a repository; shared by all threads."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def names(self, repository: Repository) -> list[str]:
        """In the order of their bytes, each once.

        Raises `RepositoryUnknown` when it is the first page that is not there, `OrganizationUnknown`, `Denied`,
        `Unexpected`, `TimedOut`, and `Unavailable` for a list whose later pages are not there twice.
        """
        found: set[str] = set()
        deadline = time.monotonic() + LONGEST
        for _ in range(_MOST_PASSES):
            if self._pass(repository, found, deadline):
                return sorted(found)
        raise Unavailable(
            f"SWR's list of the tags of {repository} broke off after {len(found)} tags each of the {_MOST_PASSES} "
            "times that it was read: try again later",
            retry_after=LATER,
        )

    def _pass(self, repository: Repository, found: set[str], deadline: float) -> bool:
        """Adds the tags of all pages to `found`; False when a page after the first one is not there: the list changed
        while it was read."""
        path: str | None = f"/v2/{repository}/tags/list"
        asked: set[str] = set()
        policy = replace(READ, deadline=deadline)
        while path is not None:
            if time.monotonic() > deadline:
                raise TimedOut(f"SWR's list of the tags of {repository} does not come to an end in {LONGEST:g} s")
            if path in asked or len(asked) == MOST_PAGES or len(found) > MOST_TAGS:
                raise Unexpected(f"SWR's list of the tags of {repository} does not come to an end")
            try:
                response = self._page(repository, path, policy)
            except NotFound:
                if not asked and not found:
                    raise
                return False
            asked.add(path)
            path = self._next(repository.credentials, response)
            with dropping():
                found |= tags_in(read_document(response, deadline=deadline))
        return True

    def _page(self, repository: Repository, path: str, policy: RetryPolicy) -> requests.Response:
        """Unread. Raises `RepositoryUnknown` for a 404, which is a registry's here, and what other refusals mean."""
        response = self._registry.exchange("GET", repository, path, actions=PULL, policy=policy)
        if response.status_code == 200:
            return response
        raise _narrow(error_for(error_response_of(response)), repository)

    def _next(self, credentials: Credentials, response: requests.Response) -> str | None:
        """The path of the next page; only one on the registry gets the credentials."""
        link = _NEXT.search(response.headers.get("Link", ""))
        if link is None:
            return None
        try:
            target = resolve(str(response.url), link[1])
        except Unexpected:
            response.close()
            raise
        own = urlsplit(self._registry.origin(credentials))
        if target.hostname != own.hostname or not target.path.startswith("/v2/"):
            response.close()
            raise Unexpected("SWR continues a list of tags at another place: not followed")
        return target.path + (f"?{target.query}" if target.query else "")


def tags_in(document: bytes) -> set[str]:
    """The tags of `{"tags": […]|null}`; what is no tag, an empty string say, is left out. Raises `Unexpected`."""
    try:
        answer = parse_json(document)
        # A list that is null may be left out as well.
        entries = answer.get("tags", None if "name" in answer else "missing")
        entries = [] if entries is None else entries
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
