"""Pushes manifests to the sandbox and pulls them, without HTTP in front of the adapter."""

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
from adapter.swr.manifest_validation import Manifest
from adapter.swr.media_types import ACCEPT
from adapter.swr.repository import Repository
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY
from tests.running import RunningSandbox

ME = parse_credentials(ACCESS_ID, SECRET_KEY, [PROJECT])
OTHER = parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT])
REJECTING = ["refuse-index", "refuse-all"]
"""Values of the knob `oci`."""
AMD, ARM = ({"architecture": name, "os": "linux"} for name in ("amd64", "arm64"))
NAME = RepositoryName("team", "app")


class Adapter:
    """The parts of an adapter that handle manifests, with a repository. It shares no state with another one."""

    def __init__(self, swr: RunningSandbox, *, convert: bool = True, **knobs: object) -> None:
        self.swr = swr
        self.who: Credentials = ME
        self.name = NAME
        if knobs:
            swr.set_knobs(**knobs)
        regions = {PROJECT: RegionHosts(swr.registry, swr.api)}
        client = SwrClient.build(Settings(regions=regions, requests_per_second=0.0))
        self.manifests = ManifestService(client, convert=convert)
        self._seen = 0

    def another(self, *, convert: bool = True, **knobs: object) -> Adapter:
        """Another replica, or this one after a restart."""
        return Adapter(self.swr, convert=convert, **knobs)

    @property
    def repository(self) -> Repository:
        return Repository(self.who, self.name)

    # Requests to the adapter

    def put(self, reference: str, image: Image) -> Stored:
        data = image.manifest
        algorithm = algorithm_of(reference) if is_digest(reference) else "sha256"
        pushed = Document(image.media_type, digest_of(data, algorithm), data)
        return self.manifests.push(self.repository, reference, pushed, form_of(json.loads(data)))

    def push(self, tag: str, image: Image) -> Stored:
        """As Harbor does: what is missing, children by digest, then the tag."""
        self.upload(image)
        return self.put(tag, image)

    def upload(self, image: Image) -> None:
        """Everything that an image consists of."""
        for blob in image.blobs:
            self.swr.store.put_blob(str(self.name), blob)
        for child in image.children:
            if not self.has(child.digest):
                assert self.push(child.digest, child).digest == child.digest

    def has(self, reference: str) -> bool:
        try:
            self.head(reference)
        except ManifestUnknown:
            return False
        return True

    def head(self, reference: str, accept: str = ACCEPT) -> str:
        return self.manifests.pull(self.repository, reference, accept, head=True).digest

    def get(self, reference: str, accept: str = ACCEPT) -> Manifest:
        """Preceded by a HEAD, which must return the same digest."""
        digest = self.head(reference, accept)
        found = self.manifests.pull(self.repository, reference, accept, head=False)
        assert found.data is not None
        assert (digest_of(found.data), len(found.data)) == (digest, found.length) == (found.digest, found.length)
        return found

    # SWR

    def requests(self) -> list[tuple[str, str, int]]:
        """Method, path and status of the requests to SWR since the last call, without those for tokens."""
        before, self._seen = self._seen, len(self.swr.journal())
        return [
            (entry["method"], entry["path"], entry["status"])
            for entry in self.swr.journal()[before:]
            if "/auth/" not in entry["path"]
        ]

    def rejections(self) -> int:
        """Responses with status 400 among `requests`."""
        return [status for _, _, status in self.requests()].count(400)

    def stored(self, reference: str) -> bytes:
        """The bytes of the manifest in SWR."""
        found = self.swr.store.manifest(str(self.name), reference)
        assert found is not None
        return found.data

    def document(self, reference: str) -> Any:
        """The manifest in SWR, parsed."""
        return json.loads(self.stored(reference))

    def own(self, tag: str) -> str:
        """SWR's own digest of a tag."""
        return self.swr.store.tags(str(self.name))[tag]

    def forget(self, what: str = "blobs") -> None:
        """SWR deletes what no tag references."""
        self.swr._control("POST", "forget", {"what": what})


def parts(document: Any) -> list[str]:
    return [part["digest"] for part in (document["config"], *document["layers"])]


def changed(image: Image, *layers: tuple[str, int]) -> Image:
    """The index with another image for its first platform."""
    entries = json.loads(image.manifest)["manifests"]
    new = single(list(layers), oci=True)
    rest = [
        (child, entry["platform"], entry.get("annotations", {}))
        for child, entry in zip(image.children[1:], entries[1:], strict=True)
    ]
    return index([(new, entries[0]["platform"], {}), *rest], oci=True)
