"""A repository of SWR through an adapter: pushed and listed as by Harbor, pulled as by other clients."""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass

from adapter.sandbox.recordings.images import Image
from adapter.sandbox.store import Manifest
from adapter.swr.media_types import ACCEPT, OCI_INDEX, OCI_MANIFEST
from tests.contract.http import Door, digest_of
from tests.oci_images import Index
from tests.running import RunningSandbox

ORGANIZATION = "team"
TAG = "v1"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class PulledManifest:
    """A manifest that GET returned as HEAD announced it."""

    digest: str
    media_type: str
    data: bytes

    @property
    def children(self) -> list[str]:
        """Digests of the children of an index."""
        return list(dict.fromkeys(entry["digest"] for entry in json.loads(self.data).get("manifests", ())))


class Repository:
    """A new repository in SWR behind an adapter; the credentials of the door select the profile."""

    def __init__(self, swr: RunningSandbox, door: Door, organization: str = ORGANIZATION, name: str = "") -> None:
        self.swr = swr
        self.door = door
        self.name = name or f"{organization}/r{next(_numbers)}"

    def through(self, door: Door) -> Repository:
        """The repository through another adapter or with other credentials."""
        return Repository(self.swr, door, name=self.name)

    def _target(self, reference: str) -> str:
        return f"/v2/{self.name}/manifests/{reference}"

    # requests of Harbor

    def status(self, reference: str) -> int:
        return self.door.ask("HEAD", self._target(reference), headers={"Accept": ACCEPT}).status

    def head(self, tag: str = TAG) -> str:
        """The digest that a push rule compares with that of the source."""
        answer = self.door.ask("HEAD", self._target(tag), headers={"Accept": ACCEPT})
        assert answer.status == 200, answer
        return answer.header("Docker-Content-Digest")

    def read(self, reference: str = TAG, accept: str = ACCEPT) -> PulledManifest:
        """GET after HEAD; both must match."""
        head = self.door.ask("HEAD", self._target(reference), headers={"Accept": accept})
        got = self.door.ask("GET", self._target(reference), headers={"Accept": accept})
        assert (head.status, got.status, head.body) == (200, 200, b""), (head, got)
        for name in ("Docker-Content-Digest", "Content-Type", "Content-Length"):
            assert head.header(name) == got.header(name)
        digest = got.header("Docker-Content-Digest")
        assert digest == digest_of(got.body)
        assert int(got.header("Content-Length")) == len(got.body)
        media_type = got.header("Content-Type")
        assert json.loads(got.body).get("mediaType", media_type) == media_type
        return PulledManifest(digest, media_type, got.body)

    def push(self, source: Index | Image, tag: str = TAG) -> str:
        """Pushes the missing parts of an image, the tag last; returns the digest that the adapter announces."""
        if isinstance(source, Image):
            self._store_blobs(source)
            return self._put(tag, source.manifest, source.media_type)
        for member in source.members:
            if self.status(member.image.digest) == 404:
                self._store_blobs(member.image)
                assert self._put(member.image.digest, member.image.manifest, OCI_MANIFEST) == member.image.digest
        return self._put(tag, source.manifest, OCI_INDEX)

    def _store_blobs(self, image: Image) -> None:
        for blob in image.blobs:
            self.swr.store.put_blob(self.name, blob)

    def _put(self, reference: str, data: bytes, media_type: str) -> str:
        own = json.loads(data).get("mediaType", media_type)
        answer = self.door.ask("PUT", self._target(reference), data, {"Content-Type": own})
        assert answer.status == 201, answer
        return answer.header("Docker-Content-Digest")

    # requests of other clients

    def pulled(self, tag: str = TAG) -> PulledManifest:
        """The manifest with all children; if a child is missing, the tag is read again and must then be complete."""
        found = self.read(tag)
        if not self._has(found.children):
            found = self.read(tag)
            assert self._has(found.children)
        return found

    def _has(self, digests: Iterable[str]) -> bool:
        for digest in digests:
            got = self.door.ask("GET", self._target(digest), headers={"Accept": ACCEPT})
            if got.status == 404:
                return False
            assert (got.status, got.header("Docker-Content-Digest"), digest_of(got.body)) == (200, digest, digest)
        return True

    def stored(self, tag: str = TAG) -> Manifest:
        """The manifest with this tag in the store of SWR."""
        found = self.swr.store.manifest(self.name, tag)
        assert found is not None
        return found

    def stores(self, digest: str) -> bool:
        """Whether SWR contains the digest, as a manifest or as a blob."""
        store = self.swr.store
        return store.manifest(self.name, digest) is not None or store.has_blob(self.name, digest)

    def collect_garbage(self, what: str) -> None:
        body = json.dumps({"what": what}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.swr.api}/sandbox/forget", body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.status == 200
