"""Manifests that SWR rejects for their type, preserved as blobs of their repository under their own digests.

For SWR they are blobs that no manifest references. If SWR deletes one, only that original is gone: the converted image
remains. A read returns exactly the original bytes, or nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import Final

import requests

from adapter.errors import AdapterError, BlobUnknown, ManifestInvalid, NotFound, RangeInvalid, Unexpected
from adapter.manifests.conversion import Document
from adapter.manifests.forms import original_type_of
from adapter.numerals import whole_number
from adapter.references import algorithm_of, digest_of
from adapter.state import MemoryState, State
from adapter.swr.client import SwrClient
from adapter.swr.media_types import INDEX_TYPES, digests_in, parse_manifest
from adapter.swr.repository import Repository
from adapter.swr.response_body import read_document
from adapter.swr.tokens import PUSH

MAX_MANIFEST_BYTES: Final = 4 << 20
"""The largest manifest that a registry must accept (OCI distribution spec, "Pushing manifests")."""
MAX_SHARED_BYTES: Final = 64 << 10
"""An original up to this size is cached in the state that replicas share."""
MAX_LARGE_ENTRIES: Final = 4
"""Larger originals that this process caches, so that a repeated HEAD does not download one each time."""
MAX_PARTS: Final = 500
"""Limit of blobs of one manifest, because checking them costs a request each. Images have 127 layers at most."""
MAX_MISSING_ENTRIES: Final = 10_000
"""Digests that are missing or not a manifest: kept apart from everything else, because callers choose them."""
FOUND_TTL_SECONDS: Final = 600.0
"""Time for which an original that was found counts as present."""
MISSING_TTL_SECONDS: Final = 3600.0
"""Time for which a digest that was not found counts as missing, unless it is pushed."""

_MAX_ENTRIES: Final = 1_000
"""Originals that this process caches: 64 MiB at most, usually a few."""
_READ_SECONDS: Final = 30.0


class PreservedOriginals:
    """The originals of all repositories. What one caller has read is never returned to another caller."""

    def __init__(self, swr: SwrClient) -> None:
        self._swr = swr
        # The shared state bounds its own memory. The state of a process alone is bounded by number.
        alone = isinstance(swr.state, MemoryState)
        self._cache: State = MemoryState(_MAX_ENTRIES) if alone else swr.state
        self._large = MemoryState(MAX_LARGE_ENTRIES)
        self._other_blobs = MemoryState(MAX_MISSING_ENTRIES)
        self._missing: State = MemoryState(MAX_MISSING_ENTRIES) if alone else swr.state

    def preserve(self, repository: Repository, original: Document, *, cache: bool) -> None:
        """Uploads the original as a blob. `cache`: it then counts as present without a request to SWR.

        Raises the errors of an upload, and `ManifestInvalid` for more than `MAX_PARTS` blobs. A missing organization is
        not created: `OrganizationUnknown`.
        """
        if len(_parts(original)) > MAX_PARTS:
            raise ManifestInvalid(
                f"the manifest references more than {MAX_PARTS} blobs (limit for a type that SWR rejects): use fewer "
                "layers"
            )
        self._swr.registry.authorize(repository, PUSH)
        location = self._swr.uploads.start(repository, create=False)
        try:
            self._swr.uploads.finish(repository, location, original.digest, original.data)
        except AdapterError as error:
            with contextlib.suppress(AdapterError):
                self._swr.uploads.cancel(repository, location)
            if isinstance(error, RangeInvalid):
                raise Unexpected(
                    f"the original manifest cannot be stored as a blob in SWR: {error.sentence}", **error.of_swr()
                ) from error
            raise
        if cache:
            self._add_to_cache(repository, original)

    def find(self, repository: Repository, digest: str, *, fresh: bool = False) -> Document | None:
        """The original of that digest; None if no blob is one. Raises the errors of reading a blob.

        `fresh`: ignores the cache, and requires that the blobs of an image are present too. No tag keeps them in SWR,
        and a client that finds the image present uploads none of them.
        """
        if not fresh and (found := self.cached(repository, digest)) is not None:
            return found
        original = self._read(repository, digest)
        if original is not None and fresh and not self._has_parts(repository, original):
            original = None
        if original is not None:
            self._add_to_cache(repository, original)
        elif fresh:
            for store in (self._cache, self._large):
                store.drop(_key("kept", repository, digest))
        return original

    def _has_parts(self, repository: Repository, original: Document) -> bool:
        parts = _parts(original)
        if len(parts) > MAX_PARTS:
            return False
        try:
            for digest in parts:
                self._swr.registry.blob(repository, digest)
        except BlobUnknown:
            return False
        return True

    def cached(self, repository: Repository, digest: str) -> Document | None:
        """The original of that digest if it is cached. No request to SWR."""
        key = _key("kept", repository, digest)
        data = self._cache.get(key) or self._large.get(key)
        return None if data is None else original_in(data, digest)

    def _add_to_cache(self, repository: Repository, original: Document) -> None:
        store = self._cache if len(original.data) <= MAX_SHARED_BYTES else self._large
        store.put(_key("kept", repository, original.digest), original.data, FOUND_TTL_SECONDS)

    def _read(self, repository: Repository, digest: str) -> Document | None:
        """A blob never changes, so one that is not a manifest is read only once."""
        key = _key("blob", repository, digest)
        if self._other_blobs.get(key) is not None:
            return None
        try:
            response = self._swr.registry.open_blob(repository, digest)
        except NotFound:
            return None
        if _is_too_large(response):
            response.close()
            self._other_blobs.put(key, b"1", FOUND_TTL_SECONDS)
            return None
        try:
            data = read_document(response, MAX_MANIFEST_BYTES, time.monotonic() + _READ_SECONDS)
        except Unexpected:
            return None
        if (original := original_in(data, digest)) is None and digest_of(data, algorithm_of(digest)) == digest:
            self._other_blobs.put(key, b"1", FOUND_TTL_SECONDS)
        return original

    # Missing manifests

    def record_missing(self, repository: Repository, digest: str) -> None:
        """Notes that neither a manifest nor a blob has the digest."""
        self._missing.put(_key("missed", repository, digest), b"1", MISSING_TTL_SECONDS)

    def clear_missing(self, repository: Repository, digests: Iterable[str]) -> None:
        """Notes that these manifests are present."""
        for digest in digests:
            self._missing.drop(_key("missed", repository, digest))

    def is_missing(self, repository: Repository, digest: str) -> bool:
        """Whether the digest was not found lately."""
        return self._missing.get(_key("missed", repository, digest)) is not None


def _key(what: str, repository: Repository, digest: str) -> str:
    return f"{what}:{repository.credentials.fingerprint}:{repository}:{digest}"


def _parts(original: Document) -> list[str]:
    """The digests of the blobs of an image, each once; none for an index, whose manifests are checked separately."""
    if original.media_type in INDEX_TYPES:
        return []
    document = parse_manifest(original.data) or {}
    parts = [document["config"], *(document.get("layers") or [])]
    return list(dict.fromkeys(part["digest"] for part in parts if not part.get("urls")))


def _is_too_large(response: requests.Response) -> bool:
    """Whether the blob is larger than any manifest. A caller may request a manifest under the digest of a layer."""
    return (whole_number(response.headers.get("Content-Length")) or 0) > MAX_MANIFEST_BYTES


def original_in(data: bytes, digest: str) -> Document | None:
    """The bytes as an original; None if they do not match the digest or are not of a type that is preserved."""
    if digest_of(data, algorithm_of(digest)) != digest:
        return None
    document = parse_manifest(data)
    media_type = None if document is None else original_type_of(document)
    if document is None or media_type is None:
        return None
    return Document(media_type, digest, data, tuple(digests_in(document)))
