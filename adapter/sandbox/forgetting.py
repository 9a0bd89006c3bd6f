"""What a registry may forget: blobs that no manifest names, manifests that no tag leads to.

Whether, when and what SWR forgets is not known. Somebody says that it removes manifests without a tag within about an
hour (docs/facts/swr.md §10). The stand-in does it at once: nothing that relies on what no tag leads to gets away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from adapter.sandbox import documents
from adapter.sandbox.documents import Document
from adapter.sandbox.store import DIGEST, Store

FORGETTABLE = ("blobs", "manifests", "both")


def forget(store: Store, repository: str, what: str) -> list[str]:
    """Digests of what the repository has forgotten. `what` is one of `FORGETTABLE`; anything else forgets nothing."""
    if what not in FORGETTABLE:
        return []
    manifests, blobs = set(store.manifests(repository)), set(store.blobs(repository))
    gone = manifests - _reached(store, repository) if what != "blobs" else set()
    for digest in gone:
        store.delete_manifest(repository, digest)
    if what != "manifests":
        lost = blobs - _named(store, repository, manifests - gone)
        for digest in lost:
            store.blob_path(repository, digest).unlink(missing_ok=True)
        gone |= lost
    return sorted(gone)


def _documents(store: Store, repository: str, digests: Iterable[str]) -> Iterable[Document]:
    for digest in digests:
        held = store.manifest(repository, digest) if DIGEST.fullmatch(digest) else None
        with contextlib.suppress(ValueError):  # what is damaged names nothing
            if held is not None:
                yield documents.read(held.data, held.media_type)


def _reached(store: Store, repository: str) -> set[str]:
    """What a tag stands for, and what that names, however deep."""
    found: set[str] = set()
    new = set(store.tags(repository).values())
    while new:
        found |= new
        new = {child for each in _documents(store, repository, new) for child in each.manifests} - found
    return found


def _named(store: Store, repository: str, manifests: Iterable[str]) -> set[str]:
    return {blob for each in _documents(store, repository, manifests) for blob in (*each.blobs, *each.foreign)}
