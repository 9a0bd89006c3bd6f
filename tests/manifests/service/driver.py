"""Manifests on their way to the sandbox and back, without the doors."""

from __future__ import annotations

import json
from typing import Any

from adapter.credentials import Credentials, parse_credentials
from adapter.errors import ManifestUnknown
from adapter.manifests.conversion import Document
from adapter.manifests.forms import form_of
from adapter.manifests.service import ManifestService, Stored
from adapter.references import RepositoryName, algorithm_of, digest_of, is_digest
from adapter.sandbox.recordings.images import Image, index, single
from adapter.settings import RegionHosts, Settings
from adapter.swr.client import SwrClient
from adapter.swr.media_types import ACCEPT
from adapter.swr.registry import Manifest
from adapter.swr.repository import Repository
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY
from tests.running import RunningSandbox

ME = parse_credentials(ACCESS_ID, SECRET_KEY, [PROJECT])
OTHER = parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT])
REFUSING = ["refuse-index", "refuse-all"]


class Adapter:
    """What of an adapter takes part. Nothing is remembered from another one."""

    def __init__(self, swr: RunningSandbox, *, translate: bool = True, who: Credentials = ME) -> None:
        self.swr = swr
        self.who = who
        regions = {PROJECT: RegionHosts(swr.registry, swr.api)}
        client = SwrClient.build(Settings(regions=regions, requests_per_second=0.0))
        self.manifests = ManifestService(client, translate=translate)

    def put(self, repository: RepositoryName, reference: str, image: Image) -> Stored:
        data = image.manifest
        algorithm = algorithm_of(reference) if is_digest(reference) else "sha256"
        pushed = Document(image.media_type, digest_of(data, algorithm), data)
        return self.manifests.put(Repository(self.who, repository), reference, pushed, form_of(json.loads(data)))

    def push(self, repository: RepositoryName, tag: str, image: Image) -> Stored:
        """As Harbor does: what is not there, children by digest, then the tag."""
        self.upload(repository, image)
        return self.put(repository, tag, image)

    def upload(self, repository: RepositoryName, image: Image) -> None:
        """All that an image consists of."""
        for blob in image.blobs:
            self.swr.store.put_blob(str(repository), blob)
        for child in image.children:
            if not self.has(repository, child.digest):
                assert self.push(repository, child.digest, child).digest == child.digest

    def has(self, repository: RepositoryName, reference: str) -> bool:
        try:
            self.head(repository, reference)
        except ManifestUnknown:
            return False
        return True

    def head(self, repository: RepositoryName, reference: str, accept: str = ACCEPT) -> str:
        return self.manifests.read(Repository(self.who, repository), reference, accept, head=True).digest

    def get(self, repository: RepositoryName, reference: str, accept: str = ACCEPT) -> Manifest:
        """After its head, which must have told the truth."""
        told = self.head(repository, reference, accept)
        found = self.manifests.read(Repository(self.who, repository), reference, accept, head=False)
        assert found.data is not None
        assert (digest_of(found.data), len(found.data)) == (told, found.length) == (found.digest, found.length)
        return found

    def requests(self) -> list[tuple[str, str, int]]:
        """What reached SWR since the last time, but the tokens: method, path and status."""
        before, self._seen = getattr(self, "_seen", 0), len(self.swr.journal())
        return [
            (entry["method"], entry["path"], entry["status"])
            for entry in self.swr.journal()[before:]
            if "/auth/" not in entry["path"]
        ]


def held(swr: RunningSandbox, repository: RepositoryName, reference: str) -> Any:
    """The document of SWR's own."""
    found = swr.store.manifest(str(repository), reference)
    assert found is not None
    return json.loads(found.data)


def own(swr: RunningSandbox, repository: RepositoryName, tag: str) -> str:
    return swr.store.tags(str(repository))[tag]


def forget(swr: RunningSandbox, what: str = "blobs") -> None:
    swr._control("POST", "forget", {"what": what})


def parts(document: Any) -> list[str]:
    return [part["digest"] for part in (document["config"], *document["layers"])]


def changed(image: Image, *layers: tuple[str, int]) -> Image:
    """The index with another image for its first platform."""
    rest = image.children[1:]
    entries = json.loads(image.manifest)["manifests"]
    new = single(list(layers), oci=True)
    named = [
        (child, entry["platform"], entry.get("annotations", {})) for child, entry in zip(rest, entries[1:], strict=True)
    ]
    return index([(new, entries[0]["platform"], {}), *named], oci=True)
