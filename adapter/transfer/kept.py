"""Manifests that SWR refuses for their type, kept as blobs of their repository under their own digests.

To SWR they are blobs like any other that no manifest names. When it forgets one it is gone, and nothing breaks: the
translation that stands for it remains. Whoever asks for a digest gets the very bytes, or nothing.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from typing import Any, Final

import requests

from adapter.errors import AdapterError, BlobUnknown, ManifestInvalid, NotFound, RangeInvalid, Unexpected
from adapter.identity import Identity
from adapter.names import Repository, algorithm_of, digest_of
from adapter.state import MemoryState, State
from adapter.swr.client import SwrClient
from adapter.swr.manifest_types import OCI_INDEX, OCI_MANIFEST
from adapter.swr.tokens import PUSH
from adapter.swr.transport import read_document
from adapter.transfer.translate import Document, as_descriptor

LARGEST: Final = 4 << 20
"""Bytes of the largest manifest that a registry must take (OCI distribution spec, "Pushing manifests")."""
CACHED: Final = 64 << 10
"""Bytes up to which one is remembered."""
LIFE: Final = 600.0
"""Seconds for which what was found is taken to be there."""
MISSED: Final = 3600.0
"""Seconds for which a digest that was not found is remembered, unless it comes."""

_MOST: Final = 1_000
"""So many are remembered in this process: 64 MiB at most, a few as a rule."""
_READING: Final = 30.0


class Kept:
    """Originals of every repository, for any caller; nothing that one caller was told is ever told to another one."""

    def __init__(self, swr: SwrClient) -> None:
        self._swr = swr
        self._state = swr.state
        # What replicas share has room of its own; the memory of a process is bounded by number alone.
        self._cache: State = MemoryState(_MOST) if isinstance(swr.state, MemoryState) else swr.state

    def keep(self, identity: Identity, repository: Repository, original: Document, *, remembered: bool) -> None:
        """Puts it into SWR, as a blob. `remembered`: it is taken to be there for a while without asking.

        Raises what SWR refuses an upload with. An organization that is missing is not made: `OrganizationUnknown`.
        """
        self._swr.registry.authorize(identity, repository, PUSH)
        location = self._swr.uploads.start(identity, repository, create=False)
        try:
            self._swr.uploads.finish(identity, repository, location, original.digest, original.data)
        except AdapterError as error:
            with contextlib.suppress(AdapterError):
                self._swr.uploads.cancel(identity, repository, location)
            if isinstance(error, RangeInvalid):
                raise Unexpected(f"SWR takes no manifest as a blob: {error.sentence}", **error.of_swr()) from error
            raise
        if remembered:
            self._remember(identity, repository, original)

    def find(self, identity: Identity, repository: Repository, digest: str, *, fresh: bool = False) -> Document | None:
        """The original of that digest, None when no blob is one. Raises what SWR cannot be asked for.

        `fresh`: what was there a while ago does not count, and what an image names must be there as well. Nothing in
        SWR holds it until a tag does, and whoever hears that the image is there sends none of it.
        """
        if not fresh and (found := self.recall(identity, repository, digest)) is not None:
            return found
        data = self._fetched(identity, repository, digest)
        original = None if data is None else original_in(data, digest)
        if original is not None and fresh and not self._is_whole(identity, repository, original):
            original = None
        if original is not None:
            self._remember(identity, repository, original)
        elif fresh:
            self._cache.drop(_key("kept", identity, repository, digest))
        return original

    def _is_whole(self, identity: Identity, repository: Repository, original: Document) -> bool:
        """Of an index each manifest is asked for by itself."""
        document = json.loads(original.data)
        parts = [] if original.media_type == OCI_INDEX else [document["config"], *(document.get("layers") or [])]
        try:
            for digest in dict.fromkeys(part["digest"] for part in parts if not part.get("urls")):
                self._swr.registry.blob(identity, repository, digest)
        except BlobUnknown:
            return False
        return True

    def recall(self, identity: Identity, repository: Repository, digest: str) -> Document | None:
        """The same without asking SWR."""
        data = self._cache.get(_key("kept", identity, repository, digest))
        return None if data is None else original_in(data, digest)

    def _remember(self, identity: Identity, repository: Repository, original: Document) -> None:
        if len(original.data) <= CACHED:
            self._cache.put(_key("kept", identity, repository, original.digest), original.data, LIFE)

    def _fetched(self, identity: Identity, repository: Repository, digest: str) -> bytes | None:
        try:
            response = self._swr.registry.open_blob(identity, repository, digest)
        except NotFound:
            return None
        if _is_too_large(response):
            response.close()
            return None
        try:
            return read_document(response, LARGEST, time.monotonic() + _READING)
        except Unexpected:
            return None

    # Manifests that somebody looked for in vain

    def missed(self, identity: Identity, repository: Repository, digest: str) -> None:
        """Neither a manifest nor a blob has the digest now."""
        self._state.put(_key("missed", identity, repository, digest), b"1", MISSED)

    def arrived(self, identity: Identity, repository: Repository, digests: Iterable[str]) -> None:
        """They are there now."""
        for digest in digests:
            self._state.drop(_key("missed", identity, repository, digest))

    def lacks(self, identity: Identity, repository: Repository, digests: Iterable[str]) -> bool:
        """Whether one of them was looked for in vain lately."""
        return any(self._state.get(_key("missed", identity, repository, digest)) is not None for digest in digests)


def _key(what: str, identity: Identity, repository: Repository, digest: str) -> str:
    return f"{what}:{identity.fingerprint}:{repository}:{digest}"


def _is_too_large(response: requests.Response) -> bool:
    """A layer may have the digest that somebody asks a manifest for: it is not read to find out."""
    length = response.headers.get("Content-Length", "")
    return length.isdecimal() and int(length) > LARGEST


def original_in(data: bytes, digest: str) -> Document | None:
    """The bytes as an OCI index or manifest; None unless they hash to the digest and are one by form.

    Blobs of all kinds have digests. An image's configuration has a `config` too, and a layer may be any JSON. What is
    an index and a manifest at once is none: clients would differ about it (CVE-2021-41190).
    """
    if digest_of(data, algorithm_of(digest)) != digest:
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    media_type = _type_of(document) if isinstance(document, dict) else None
    return None if media_type is None else Document(media_type, digest, data)


def _type_of(document: dict[str, Any]) -> str | None:
    version, own = document.get("schemaVersion"), document.get("mediaType")
    if version != 2 or isinstance(version, float):
        return None
    if own in (None, OCI_INDEX) and not {"config", "layers"} & document.keys():
        return OCI_INDEX if _are_descriptors(document.get("manifests")) else None
    if own in (None, OCI_MANIFEST) and "manifests" not in document:
        # Go writes a list that was never made as null.
        layers = [] if document.get("layers") is None else document["layers"]
        return OCI_MANIFEST if _are_descriptors([document.get("config")]) and _are_descriptors(layers) else None
    return None


def _are_descriptors(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_descriptor, value))


def _is_descriptor(value: object) -> bool:
    try:
        return bool(as_descriptor(value, "it"))
    except ManifestInvalid:
        return False
