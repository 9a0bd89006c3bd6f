"""The images of the demo, a row each: what Harbor replicated, what it cost, what SWR has of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import DOCKER_LIST, OCI_INDEX, Image

REPOSITORIES: Final = {"fresh/hello": "hello", "fresh2-mono/large": "large", "fresh/multi": "multi"}
"""Repository in SWR → name in `images()`, as the recordings have them."""


@dataclass
class Row:
    """One image that Harbor replicated."""

    repository: str
    reference: str
    image: Image
    copied: bool = False
    seconds: float = 0.0
    requests: int = 0
    problem: str = ""

    @property
    def singles(self) -> list[Image]:
        """The image itself, or those of a list; of an index that SWR refuses, without its attestation."""
        children = self.image.children[:2] if self.translated else self.image.children
        return children or [self.image]

    @property
    def translated(self) -> bool:
        """Whether SWR has it as something else: it refuses OCI indexes (docs/facts/swr.md §6)."""
        return self.image.media_type == OCI_INDEX

    @property
    def layers(self) -> int:
        """Layers of all platforms."""
        return sum(len(single.blobs) - 1 for single in self.singles)

    @property
    def size(self) -> int:
        """Bytes of configs and layers."""
        return sum(len(blob) for single in self.singles for blob in single.blobs)

    def differs(self, folder: Path) -> str:
        """What is wrong with the image in a folder of skopeo's, or nothing."""
        if not self._is_manifest((folder / "manifest.json").read_bytes()):
            return "its manifest differs"
        held = {file.name for file in folder.iterdir()}
        wanted = {digest.partition(":")[2] for digest in Blobs(self.singles) if digest != self.image.digest}
        missing = {digest for digest in wanted if digest not in held and f"{digest}.manifest.json" not in held}
        return f"it lacks {len(missing)} blobs" if missing else ""

    def _is_manifest(self, found: bytes) -> bool:
        """Byte for byte; where SWR refuses it, a Docker list of the same images for the same platforms."""
        if not self.translated:
            return found == self.image.manifest
        held, wanted = json.loads(found), json.loads(self.image.manifest)
        same: bool = held.get("manifests") == wanted["manifests"][: len(self.singles)]
        return same and held.get("mediaType") == DOCKER_LIST

    @property
    def result(self) -> str:
        """In a few words."""
        copied = "copied, as a Docker list" if self.translated else "copied"
        return self.problem or (copied if self.copied else "already there")


def table(rows: Iterable[Row]) -> str:
    """As text."""
    lines = [f"{'image':22} {'digest':12} {'layers':>6} {'bytes':>11} {'seconds':>8} {'requests to SWR':>16}  result"]
    for row in rows:
        name = f"{REPOSITORIES[row.repository]}:{row.reference}"
        digest = row.image.digest.partition(":")[2][:12]
        numbers = f"{row.layers:6} {row.size:11,} {row.seconds:8.2f} {row.requests:16}"
        lines.append(f"{name:22} {digest} {numbers}  {row.result}")
    return "\n".join(lines)
