"""What an account has in SWR: repositories and tags, as the management API lists them (`docs/facts/swr.md §4.4, §4.5`).

With the login key alone, dockyard lists repositories and the registry lists the names of tags; their digests are then
not known, because each would cost a request.
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
from adapter.swr.management import Management, Part
from adapter.swr.models import ListedRepository, ListedTag, read_repository, read_tag
from adapter.swr.organizations import Organizations
from adapter.swr.pagination import LATER, Collection, Page, T, parse_page
from adapter.swr.repository import Repository
from adapter.swr.retry import READ, RetryPolicy
from adapter.swr.tags import TagLister
from adapter.swr.tokens import Tokens

__all__ = ["Catalog", "ListedRepository", "ListedTag"]

Query = Mapping[str, str]

LONGEST: Final = 600.0
"""Seconds for a listing as a whole."""
_LONGEST_PAGE: Final = 120.0
REMEMBERED: Final = 3600.0
"""Seconds for which the way of asking that SWR took is taken at once."""
_MOST_WAYS: Final = 10_000
_NO_SUCH_TAG: Final = frozenset({"4040048", "4040115", "4041056", "4041057"})


class Catalog:
    """Lists and deletes; every call asks SWR anew. Shared by all threads."""

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
        self._tag_lists = tag_lister
        self._ways = MemoryState(_MOST_WAYS)

    def repositories(self, credentials: Credentials, organization: str | None) -> list[ListedRepository]:
        """Of one organization, or all that the account sees, by name.

        Raises `OrganizationUnknown` when SWR says so, `Denied` when these credentials open no way to list or the
        organization may be another account's, `Unexpected`, `Unavailable`.
        """
        self._tokens.confirm(credentials, READ)
        way, ask, ways = "dockyard", self._dockyard.repositories, dockyard_queries(organization)
        if self._management.serves(credentials):
            way, ask, ways = "management", self._management.repositories, repository_queries(organization)
        listing = _Listing(
            place=f"{credentials.regional_key} {way} repositories",
            what="repositories",
            ways=ways,
            ask=lambda query, policy: ask(credentials, query, policy),
            read=read_repository,
            key=lambda listed: str(listed.repository),
        )
        try:
            found = self._collected(listing)
        except DockyardAbsent:
            sentence = (
                "repositories cannot be listed with the login key alone on this SWR: enter the SK as Access Secret"
            )
            raise Denied(_without_host(credentials) or sentence) from None
        except OrganizationUnknown:
            raise
        except NotFound:
            # SWR has a code for a list of images that is not there (`docs/facts/swr.md §4.12`, 4040009).
            found = []
        # Filters of SWR may be fuzzy (`docs/facts/swr.md §4.4`).
        mine = [each for each in found if organization in (None, each.organization)]
        if organization is not None and not mine:
            self._refuse_unknown(credentials, organization)
        return mine

    def _refuse_unknown(self, credentials: Credentials, organization: str) -> None:
        """A list of nothing may be of an organization that is empty, missing, or another account's. The permission may
        have been lost, so it is not said to be missing: whoever believed that would delete copies of its images."""
        if not self._organizations.named(credentials, [organization]):
            raise Denied(
                f"the organization '{organization}' does not exist in SWR, or is not yours: check the name filter of "
                "the replication rule, or have its owner grant the permission to read it"
            )

    def tags(self, repository: Repository) -> list[ListedTag]:
        """By name. Raises `RepositoryUnknown`, `OrganizationUnknown`, `Denied`, `Unexpected`, `Unavailable`."""
        self._tokens.confirm(repository.credentials, READ)
        if not self._management.serves(repository.credentials):
            return self._names(repository)
        listing = _Listing(
            place=f"{repository.credentials.regional_key} tags",
            what=f"tags of {repository}",
            ways=tag_queries(),
            ask=lambda query, policy: self._management.tags(repository, query, policy),
            read=read_tag,
            key=lambda tag: tag.name,
        )
        try:
            return self._collected(listing)
        except NotFound as error:
            # A repository whose last tag was deleted: any of these may be said of it.
            if (error.swr_code or "").rpartition(".")[2] in _NO_SUCH_TAG:
                return []
            raise _narrow(error, repository) from error

    def _names(self, repository: Repository) -> list[ListedTag]:
        names = self._tag_lists.names(repository)
        if not names and not self._is_listed(repository):
            raise RepositoryUnknown(f"SWR knows no repository {repository}")
        return [ListedTag(name, None, None, None, None, is_list=False) for name in names]

    def _is_listed(self, repository: Repository) -> bool:
        """SWR's registry answers alike for a repository without tags and for one that is not there
        (`docs/facts/swr.md §6`). Raises `Denied` when these credentials do not show which."""
        try:
            found = self.repositories(repository.credentials, repository.organization)
        except AccountBlocked:
            raise
        except Denied as error:
            raise Denied(
                f"SWR lists no tags of {repository}, and whether it exists cannot be seen ({error.sentence})",
                **error.of_swr(),
            ) from error
        return any(each.repository == repository.name for each in found)

    def delete_tag(self, repository: Repository, tag: str) -> None:
        """Raises `ManifestUnknown`, `RepositoryUnknown`, `OrganizationUnknown`, `Denied`."""
        self._tokens.confirm(repository.credentials)
        if not self._management.serves(repository.credentials):
            sentence = "tags cannot be deleted in SWR with the login key alone: enter the SK as Access Secret"
            raise Denied(_without_host(repository.credentials) or sentence)
        try:
            self._management.delete_tag(repository, tag)
        except NotFound as error:
            if (error.swr_code or "").rpartition(".")[2] in _NO_SUCH_TAG:
                raise ManifestUnknown(f"SWR has no tag {tag} of {repository}", **error.of_swr()) from error
            raise _narrow(error, repository) from error

    def _collected(self, listing: _Listing[T]) -> list[T]:
        """By the first of the ways to ask that SWR takes; for an hour it comes first in the account's other lists."""
        deadline = time.monotonic() + LONGEST

        def page(way: Query, offset: int, limit: int) -> Page[T]:
            until = min(deadline, time.monotonic() + _LONGEST_PAGE)
            query = {**way, "offset": str(offset), "limit": str(limit)}
            try:
                part = listing.ask(query, replace(READ, deadline=until))
            except DockyardAbsent:
                if not offset:
                    raise
                raise Unavailable(
                    f"SWR's registry broke off its list of {listing.what} after {offset} entries: try again later",
                    retry_after=LATER,
                ) from None
            return parse_page(part.document, part.content_range, listing.read, listing.what)

        taken = int(self._ways.get(listing.place) or b"0")
        order = sorted(range(len(listing.ways)), key=lambda number: number != taken)
        for number in order:
            try:
                found = Collection(partial(page, listing.ways[number]), listing.key, listing.what).all()
            except InvalidRequest as error:
                if isinstance(error, NameInvalid) or number == order[-1]:
                    raise
                continue
            if number != taken:
                self._ways.put(listing.place, str(number).encode(), REMEMBERED)
            return found
        raise AssertionError("there is no way to ask")


@dataclass(frozen=True)
class _Listing(Generic[T]):
    """How a listing is asked for and read. `place` is whose way of asking it is, and for what."""

    place: str
    what: str
    ways: Sequence[Query]
    ask: Callable[[Query, RetryPolicy], Part]
    read: Callable[[Mapping[str, Any]], T | None]
    key: Callable[[T], str]


def repository_queries(organization: str | None) -> list[Query]:
    """Ordered by name, so that what is pushed meanwhile moves nothing back.

    Newer documentation takes plain parameters, the older one wants a filter (`docs/facts/swr.md §4.4`).
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
    """The filter is the form in which dockyard was seen to be asked (`docs/facts/swr.md §5`)."""
    plain, filtered, bare = repository_queries(organization)
    return [filtered, plain, bare]


def tag_queries() -> list[Query]:
    """By name: a tag that is pushed again keeps its place. A change log says that the parameters have gone
    (`docs/facts/swr.md §4.5`), so SWR may refuse them."""
    order = {"order_column": "tag", "order_type": "asc"}
    return [order, {"filter": "order_column::tag|order_type::asc"}, {}]


def _without_host(credentials: Credentials) -> str | None:
    """What to do when the SK is there, and still nothing can be signed."""
    if credentials.secret_key is None:
        return None
    return (
        f"the management API of {credentials.region} is unknown: name it as `api` of the region in SWR_ADAPTER_REGIONS"
    )


def _narrow(error: NotFound, repository: Repository) -> NotFound:
    if isinstance(error, OrganizationUnknown):
        return error
    return RepositoryUnknown(f"SWR knows no repository {repository}", **error.of_swr())
