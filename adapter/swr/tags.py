"""Tag names of a repository, from `tags/list` of the registry: all pages, without SWR's `null` and empty strings.

For a missing repository SWR returns 200 and `null` (`docs/facts/swr.md §6`). That stays an empty list, because a 404
would end a whole run of Harbor (`docs/facts/harbor.md D.5`). Whether SWR sends pages, and in which order, is unknown.
Only a 404 for the first page means that the repository is missing. After a 404 for a later page the list is read again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.utils import parse_header_links

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
from adapter.swr.error_codes import error_for
from adapter.swr.pagination import RETRY_AFTER_SECONDS
from adapter.swr.registry import Registry
from adapter.swr.repository import Repository
from adapter.swr.response_body import error_response_of, read_document
from adapter.swr.retry import READ, RetryPolicy
from adapter.swr.tokens import PULL
from adapter.swr.urls import resolve

MAX_PAGES: Final = 1_000
MAX_TAGS: Final = 200_000
LIST_TIMEOUT_SECONDS: Final = 300.0
"""Time limit for all pages together."""
_MAX_PASSES: Final = 2


class TagLister:
    """Lists the tags of a repository. Thread-safe."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def names(self, repository: Repository) -> list[str]:
        """Sorted by bytes, each name once.

        Raises `RepositoryUnknown` if the first page is missing, `OrganizationUnknown`, `Denied`, `Unexpected`,
        `TimedOut`, and `Unavailable` if later pages are missing twice.
        """
        found: set[str] = set()
        deadline = time.monotonic() + LIST_TIMEOUT_SECONDS
        for _ in range(_MAX_PASSES):
            if self._read_pages(repository, found, deadline):
                return sorted(found)
        raise Unavailable(
            f"SWR's tag list of {repository} broke off after {len(found)} tags in all {_MAX_PASSES} attempts to read "
            "it: run the rule again later",
            retry_after=RETRY_AFTER_SECONDS,
        )

    def _read_pages(self, repository: Repository, found: set[str], deadline: float) -> bool:
        """Adds the tags of all pages to `found`. False if a later page is missing: the list changed meanwhile."""
        path: str | None = f"/v2/{repository}/tags/list"
        requested: set[str] = set()
        policy = replace(READ, deadline=deadline)
        while path is not None:
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"timed out reading SWR's tag list of {repository} after {LIST_TIMEOUT_SECONDS:g} s: run the rule "
                    "again later"
                )
            if path in requested or len(requested) == MAX_PAGES or len(found) > MAX_TAGS:
                raise Unexpected(f"SWR's tag list of {repository} never ends: report this")
            try:
                response = self._page(repository, path, policy)
            except NotFound:
                if not requested and not found:
                    raise
                return False
            requested.add(path)
            path = self._next_path(repository.credentials, response)
            with dropping():
                found |= parse_tags(read_document(response, deadline=deadline))
        return True

    def _page(self, repository: Repository, path: str, policy: RetryPolicy) -> requests.Response:
        """The response, with its body still to read. Raises `RepositoryUnknown` for a 404 of the registry."""
        response = self._registry.exchange("GET", repository, path, actions=PULL, policy=policy)
        if response.status_code == 200:
            return response
        raise repository_error(error_for(error_response_of(response)), repository)

    def _next_path(self, credentials: Credentials, response: requests.Response) -> str | None:
        """Path and query of the next page. Any other host or API would receive the credentials, so it raises
        `Unexpected`."""
        links = parse_header_links(response.headers.get("Link", ""))
        location = next((link["url"] for link in links if link.get("rel", "").lower() == "next"), None)
        if location is None:
            return None
        try:
            target = resolve(str(response.url), location)
            registry = urlsplit(self._registry.origin(credentials))
            if target.hostname != registry.hostname or not target.path.startswith("/v2/"):
                raise Unexpected(
                    "SWR's tag list continues outside the registry API, which is not followed: report this"
                )
        except Unexpected:
            response.close()
            raise
        return target.path + (f"?{target.query}" if target.query else "")


def parse_tags(document: bytes) -> set[str]:
    """The valid tags of `{"tags": […]|null}`; empty strings, for example, are left out. Raises `Unexpected`."""
    try:
        answer = parse_json(document)
        # Some programs leave a null list out.
        entries = answer.get("tags", None if "name" in answer else "missing")
        entries = [] if entries is None else entries
        if not isinstance(entries, list) or not all(isinstance(entry, str | None) for entry in entries):
            raise TypeError
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise Unexpected("cannot parse SWR's tag list: report this") from None
    return {entry for entry in entries if entry and _is_tag(entry)}


def _is_tag(entry: str) -> bool:
    try:
        return bool(check_tag(entry))
    except TagInvalid:
        return False


def repository_error(error: AdapterError, repository: Repository) -> AdapterError:
    """`RepositoryUnknown` for a `NotFound` of a request for the repository, any other error unchanged."""
    if not isinstance(error, NotFound) or isinstance(error, OrganizationUnknown):
        return error
    return RepositoryUnknown(f"repository {repository} not found in SWR", **error.of_swr())
