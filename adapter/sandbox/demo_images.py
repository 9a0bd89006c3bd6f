"""The images of the demo, one row each: what was replicated, its cost, and whether SWR has it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import DOCKER_LIST, OCI_INDEX, Image

REPOSITORIES: Final = {"fresh/hello": "hello", "fresh2-mono/large": "large", "fresh/multi": "multi"}
"""Names in `images()` by repository in SWR."""


@dataclass
class Row:
    """An image that Harbor replicated; `seconds` and `requests` (to SWR) are its cost."""

    repository: str
    reference: str
    image: Image
    copied: bool = False
    seconds: float = 0.0
    requests: int = 0
    problem: str = ""

    @property
    def singles(self) -> list[Image]:
        """The image itself, or the images of a list; without the attestation of a converted index."""
        children = self.image.children[:2] if self.converted else self.image.children
        return children or [self.image]

    @property
    def converted(self) -> bool:
        """Whether SWR stores a converted image: SWR rejects OCI indexes (docs/facts/swr.md §6)."""
        return self.image.media_type == OCI_INDEX

    @property
    def layers(self) -> int:
        """Number of layers of all platforms."""
        return sum(len(single.blobs) - 1 for single in self.singles)

    @property
    def size(self) -> int:
        """Size of configs and layers in bytes."""
        return sum(len(blob) for single in self.singles for blob in single.blobs)

    def difference(self, folder: Path) -> str:
        """How the image that skopeo stored in the folder differs; empty if it does not."""
        if not self._is_manifest((folder / "manifest.json").read_bytes()):
            return "the manifest differs"
        stored = {file.name for file in folder.iterdir()}
        expected = {digest.partition(":")[2] for digest in Blobs(self.singles) if digest != self.image.digest}
        missing = {digest for digest in expected if digest not in stored and f"{digest}.manifest.json" not in stored}
        return f"{len(missing)} blobs are missing" if missing else ""

    def _is_manifest(self, found: bytes) -> bool:
        """Compares byte for byte; a converted index must be a Docker manifest list of the images of the index."""
        if not self.converted:
            return found == self.image.manifest
        stored, expected = json.loads(found), json.loads(self.image.manifest)
        same_images: bool = stored.get("manifests") == expected["manifests"][: len(self.singles)]
        return same_images and stored.get("mediaType") == DOCKER_LIST

    @property
    def result(self) -> str:
        """The result in a few words."""
        copied = "copied, as a Docker manifest list" if self.converted else "copied"
        return self.problem or (copied if self.copied else "already there")


def table(rows: Iterable[Row]) -> str:
    """The table as text."""
    lines = [f"{'image':22} {'digest':12} {'layers':>6} {'bytes':>11} {'seconds':>8} {'requests to SWR':>16}  result"]
    for row in rows:
        name = f"{REPOSITORIES[row.repository]}:{row.reference}"
        digest = row.image.digest.partition(":")[2][:12]
        numbers = f"{row.layers:6} {row.size:11,} {row.seconds:8.2f} {row.requests:16}"
        lines.append(f"{name:22} {digest} {numbers}  {row.result}")
    return "\n".join(lines)
