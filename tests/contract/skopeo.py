"""skopeo, a client that shares no code with the adapter."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from adapter.sandbox.recordings.images import Image, digest
from tests.contract.http import Door


def skopeo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(("skopeo", "--insecure-policy", *arguments), capture_output=True, text=True, timeout=50)


def write(folder: Path, image: Image) -> str:
    """The image in skopeo's `dir:` layout; its name there."""
    folder.mkdir()
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    (folder / "manifest.json").write_bytes(image.manifest)
    for blob in image.blobs:
        (folder / digest(blob).removeprefix("sha256:")).write_bytes(blob)
    return f"dir:{folder}"


def remote(door: Door, repository: str, tag: str = "v1") -> str:
    return f"docker://{urlsplit(door.url).netloc}/{repository}:{tag}"
