"""Garbage collection of a registry: unreferenced blobs, and manifests that no tag leads to.

Whether and when SWR collects garbage is unknown. According to a third party, SWR removes manifests without a tag within
about an hour (docs/facts/swr.md §10). The sandbox removes them at once, so that a test sees what depends on them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from adapter.sandbox import manifest_documents
from adapter.sandbox.manifest_documents import Document
from adapter.sandbox.store import DIGEST, Store

COLLECTABLE = ("blobs", "manifests", "both")


def collect_garbage(store: Store, repository: str, what: str) -> list[str]:
    """Deletes garbage of a repository and returns its digests. `what`: one of `COLLECTABLE`, else nothing is done."""
    if what not in COLLECTABLE:
        return []
    manifests, blobs = set(store.manifests(repository)), set(store.blobs(repository))
    deleted = manifests - _tagged(store, repository) if what != "blobs" else set()
    for digest in deleted:
        store.delete_manifest(repository, digest)
    if what != "manifests":
        unreferenced = blobs - _referenced_blobs(store, repository, manifests - deleted)
        for digest in unreferenced:
            store.blob_path(repository, digest).unlink(missing_ok=True)
        deleted |= unreferenced
    return sorted(deleted)


def _documents(store: Store, repository: str, digests: Iterable[str]) -> Iterable[Document]:
    for digest in digests:
        manifest = store.manifest(repository, digest) if DIGEST.fullmatch(digest) else None
        with contextlib.suppress(ValueError):  # a damaged manifest references nothing
            if manifest is not None:
                yield manifest_documents.read(manifest.data, manifest.media_type)


def _tagged(store: Store, repository: str) -> set[str]:
    """Digests of the manifests that a tag leads to, directly or through a list."""
    found: set[str] = set()
    new = set(store.tags(repository).values())
    while new:
        found |= new
        new = {child for each in _documents(store, repository, new) for child in each.manifests} - found
    return found


def _referenced_blobs(store: Store, repository: str, manifests: Iterable[str]) -> set[str]:
    return {blob for each in _documents(store, repository, manifests) for blob in (*each.blobs, *each.foreign)}
