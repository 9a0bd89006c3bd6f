"""Lists repositories and tags, and deletes tags, through the management API (`docs/facts/swr.md §4.4, §4.5`).

With only the login key, dockyard lists repositories and the registry lists tag names. The digests of those tags are
unknown, because each digest would cost a request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Generic

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    Denied,
    InvalidRequest,
    ManifestUnknown,
    NameInvalid,
    NotFound,
    OrganizationUnknown,
    RepositoryUnknown,
    Unavailable,
)
from adapter.state import MemoryState
from adapter.swr.dockyard import Dockyard, DockyardAbsent
from adapter.swr.management import Management
from adapter.swr.models import ListedRepository, ListedTag, read_repository, read_tag
from adapter.swr.organizations import Organizations
from adapter.swr.pagination import RETRY_AFTER_SECONDS, Page, PagedList, RawPage, T, parse_page
from adapter.swr.repository import Repository
from adapter.swr.retry import READ, RetryPolicy
from adapter.swr.tags import TagLister, repository_error
from adapter.swr.tokens import Tokens

__all__ = ["Catalog", "ListedRepository", "ListedTag"]

Query = Mapping[str, str]

LIST_TIMEOUT_SECONDS: Final = 600.0
"""Time limit for all pages together."""
_PAGE_TIMEOUT_SECONDS: Final = 120.0
QUERY_TTL_SECONDS: Final = 3600.0
"""How long the query that SWR accepted comes first."""
_MAX_REMEMBERED_QUERIES: Final = 10_000
_TAG_MISSING_CODES: Final = frozenset({"4040048", "4040115", "4041056", "4041057"})


class Catalog:
    """Lists and deletes without a cache. Thread-safe."""

    def __init__(
        self,
        tokens: Tokens,
        management: Management,
        dockyard: Dockyard,
        organizations: Organizations,
        tag_lister: TagLister,
    ) -> None:
        self._tokens = tokens
        self._management = management
        self._dockyard = dockyard
        self._organizations = organizations
        self._tag_lister = tag_lister
        self._accepted_queries = MemoryState(_MAX_REMEMBERED_QUERIES)

    def repositories(self, credentials: Credentials, organization: str | None) -> list[ListedRepository]:
        """The repositories of one organization, or all that these credentials may see, sorted by name.

        Raises `OrganizationUnknown` if SWR returns that code, `Denied` if these credentials cannot list repositories or
        another account may own the organization, `Unexpected`, `Unavailable`.
        """
        self._tokens.confirm(credentials, READ)
        api, fetch, queries = "dockyard", self._dockyard.repositories, dockyard_queries(organization)
        if self._management.serves(credentials):
            api, fetch, queries = "management", self._management.repositories, repository_queries(organization)
        request = _ListRequest(
            cache_key=f"{credentials.regional_key} {api} repositories",
            what="repositories",
            queries=queries,
            fetch=lambda query, policy: fetch(credentials, query, policy),
            read=read_repository,
            key=lambda listed: str(listed.repository),
        )
        try:
            found = self._read_all(request)
        except DockyardAbsent:
            raise Denied(
                _management_remedy(credentials)
                or "cannot list repositories with the login key alone: enter the SK as Access Secret"
            ) from None
        except OrganizationUnknown:
            raise
        except NotFound:
            # SWR has a code for a missing list of images (`docs/facts/swr.md §4.12`, 4040009).
            found = []
        # SWR's filters may match too much (`docs/facts/swr.md §4.4`).
        matching = [each for each in found if organization in (None, each.organization)]
        if organization is not None and not matching:
            self._check_visible(credentials, organization)
        return matching

    def _check_visible(self, credentials: Credentials, organization: str) -> None:
        """An empty list may be from an organization that is empty, missing, or owned by another account. `Denied`, not
        `NotFound`, because the permission may have been lost: Harbor would delete its copies of the images."""
        if not self._organizations.named(credentials, [organization]):
            raise Denied(
                f"organization '{organization}' not found in SWR, or owned by another account: check the name filter "
                "of the rule, or ask the owner for read permission"
            )

    def tags(self, repository: Repository) -> list[ListedTag]:
        """Sorted by name. Raises `RepositoryUnknown`, `OrganizationUnknown`, `Denied`, `Unexpected`, `Unavailable`."""
        self._tokens.confirm(repository.credentials, READ)
        if not self._management.serves(repository.credentials):
            return self._tags_from_registry(repository)
        request = _ListRequest(
            cache_key=f"{repository.credentials.regional_key} tags",
            what=f"tags of {repository}",
            queries=tag_queries(),
            fetch=lambda query, policy: self._management.tags(repository, query, policy),
            read=read_tag,
            key=lambda tag: tag.name,
        )
        try:
            return self._read_all(request)
        except NotFound as error:
            # SWR may return any of these codes after the last tag of a repository was deleted.
            if _is_tag_missing(error):
                return []
            raise repository_error(error, repository) from error

    def _tags_from_registry(self, repository: Repository) -> list[ListedTag]:
        names = self._tag_lister.names(repository)
        if not names and not self._is_listed(repository):
            raise RepositoryUnknown(f"repository {repository} not found in SWR")
        return [ListedTag(name, None, None, None, None, is_list=False) for name in names]

    def _is_listed(self, repository: Repository) -> bool:
        """Whether the repository exists: SWR's registry returns the same for a missing one and for one without tags
        (`docs/facts/swr.md §6`). Raises `Denied` if these credentials cannot list repositories."""
        try:
            found = self.repositories(repository.credentials, repository.organization)
        except AccountBlocked:
            raise
        except Denied as error:
            raise Denied(
                f"SWR returned no tags of {repository}, and cannot check whether it exists ({error.sentence})",
                **error.of_swr(),
            ) from error
        return any(each.repository == repository.name for each in found)

    def delete_tag(self, repository: Repository, tag: str) -> None:
        """Raises `ManifestUnknown`, `RepositoryUnknown`, `OrganizationUnknown`, `Denied`."""
        self._tokens.confirm(repository.credentials)
        if not self._management.serves(repository.credentials):
            raise Denied(
                _management_remedy(repository.credentials)
                or "cannot delete tags with the login key alone: enter the SK as Access Secret"
            )
        try:
            self._management.delete_tag(repository, tag)
        except NotFound as error:
            if _is_tag_missing(error):
                raise ManifestUnknown(f"{repository} has no tag {tag}", **error.of_swr()) from error
            raise repository_error(error, repository) from error

    def _read_all(self, request: _ListRequest[T]) -> list[T]:
        """Tries the queries in turn until SWR accepts one. That one then comes first for `QUERY_TTL_SECONDS`."""
        deadline = time.monotonic() + LIST_TIMEOUT_SECONDS

        def page(query: Query, offset: int, limit: int) -> Page[T]:
            page_deadline = min(deadline, time.monotonic() + _PAGE_TIMEOUT_SECONDS)
            try:
                raw = request.fetch(
                    {**query, "offset": str(offset), "limit": str(limit)}, replace(READ, deadline=page_deadline)
                )
            except DockyardAbsent:
                if not offset:
                    raise
                raise Unavailable(
                    f"SWR's list of {request.what} broke off after {offset} entries: run the rule again later",
                    retry_after=RETRY_AFTER_SECONDS,
                ) from None
            return parse_page(raw, request.read, request.what)

        accepted = int(self._accepted_queries.get(request.cache_key) or b"0")
        order = sorted(range(len(request.queries)), key=lambda number: number != accepted)
        for number in order:
            try:
                found = PagedList(partial(page, request.queries[number]), request.key, request.what).all()
            except InvalidRequest as error:
                if isinstance(error, NameInvalid) or number == order[-1]:
                    raise
                continue
            if number != accepted:
                self._accepted_queries.put(request.cache_key, str(number).encode(), QUERY_TTL_SECONDS)
            return found
        raise AssertionError("no queries")


@dataclass(frozen=True)
class _ListRequest(Generic[T]):
    """How to request and parse a list. `cache_key`: where the accepted query is remembered. `queries` are equivalent
    alternatives, `fetch` requests a page, `read` parses an entry, `key` identifies it."""

    cache_key: str
    what: str
    queries: Sequence[Query]
    fetch: Callable[[Query, RetryPolicy], RawPage]
    read: Callable[[Mapping[str, Any]], T | None]
    key: Callable[[T], str]


def repository_queries(organization: str | None) -> list[Query]:
    """Sorted by name, so that a push while the list is read moves no entry to an earlier page.

    Newer documentation has plain parameters, older documentation requires a filter (`docs/facts/swr.md §4.4`).
    """
    order = {"order_column": "name", "order_type": "asc"}
    if organization is None:
        return [order, {"filter": "center::self", **order}, {}]
    return [
        {"namespace": organization, **order},
        {"filter": f"center::self|namespace::{organization}", **order},
        {"namespace": organization},
    ]


def dockyard_queries(organization: str | None) -> list[Query]:
    """The filter comes first: other clients of dockyard send it (`docs/facts/swr.md §5`)."""
    plain, filtered, bare = repository_queries(organization)
    return [filtered, plain, bare]


def tag_queries() -> list[Query]:
    """Sorted by name: a tag that is pushed again keeps its place. According to OTC's change log these parameters were
    removed (`docs/facts/swr.md §4.5`), so SWR may reject them."""
    order = {"order_column": "tag", "order_type": "asc"}
    return [order, {"filter": "order_column::tag|order_type::asc"}, {}]


def _management_remedy(credentials: Credentials) -> str | None:
    """What to do if the SK is entered but the region has no management API; None without the SK."""
    if credentials.secret_key is None:
        return None
    return (
        f"no management API configured for {credentials.region}: set `api` of {credentials.region} in "
        "SWR_ADAPTER_REGIONS to its URL"
    )


def _is_tag_missing(error: NotFound) -> bool:
    return (error.swr_code or "").rpartition(".")[2] in _TAG_MISSING_CODES
