"""Manifests that SWR refuses for their type, kept as blobs of their repository under their own digests.

To SWR they are blobs like any other that no manifest names. When it forgets one it is gone, and nothing breaks: the
translation that stands for it remains. Whoever asks for a digest gets the very bytes, or nothing.
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
from adapter.swr.media_types import LISTS, digests_in, parsed
from adapter.swr.repository import Repository
from adapter.swr.tokens import PUSH
from adapter.swr.transport import read_document

LARGEST: Final = 4 << 20
"""Bytes of the largest manifest that a registry must take (OCI distribution spec, "Pushing manifests")."""
CACHED: Final = 64 << 10
"""Bytes up to which one is remembered with the others, and told to other replicas."""
MOST_LARGE: Final = 4
"""So many that are larger are remembered in this process, so that a look at one does not fetch it each time."""
MOST_PARTS: Final = 500
"""Blobs of one manifest: whether it is there as a whole costs a request for each. Images have 127 layers at most."""
MOST_MISSED: Final = 10_000
"""Digests that are not there, or are no manifest: remembered apart from all else, since callers choose them."""
LIFE: Final = 600.0
"""Seconds for which what was found is taken to be there."""
MISSED: Final = 3600.0
"""Seconds for which a digest that was not found is remembered, unless it comes."""

_MOST: Final = 1_000
"""So many are remembered in this process: 64 MiB at most, a few as a rule."""
_READING: Final = 30.0


class PreservedOriginals:
    """Originals of every repository, for any caller; nothing that one caller was told is ever told to another one."""

    def __init__(self, swr: SwrClient) -> None:
        self._swr = swr
        # What replicas share has room of its own; the memory of a process is bounded by number alone.
        alone = isinstance(swr.state, MemoryState)
        self._cache: State = MemoryState(_MOST) if alone else swr.state
        self._large = MemoryState(MOST_LARGE)
        self._others = MemoryState(MOST_MISSED)
        self._missed: State = MemoryState(MOST_MISSED) if alone else swr.state

    def keep(self, repository: Repository, original: Document, *, remembered: bool) -> None:
        """Puts it into SWR, as a blob. `remembered`: it is taken to be there for a while without asking.

        Raises what SWR refuses an upload with, and `ManifestInvalid` for more parts than are looked for later. An
        organization that is missing is not made: `OrganizationUnknown`.
        """
        if len(_parts(original)) > MOST_PARTS:
            raise ManifestInvalid(
                f"the manifest names more than {MOST_PARTS} blobs, and SWR rejects its type: use fewer layers"
            )
        self._swr.registry.authorize(repository, PUSH)
        location = self._swr.uploads.start(repository, create=False)
        try:
            self._swr.uploads.finish(repository, location, original.digest, original.data)
        except AdapterError as error:
            with contextlib.suppress(AdapterError):
                self._swr.uploads.cancel(repository, location)
            if isinstance(error, RangeInvalid):
                raise Unexpected(f"SWR takes no manifest as a blob: {error.sentence}", **error.of_swr()) from error
            raise
        if remembered:
            self._remember(repository, original)

    def find(self, repository: Repository, digest: str, *, fresh: bool = False) -> Document | None:
        """The original of that digest, None when no blob is one. Raises what SWR cannot be asked for.

        `fresh`: what was there a while ago does not count, and what an image names must be there as well. Nothing in
        SWR holds it until a tag does, and whoever hears that the image is there sends none of it.
        """
        if not fresh and (found := self.recall(repository, digest)) is not None:
            return found
        original = self._fetched(repository, digest)
        if original is not None and fresh and not self._is_whole(repository, original):
            original = None
        if original is not None:
            self._remember(repository, original)
        elif fresh:
            for store in (self._cache, self._large):
                store.drop(_key("kept", repository, digest))
        return original

    def _is_whole(self, repository: Repository, original: Document) -> bool:
        parts = _parts(original)
        if len(parts) > MOST_PARTS:
            return False
        try:
            for digest in parts:
                self._swr.registry.blob(repository, digest)
        except BlobUnknown:
            return False
        return True

    def recall(self, repository: Repository, digest: str) -> Document | None:
        """The same without asking SWR."""
        key = _key("kept", repository, digest)
        data = self._cache.get(key) or self._large.get(key)
        return None if data is None else original_in(data, digest)

    def _remember(self, repository: Repository, original: Document) -> None:
        store = self._cache if len(original.data) <= CACHED else self._large
        store.put(_key("kept", repository, original.digest), original.data, LIFE)

    def _fetched(self, repository: Repository, digest: str) -> Document | None:
        """What a blob is never changes, so one that is no manifest is read once to find that out."""
        key = _key("blob", repository, digest)
        if self._others.get(key) is not None:
            return None
        try:
            response = self._swr.registry.open_blob(repository, digest)
        except NotFound:
            return None
        if _is_too_large(response):
            response.close()
            self._others.put(key, b"1", LIFE)
            return None
        try:
            data = read_document(response, LARGEST, time.monotonic() + _READING)
        except Unexpected:
            return None
        if (original := original_in(data, digest)) is None and digest_of(data, algorithm_of(digest)) == digest:
            self._others.put(key, b"1", LIFE)
        return original

    # Manifests that somebody looked for in vain

    def missed(self, repository: Repository, digest: str) -> None:
        """Neither a manifest nor a blob has the digest now."""
        self._missed.put(_key("missed", repository, digest), b"1", MISSED)

    def arrived(self, repository: Repository, digests: Iterable[str]) -> None:
        """They are there now."""
        for digest in digests:
            self._missed.drop(_key("missed", repository, digest))

    def lacks(self, repository: Repository, digests: Iterable[str]) -> bool:
        """Whether one of them was looked for in vain lately."""
        return any(self._missed.get(_key("missed", repository, digest)) is not None for digest in digests)


def _key(what: str, repository: Repository, digest: str) -> str:
    return f"{what}:{repository.credentials.fingerprint}:{repository}:{digest}"


def _parts(original: Document) -> list[str]:
    """The blobs that a manifest must have beside it, each once; of an index each manifest is asked for by itself."""
    if original.media_type in LISTS:
        return []
    document = parsed(original.data) or {}
    parts = [document["config"], *(document.get("layers") or [])]
    return list(dict.fromkeys(part["digest"] for part in parts if not part.get("urls")))


def _is_too_large(response: requests.Response) -> bool:
    """A layer may have the digest that somebody asks a manifest for: it is not read to find out."""
    return (whole_number(response.headers.get("Content-Length")) or 0) > LARGEST


def original_in(data: bytes, digest: str) -> Document | None:
    """The bytes as an OCI index or manifest; None unless they hash to the digest and are one by form."""
    if digest_of(data, algorithm_of(digest)) != digest:
        return None
    document = parsed(data)
    media_type = None if document is None else original_type_of(document)
    if document is None or media_type is None:
        return None
    return Document(media_type, digest, data, tuple(digests_in(document)))
