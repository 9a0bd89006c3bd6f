"""The demo finds images that differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapter.sandbox.demo_images import Row
from adapter.sandbox.recordings.images import DOCKER_LIST, Image, digest, dump


def write(folder: Path, row: Row, manifest: bytes | None = None) -> None:
    """Writes the image in the `dir:` layout of skopeo."""
    for image in row.singles:
        for blob in image.blobs:
            (folder / digest(blob)[7:]).write_bytes(blob)
        (folder / f"{image.digest[7:]}.manifest.json").write_bytes(image.manifest)
    (folder / "manifest.json").write_bytes(row.image.manifest if manifest is None else manifest)


def docker_list(image: Image, **other: object) -> bytes:
    entries = json.loads(image.manifest)["manifests"][:2]
    return dump({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries, **other})


@pytest.mark.parametrize("name", ["hello:v1", "multi:list"])
def test_image_must_be_byte_identical(recorded_images: Mapping[str, Image], tmp_path: Path, name: str) -> None:
    row = Row("fresh/hello", "v1", recorded_images[name])
    write(tmp_path, row)
    assert row.difference(tmp_path) == ""
    (tmp_path / digest(row.singles[0].blobs[1])[7:]).unlink()
    assert row.difference(tmp_path) == "1 blobs are missing"
    (tmp_path / "manifest.json").write_bytes(row.image.manifest + b" ")
    assert row.difference(tmp_path) == "the manifest differs"


def test_index_must_be_a_docker_manifest_list_of_its_images(
    recorded_images: Mapping[str, Image], tmp_path: Path
) -> None:
    """Other fields of the list do not matter."""
    row = Row("fresh/multi", "buildkit", recorded_images["multi:buildkit"], copied=True)
    write(tmp_path, row, docker_list(row.image, annotations={"a": "b"}))
    assert (row.difference(tmp_path), row.result, row.layers) == ("", "copied, as a Docker manifest list", 4)
    entries = json.loads(row.image.manifest)["manifests"]
    for wrong in (
        row.image.manifest,
        docker_list(row.image, manifests=entries[:1]),
        docker_list(row.image, manifests=entries[1::-1]),
        docker_list(row.image, manifests=entries),
        b"{}",
    ):
        (tmp_path / "manifest.json").write_bytes(wrong)
        assert row.difference(tmp_path) == "the manifest differs"
