"""Deletion at SWR: one tag, or a digest with all tags that carry it (`docs/facts/harbor.md D.3, D.4`).

A tag carries the digest of its manifest, and where that is a translation the digest of the original too
(`adapter.swr.annotations`): it is that one by which whoever pushed the image knows it.

SWR documents one way, a tag at a time through the management API (`docs/facts/swr.md §4.5`); that needs the SK. What
its /v2 deletes is not known (§6). So /v2 is asked only where that way is closed, and only where no more can go than was
asked for.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import requests

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    DeletionRefused,
    Denied,
    ManifestUnknown,
    NotFound,
    RepositoryUnknown,
    TimedOut,
)
from adapter.references import is_digest
from adapter.swr.annotations import original_digest_of
from adapter.swr.catalog import Catalog, ListedTag
from adapter.swr.errors import error_for
from adapter.swr.management import Management
from adapter.swr.media_types import ACCEPT
from adapter.swr.registry import Registry
from adapter.swr.repository import Repository
from adapter.swr.retry import CREATE
from adapter.swr.tags import TagLister
from adapter.swr.tokens import ALL, PUSH
from adapter.swr.transport import error_response_of, settle

T = TypeVar("T")

MOST_LOOKS: Final = 200
"""Tags whose digests are asked for one by one, where no list has them: 10 s of an account's requests."""

LONGEST: Final = 300.0
"""Seconds for a deletion as a whole; a repository may have thousands of tags with one digest."""

_CLOSED: Final = frozenset({400, 404, 405, 406, 415, 501})
"""Answers of /v2 that can mean that it does not delete like this."""


class Deletion:
    """Deletes for a caller; shared by all threads. What is gone already is `NotFound`."""

    def __init__(
        self, registry: Registry, catalog: Catalog, management: Management, tags: TagLister, *, translated: bool
    ) -> None:
        self._registry = registry
        self._catalog = catalog
        self._management = management
        self._lists = tags
        self._translated = translated

    def tag(self, repository: Repository, tag: str) -> None:
        """Deletes this tag and no other. Raises `ManifestUnknown`, `RepositoryUnknown`, `DeletionRefused`."""
        if self._management.serves(repository.credentials):
            self._managed(repository, tag)
            return
        digest = self._digest(repository, tag)
        if digest is None:
            raise ManifestUnknown(f"{repository} has no tag {tag}")
        # To some registries this means the manifest, and with it every tag that carries it.
        until = time.monotonic() + LONGEST
        others = [name for name in self._sharing(repository, digest, until) if name != tag]
        if others:
            raise DeletionRefused(
                f"the tag {tag} of {repository} shares its manifest with {others[0]}, and it "
                f"cannot be ruled out that SWR deletes both: {_way_out(repository.credentials)}"
            )
        # The look at the others took its time: a push may have moved the tag meanwhile.
        if self._digest(repository, tag) != digest:
            raise DeletionRefused(f"the tag {tag} of {repository} was moved meanwhile: nothing was deleted")
        self._on_registry(repository, tag)

    def tag_of(self, repository: Repository, reference: str, tag: str) -> None:
        """Deletes a tag of the artifact that `reference`, a tag or a digest, names; as `tag` does."""
        if reference != tag:
            named = reference if is_digest(reference) else self._digest(repository, reference)
            if named is None or named not in self._names(repository, tag):
                raise ManifestUnknown(f"{repository} has no artifact {reference} with the tag {tag}")
        self.tag(repository, tag)

    def manifest(self, repository: Repository, digest: str) -> None:
        """Deletes all tags that carry the digest; one without tags as far as SWR lets it be done.

        Raises `ManifestUnknown` and `RepositoryUnknown` only when SWR's registry does not serve the digest either;
        `DeletionRefused`, `TimedOut`.
        """
        if not self._management.serves(repository.credentials):
            self._without_management(repository, digest)
            return
        deleted, until = False, time.monotonic() + LONGEST
        unknown: RepositoryUnknown | None = None
        try:
            tags = self._listed(repository, digest)
        except RepositoryUnknown as error:
            tags, unknown = [], error
        for tag in _timely(tags, repository, until):
            # A push may have moved the tag since the list was made. SWR knows no deletion on a condition, so one that
            # moves it between this look and the next request still loses the tag of its new image; its push, run
            # again, brings the tag back.
            if self._still_carries(repository, tag, digest):
                deleted = self._deleted(repository, tag.name) or deleted
        if deleted:
            return
        try:
            self._untagged(repository, digest)
        except ManifestUnknown as error:
            raise unknown or error from None

    def _deleted(self, repository: Repository, tag: str) -> bool:
        try:
            self._managed(repository, tag)
        except NotFound:
            return False
        return True

    def _managed(self, repository: Repository, tag: str) -> None:
        """By the management API. Its 404 is believed when the registry does not serve the tag either: Harbor takes a
        404 for done."""
        try:
            self._catalog.delete_tag(repository, tag)
        except NotFound as error:
            try:
                served = self._digest(repository, tag) is not None
            except NotFound:
                served = False
            if not served:
                raise
            raise DeletionRefused(
                f"SWR's management API does not find the tag {tag} of {repository}, although SWR's registry serves it: "
                "delete it again later, or in the SWR console",
                **error.of_swr(),
            ) from error

    def _untagged(self, repository: Repository, digest: str) -> None:
        try:
            self._on_registry(repository, digest)
        except DeletionRefused as refused:
            raise DeletionRefused(
                f"no tag of {repository} carries {digest}, and SWR deletes only by tag: nothing was deleted; delete "
                "the repository in SWR's console if it must go at once",
                **refused.of_swr(),
            ) from refused

    def _without_management(self, repository: Repository, digest: str) -> None:
        until = time.monotonic() + LONGEST
        try:
            self._on_registry(repository, digest)
        except (DeletionRefused, ManifestUnknown) as error:
            # An original is no manifest of SWR's, but tags may stand for it.
            if isinstance(error, ManifestUnknown) and not self._translated:
                raise
            # Each of them was asked for, so it does no harm if the first takes the others along.
            tags = self._carrying(repository, digest, until)
            if not tags:
                raise
            deleted = False
            for tag in _timely(tags, repository, until):
                # A push may have moved it since; see `manifest`.
                if digest in self._names(repository, tag):
                    with contextlib.suppress(ManifestUnknown):
                        self._on_registry(repository, tag)
                        deleted = True
            if not deleted:
                if isinstance(error, DeletionRefused) and self._digest(repository, digest) is not None:
                    raise
                raise ManifestUnknown(f"no tag of {repository} carries {digest} any more") from None

    def _on_registry(self, repository: Repository, reference: str) -> None:
        """Raises `ManifestUnknown`, and `DeletionRefused` when the manifest is there but this way is closed."""
        response = self._ask(repository, f"/v2/{repository}/manifests/{reference}")
        if 200 <= response.status_code < 300:
            settle(response)
            return
        error = error_for(error_response_of(response))
        if response.status_code not in _CLOSED:
            raise error
        # A 404 can be the manifest's or the method's.
        if self._digest(repository, reference) is None:
            raise ManifestUnknown(f"{repository} has no manifest {reference}", **error.of_swr())
        raise DeletionRefused(
            f"SWR's registry does not delete {reference} of {repository}: {_way_out(repository.credentials)}",
            **error.of_swr(),
        )

    def _ask(self, repository: Repository, path: str) -> requests.Response:
        """Other clients of SWR delete with a token for pushing (`docs/facts/swr.md §6`), Harbor's with one for all."""
        try:
            return self._registry.exchange("DELETE", repository, path, actions=PUSH, policy=CREATE)
        except AccountBlocked:
            raise
        except Denied:
            return self._registry.exchange("DELETE", repository, path, actions=ALL, policy=CREATE)

    # Which tags carry a digest

    def _digest(self, repository: Repository, reference: str) -> str | None:
        """SWR's own."""
        try:
            return self._registry.manifest(repository, reference, ACCEPT, head=True).digest
        except ManifestUnknown:
            return None

    def _names(self, repository: Repository, tag: str) -> set[str]:
        """All digests that a tag carries, none when it is gone."""
        if not self._translated:
            return {digest} if (digest := self._digest(repository, tag)) is not None else set()
        try:
            found = self._registry.manifest(repository, tag, ACCEPT, head=False)
        except ManifestUnknown:
            return set()
        source = original_digest_of(found.data or b"")
        return {found.digest} if source is None else {found.digest, source}

    def _still_carries(self, repository: Repository, tag: ListedTag, digest: str) -> bool:
        if tag.digest is not None and digest in (tag.digest, tag.source):
            return self._digest(repository, tag.name) == tag.digest
        return digest in self._names(repository, tag.name)

    def _listed(self, repository: Repository, digest: str) -> list[ListedTag]:
        """By the management API: the tags that carry the digest, and those of which the list does not tell, because it
        has no digest of theirs, or no document (`docs/facts/swr.md §4.5` says that it has both). The look that follows
        tells."""
        tags = self._catalog.tags(repository)
        untold = [tag.name for tag in tags if tag.digest != digest and self._is_untold(tag)]
        _refuse_beyond(len(untold), repository, "delete it in SWR's console")
        carries = {tag.name for tag in tags if tag.digest == digest or (self._translated and tag.source == digest)}
        return [tag for tag in tags if tag.name in carries or tag.name in untold]

    def _is_untold(self, tag: ListedTag) -> bool:
        return tag.digest is None or (self._translated and tag.silent)

    def _carrying(self, repository: Repository, digest: str, until: float) -> list[str]:
        """By the registry, which tells it only of one tag at a time."""
        names = _timely(self._asked(repository), repository, until)
        return [name for name in names if digest in self._names(repository, name)]

    def _sharing(self, repository: Repository, digest: str, until: float) -> list[str]:
        """The same of SWR's own digest: these tags have one manifest."""
        names = _timely(self._asked(repository), repository, until)
        return [name for name in names if self._digest(repository, name) == digest]

    def _asked(self, repository: Repository) -> list[str]:
        names = self._lists.names(repository)
        _refuse_beyond(len(names), repository, _way_out(repository.credentials))
        return names


def _refuse_beyond(number: int, repository: Repository, way_out: str) -> None:
    if number > MOST_LOOKS:
        raise DeletionRefused(
            f"which tags of {repository} carry a digest can only be asked one by one here, and it has {number} "
            f"(at most {MOST_LOOKS} are asked for): {way_out}"
        )


def _timely(tags: Iterable[T], repository: Repository, until: float) -> Iterator[T]:
    """The tags, one after the other. Raises `TimedOut` before the one that comes after the monotonic moment `until`."""
    for number, tag in enumerate(tags):
        if time.monotonic() > until:
            raise TimedOut(
                f"the deletion in {repository} took longer than {LONGEST:g} s, after {number} tags: delete again to "
                "continue"
            )
        yield tag


def _way_out(credentials: Credentials) -> str:
    """How the management API can be reached."""
    if credentials.secret_key is None:
        return "enter the SK as Access Secret, so that SWR's management API can be used"
    return f"name the management API of {credentials.region} in SWR_ADAPTER_REGIONS"
