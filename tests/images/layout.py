"""An image as `docker buildx build --output type=oci,tar=false` leaves it: an OCI image layout."""

from __future__ import annotations

import json
from pathlib import Path

from adapter.sandbox.recordings.images import Image, descriptor, walk

REF_NAME = "org.opencontainers.image.ref.name"


def write_layout(folder: Path, image: Image, tag: str) -> str:
    """The image's name there, for skopeo (https://github.com/opencontainers/image-spec/blob/main/image-layout.md)."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entry = {**descriptor(image.media_type, image.manifest), "annotations": {REF_NAME: tag}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    for data in walk(image):
        (blobs / descriptor("", data)["digest"].removeprefix("sha256:")).write_bytes(data)
    return f"oci:{folder}:{tag}"
