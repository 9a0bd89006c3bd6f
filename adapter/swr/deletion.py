"""Deletes one tag, or a manifest with all tags that point to its digest (`docs/facts/harbor.md D.3, D.4`).

A tag points to the digest of its manifest. If the manifest is converted, the tag also points to the digest of the
original (`adapter.swr.annotations`), the only digest that the client that pushed the image has.

SWR documents one way: one tag at a time through the management API, which requires the SK (`docs/facts/swr.md §4.5`).
What DELETE on /v2 deletes is unknown (§6). So /v2 is used only without the management API, and only where it cannot
delete more than the client requested.
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
from adapter.swr.error_codes import error_for
from adapter.swr.management import Management
from adapter.swr.media_types import ACCEPT
from adapter.swr.registry import Registry
from adapter.swr.repository import Repository
from adapter.swr.response_body import error_response_of, settle
from adapter.swr.retry import CREATE
from adapter.swr.tags import TagLister
from adapter.swr.tokens import ALL, PUSH

T = TypeVar("T")

MAX_LOOKUPS: Final = 200
"""Tags whose digests are requested one by one if no list has them: 10 s of the rate limit."""
TIMEOUT_SECONDS: Final = 300.0
"""Time limit of a whole deletion: a repository may have thousands of tags with one digest."""
_UNSUPPORTED_STATUSES: Final = frozenset({400, 404, 405, 406, 415, 501})
"""Responses of /v2 that can mean that it does not support this deletion."""


class Deletion:
    """Deletes tags and manifests. Raises `NotFound` for what is already deleted. Thread-safe."""

    def __init__(
        self, registry: Registry, catalog: Catalog, management: Management, tags: TagLister, *, translated: bool
    ) -> None:
        self._registry = registry
        self._catalog = catalog
        self._management = management
        self._tag_lister = tags
        self._translated = translated

    def tag(self, repository: Repository, tag: str) -> None:
        """Deletes this tag and no other. Raises `ManifestUnknown`, `RepositoryUnknown`, `DeletionRefused`."""
        if self._management.serves(repository.credentials):
            self._delete_by_management(repository, tag)
            return
        digest = self._digest(repository, tag)
        if digest is None:
            raise ManifestUnknown(f"{repository} has no tag {tag}")
        # Some registries delete the manifest, and with it every tag that points to it.
        deadline = time.monotonic() + TIMEOUT_SECONDS
        others = [name for name in self._tags_of_manifest(repository, digest, deadline) if name != tag]
        if others:
            raise DeletionRefused(
                f"tag {tag} of {repository} not deleted: it shares its manifest with {others[0]}, and SWR might delete "
                f"both; {_management_remedy(repository.credentials)}"
            )
        # A push may have moved the tag during the requests for the others.
        if self._digest(repository, tag) != digest:
            raise DeletionRefused(f"tag {tag} of {repository} changed during the deletion: nothing was deleted")
        self._delete_by_registry(repository, tag)

    def tag_of(self, repository: Repository, reference: str, tag: str) -> None:
        """Deletes a tag of the artifact that `reference`, a tag or a digest, identifies; raises as `tag` does."""
        if reference != tag:
            digest = reference if is_digest(reference) else self._digest(repository, reference)
            if digest is None or digest not in self._digests(repository, tag):
                raise ManifestUnknown(f"{repository} has no artifact {reference} with the tag {tag}")
        self.tag(repository, tag)

    def manifest(self, repository: Repository, digest: str) -> None:
        """Deletes all tags that point to the digest. Without such tags, tries to delete the digest on /v2.

        Raises `ManifestUnknown` and `RepositoryUnknown` only if SWR's registry does not serve the digest either;
        `DeletionRefused`, `TimedOut`.
        """
        if not self._management.serves(repository.credentials):
            self._manifest_without_management(repository, digest)
            return
        deleted, deadline = False, time.monotonic() + TIMEOUT_SECONDS
        unknown: RepositoryUnknown | None = None
        try:
            tags = self._listed_tags(repository, digest)
        except RepositoryUnknown as error:
            tags, unknown = [], error
        for tag in _until(deadline, tags, repository):
            # A push may have moved the tag since it was listed. SWR has no conditional deletion: a push between this
            # check and the next request still loses its tag. Running that push again restores the tag.
            if self._still_points_to(repository, tag, digest):
                deleted = self._delete_if_present(repository, tag.name) or deleted
        if deleted:
            return
        try:
            self._delete_untagged(repository, digest)
        except ManifestUnknown as error:
            raise unknown or error from None

    def _delete_if_present(self, repository: Repository, tag: str) -> bool:
        try:
            self._delete_by_management(repository, tag)
        except NotFound:
            return False
        return True

    def _delete_by_management(self, repository: Repository, tag: str) -> None:
        """Raises `NotFound` only if the registry does not serve the tag either: Harbor treats a 404 as success."""
        try:
            self._catalog.delete_tag(repository, tag)
        except NotFound as error:
            with contextlib.suppress(NotFound):
                if self._digest(repository, tag) is not None:
                    raise DeletionRefused(
                        f"tag {tag} of {repository} not found by SWR's management API, although SWR's registry serves "
                        "it: delete it again later, or delete it in the SWR console",
                        **error.of_swr(),
                    ) from error
            raise

    def _delete_untagged(self, repository: Repository, digest: str) -> None:
        try:
            self._delete_by_registry(repository, digest)
        except DeletionRefused as refused:
            raise DeletionRefused(
                f"nothing deleted: no tag of {repository} points to {digest}, and SWR deletes only by tag; to remove "
                "it now, delete the repository in the SWR console",
                **refused.of_swr(),
            ) from refused

    def _manifest_without_management(self, repository: Repository, digest: str) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        try:
            self._delete_by_registry(repository, digest)
        except (DeletionRefused, ManifestUnknown) as error:
            # SWR has no manifest with the digest of an original, but converted manifests may reference it.
            if isinstance(error, ManifestUnknown) and not self._translated:
                raise
            # All of them are to be deleted, so it does no harm if SWR deletes all with the first.
            tags = self._tags_of_digest(repository, digest, deadline)
            if not tags:
                raise
            deleted = False
            for tag in _until(deadline, tags, repository):
                # A push may have moved the tag, as in `manifest`.
                if digest in self._digests(repository, tag):
                    with contextlib.suppress(ManifestUnknown):
                        self._delete_by_registry(repository, tag)
                        deleted = True
            if not deleted:
                if isinstance(error, DeletionRefused) and self._digest(repository, digest) is not None:
                    raise
                raise ManifestUnknown(f"no tag of {repository} points to {digest} any more") from None

    def _delete_by_registry(self, repository: Repository, reference: str) -> None:
        """Raises `ManifestUnknown`, and `DeletionRefused` if the manifest exists but /v2 does not delete it."""
        response = self._send_delete(repository, f"/v2/{repository}/manifests/{reference}")
        if 200 <= response.status_code < 300:
            settle(response)
            return
        error = error_for(error_response_of(response))
        if response.status_code not in _UNSUPPORTED_STATUSES:
            raise error
        # A 404 can be about the manifest or about the method.
        if self._digest(repository, reference) is None:
            raise ManifestUnknown(f"{repository} has no manifest {reference}", **error.of_swr())
        raise DeletionRefused(
            f"SWR's registry does not delete {reference} of {repository}: {_management_remedy(repository.credentials)}",
            **error.of_swr(),
        )

    def _send_delete(self, repository: Repository, path: str) -> requests.Response:
        """Other clients of SWR delete with a token for pushing (`docs/facts/swr.md §6`), Harbor with one for `*`."""
        try:
            return self._registry.exchange("DELETE", repository, path, actions=PUSH, policy=CREATE)
        except AccountBlocked:
            raise
        except Denied:
            return self._registry.exchange("DELETE", repository, path, actions=ALL, policy=CREATE)

    # Which tags point to a digest

    def _digest(self, repository: Repository, reference: str) -> str | None:
        """The digest of the manifest in SWR, None for a missing one."""
        try:
            return self._registry.manifest(repository, reference, ACCEPT, head=True).digest
        except ManifestUnknown:
            return None

    def _digests(self, repository: Repository, tag: str) -> set[str]:
        """The digests of the manifest and of its original; empty for a missing tag."""
        if not self._translated:
            return {digest} if (digest := self._digest(repository, tag)) is not None else set()
        try:
            found = self._registry.manifest(repository, tag, ACCEPT, head=False)
        except ManifestUnknown:
            return set()
        source = original_digest_of(found.data or b"")
        return {found.digest} if source is None else {found.digest, source}

    def _still_points_to(self, repository: Repository, tag: ListedTag, digest: str) -> bool:
        if tag.digest is not None and digest in (tag.digest, tag.source):
            return self._digest(repository, tag.name) == tag.digest
        return digest in self._digests(repository, tag.name)

    def _listed_tags(self, repository: Repository, digest: str) -> list[ListedTag]:
        """From the management API: the tags that point to the digest, and those that may.

        A tag may point to the digest if the list has no digest or no manifest of the tag, contrary to
        `docs/facts/swr.md §4.5`. `_still_points_to` then decides.
        """
        tags = self._catalog.tags(repository)
        unknown = {tag.name for tag in tags if tag.digest != digest and self._may_point_anywhere(tag)}
        _check_lookups(len(unknown), repository, "delete it in the SWR console")
        pointing = {tag.name for tag in tags if tag.digest == digest or (self._translated and tag.source == digest)}
        return [tag for tag in tags if tag.name in pointing | unknown]

    def _may_point_anywhere(self, tag: ListedTag) -> bool:
        return tag.digest is None or (self._translated and tag.source_unknown)

    def _tags_of_digest(self, repository: Repository, digest: str, deadline: float) -> list[str]:
        """The tags whose manifest, or its original, has the digest. The registry needs one request for each tag."""
        names = _until(deadline, self._tag_names(repository), repository)
        return [name for name in names if digest in self._digests(repository, name)]

    def _tags_of_manifest(self, repository: Repository, digest: str, deadline: float) -> list[str]:
        """The tags whose manifest in SWR has the digest, with one request for each tag."""
        names = _until(deadline, self._tag_names(repository), repository)
        return [name for name in names if self._digest(repository, name) == digest]

    def _tag_names(self, repository: Repository) -> list[str]:
        names = self._tag_lister.names(repository)
        _check_lookups(len(names), repository, _management_remedy(repository.credentials))
        return names


def _check_lookups(count: int, repository: Repository, remedy: str) -> None:
    if count > MAX_LOOKUPS:
        raise DeletionRefused(
            "nothing deleted: finding the tags of a digest takes one request per tag here, and "
            f"{repository} has {count} tags (limit {MAX_LOOKUPS}); {remedy}"
        )


def _until(deadline: float, tags: Iterable[T], repository: Repository) -> Iterator[T]:
    """The tags, one after the other. Raises `TimedOut` for a tag after the monotonic time `deadline`."""
    for number, tag in enumerate(tags):
        if time.monotonic() > deadline:
            raise TimedOut(
                f"the deletion in {repository} timed out after {TIMEOUT_SECONDS:g} s and {number} tags: delete again "
                "to continue"
            )
        yield tag


def _management_remedy(credentials: Credentials) -> str:
    if credentials.secret_key is None:
        return "enter the SK as Access Secret to use the management API"
    return f"set `api` of {credentials.region} in SWR_ADAPTER_REGIONS to the URL of its management API"
