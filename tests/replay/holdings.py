"""What the scripted SWR holds."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.credentials import ACCESS_KEY
from tests.replay.scenarios import Contents, Gathering, State


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Holdings:
    """Organizations by name, with the access key of their owner; the rest by (repository, …)."""

    organizations: dict[str, str] = field(default_factory=dict)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def of(cls, start: State) -> Holdings:
        held = cls(dict.fromkeys(start.organizations, ACCESS_KEY))
        held.blobs = {(repository, digest_of(data)): data for repository, data in start.all_blobs()}
        for repository, reference, image in start.manifests():
            held.put_manifest(repository, reference, image.manifest, image.media_type)
        return held

    def contents(self) -> Contents:
        found = Gathering(State())
        for repository, digest in self.blobs:
            found.blob(repository, digest)
        for repository, digest in self.manifests:
            found.manifest(repository, digest, digest)
        for (repository, tag), digest in self.tags.items():
            found.manifest(repository, tag, digest)
        return found.contents()

    def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> str:
        digest = digest_of(data)
        with self.lock:
            self.manifests[repository, digest] = (data, media_type)
            if reference != digest:
                self.tags[repository, reference] = digest
        return digest

    def manifest(self, repository: str, reference: str) -> tuple[str, bytes, str] | None:
        """Digest, bytes and media type, by tag or digest."""
        digest = self.tags.get((repository, reference), reference)
        kept = self.manifests.get((repository, digest))
        return (digest, *kept) if kept else None

    def repositories(self) -> list[str]:
        """Those that have or had a manifest, the newest first."""
        return [*reversed(dict.fromkeys(repository for repository, _ in self.manifests))]

    def tags_of(self, repository: str) -> list[tuple[str, str]]:
        """(tag, digest), the newest first."""
        return [(tag, digest) for (name, tag), digest in reversed([*self.tags.items()]) if name == repository]

    def delete_tag(self, repository: str, tag: str) -> bool:
        """Whether there was one. With the last tag the manifest goes."""
        with self.lock:
            digest = self.tags.pop((repository, tag), None)
            if digest and digest not in {kept for _, kept in self.tags_of(repository)}:
                self.manifests.pop((repository, digest), None)
        return digest is not None

    def forget(self, repository: str, what: str) -> None:
        """The manifests of the repository that no tag leads to, its blobs that no manifest names, or `both`."""
        with self.lock:
            if what in ("manifests", "both"):
                led_to = {digest for _, digest in self.tags_of(repository)}
                for digest in [*led_to]:
                    led_to |= set(self._named(repository, digest, "manifests"))
                for digest in self._mine(self.manifests, repository) - led_to:
                    del self.manifests[repository, digest]
            if what in ("blobs", "both"):
                kept = {
                    blob
                    for digest in self._mine(self.manifests, repository)
                    for blob in self._named(repository, digest, "layers")
                }
                for digest in self._mine(self.blobs, repository) - kept:
                    del self.blobs[repository, digest]

    @staticmethod
    def _mine(held: Mapping[tuple[str, str], object], repository: str) -> set[str]:
        return {digest for name, digest in held if name == repository}

    def _named(self, repository: str, digest: str, field: str) -> list[str]:
        """Digests in a list of a manifest; its configuration is a layer too."""
        data, _ = self.manifests.get((repository, digest), (b"{}", ""))
        document = json.loads(data)
        found = [*document.get(field, ()), *([document["config"]] if "config" in document else ())]
        return [each["digest"] for each in found]
