"""The images in the recordings, rebuilt byte for byte (standard library only, no randomness).

    python -m adapter.sandbox.recordings.images DIR     write every blob and manifest as DIR/<hex of its sha256>

`images()` returns {"<repository>:<tag>": Image}. A recorded body that is only a digest and a length is one of their
blobs.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_JSON = "application/vnd.oci.empty.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
COSIGN = "application/vnd.dev.cosign.simplewebsigning.v1+json"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

CREATED = "2026-01-01T00:00:00Z"
MAX_STORED_BLOCK_BYTES = 65535  # limit of a stored block of deflate

Document = dict[str, Any]


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def stored_gzip(data: bytes) -> bytes:
    """Gzip with stored blocks only: the bytes do not depend on the zlib version."""
    out = bytearray(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
    for at in range(0, max(len(data), 1), MAX_STORED_BLOCK_BYTES):
        part = data[at : at + MAX_STORED_BLOCK_BYTES]
        last = at + MAX_STORED_BLOCK_BYTES >= len(data)
        out += struct.pack("<BHH", last, len(part), len(part) ^ 0xFFFF) + part
    return bytes(out + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))


def layer(seed: str, size: int) -> tuple[bytes, str]:
    """(gzip, diff_id) of a layer with one file of `size` pseudo-random bytes."""
    content = hashlib.shake_256(seed.encode()).digest(size)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo(f"data/{seed}")
        info.size = size
        tar.addfile(info, io.BytesIO(content))
    return stored_gzip(buffer.getvalue()), digest(buffer.getvalue())


@dataclass
class Image:
    """A manifest with its blobs (config first), or an index with its children."""

    manifest: bytes = field(repr=False)
    media_type: str
    blobs: list[bytes] = field(default_factory=list, repr=False)
    children: list[Image] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def dump(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def descriptor(media_type: str, data: bytes) -> Document:
    return {"mediaType": media_type, "size": len(data), "digest": digest(data)}


def single(layers: list[tuple[str, int]], *, oci: bool = False, arch: str = "amd64") -> Image:
    """An image of one platform; `layers` are (seed, bytes)."""
    made = [layer(seed, size) for seed, size in layers]
    config = dump(
        {
            "architecture": arch,
            "os": "linux",
            "created": CREATED,
            "config": {"Cmd": ["/data"]},
            "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in made]},
            "history": [{"created": CREATED, "created_by": seed} for seed, _ in layers],
        }
    )
    if oci:
        kind, config_type, layer_type = OCI_MANIFEST, OCI_CONFIG, OCI_LAYER
    else:
        kind, config_type, layer_type = DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": descriptor(config_type, config),
        "layers": [descriptor(layer_type, blob) for blob, _ in made],
    }
    return Image(dump(document), kind, [config, *[blob for blob, _ in made]])


def index(children: list[tuple[Image, Document, Document]], *, oci: bool) -> Image:
    """An OCI index or a Docker manifest list over (image, platform, annotations)."""
    kind = OCI_INDEX if oci else DOCKER_LIST
    entries: list[Document] = []
    for child, platform, notes in children:
        entry = {**descriptor(child.media_type, child.manifest), "platform": platform}
        entries.append({**entry, "annotations": notes} if notes else entry)
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    return Image(dump(document), kind, [], [child for child, _, _ in children])


def artifact(
    artifact_type: str,
    layers: list[tuple[str, bytes]],
    *,
    subject: Image | None = None,
    config: bytes = b"{}",
    config_type: str = EMPTY_JSON,
) -> Image:
    """An OCI manifest of an artifact that is not an image; `layers` are (media type, bytes)."""
    document: Document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST}
    if artifact_type:
        document["artifactType"] = artifact_type
    document["config"] = descriptor(config_type, config)
    document["layers"] = [descriptor(kind, data) for kind, data in layers]
    if subject:
        document["subject"] = descriptor(subject.media_type, subject.manifest)
    return Image(dump(document), OCI_MANIFEST, [config, *[data for _, data in layers]])


def attestation(of: Image) -> Image:
    """The attestation that BuildKit adds to an index: a provenance statement about a child."""
    subject = [{"digest": {"sha256": of.digest[7:]}}]
    statement = dump({"_type": "https://in-toto.io/Statement/v0.1", "subject": subject})
    rootfs = {"type": "layers", "diff_ids": [digest(statement)]}
    config = dump({"architecture": "unknown", "os": "unknown", "rootfs": rootfs})
    predicate = {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, config),
        "layers": [{**descriptor(IN_TOTO, statement), "annotations": predicate}],
    }
    return Image(dump(document), OCI_MANIFEST, [config, statement])


def multi() -> dict[str, Image]:
    """An index as BuildKit builds it by default, and a Docker manifest list of two platforms."""
    amd, arm = ({"architecture": name, "os": "linux"} for name in ("amd64", "arm64"))
    oci_amd = single([("base-amd64", 40_000), ("app-amd64", 9_000)], oci=True)
    oci_arm = single([("base-arm64", 41_000), ("app-arm64", 9_100)], oci=True, arch="arm64")
    note = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": oci_amd.digest}
    proof = (attestation(oci_amd), {"architecture": "unknown", "os": "unknown"}, note)
    docker_amd = single([("base-amd64", 40_000), ("list-amd64", 5_000)])
    docker_arm = single([("base-arm64", 41_000), ("list-arm64", 5_000)], arch="arm64")
    return {
        "multi:buildkit": index([(oci_amd, amd, {}), (oci_arm, arm, {}), proof], oci=True),
        "multi:list": index([(docker_amd, amd, {}), (docker_arm, arm, {})], oci=False),
    }


def signed() -> dict[str, Image]:
    """An image, its cosign signature under the tag of the signature, and an SBOM that refers to the image."""
    image = single([("signed", 12_000)])
    payload = dump({"critical": {"image": {"docker-manifest-digest": image.digest}}})
    empty_config = dump({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": []}})
    sbom = [("application/spdx+json", dump({"spdxVersion": "SPDX-2.3"}))]
    return {
        "signed:v1": image,
        "signed:" + image.digest.replace(":", "-") + ".sig": artifact(
            "", [(COSIGN, payload)], config=empty_config, config_type=OCI_CONFIG
        ),
        "signed:sbom": artifact("application/spdx+json", sbom, subject=image),
    }


def images() -> dict[str, Image]:
    """All images in the recordings, by `<repository>:<tag>`; about 30 MB, built in less than a second."""
    chart_config = dump({"name": "web", "version": "0.1.0", "apiVersion": "v2"})
    made = {
        "hello:v1": single([("base", 30_000), ("hello", 4_000)]),
        "hello:v2": single([("base", 30_000), ("hello-2", 4_100)], oci=True),
        "tools/deep/nested:1.0": single([("base", 30_000), ("nested", 2_000)]),
        "other:v1": single([("base", 30_000), ("hello", 4_000), ("other", 1_000)]),
        "large:v1": single([("base", 30_000), ("large", 25 * 1024 * 1024)]),
        "evt:v1": single([("base", 30_000), ("evt", 1_500)]),
        **multi(),
        **signed(),
        "charts/web:0.1.0": artifact(
            "", [(HELM_CHART, layer("web", 3_000)[0])], config=chart_config, config_type=HELM_CONFIG
        ),
        "empty:v1": artifact("application/vnd.example.empty", [("application/octet-stream", b"")]),
    }
    for number in range(120):
        made[f"many:t{number:03d}"] = single([("base", 30_000), (f"many-{number}", 200)], oci=True)
    return made


def walk(image: Image) -> Iterator[bytes]:
    """The manifest and blobs of the image, then manifest and blobs of each child."""
    yield image.manifest
    yield from image.blobs
    for child in image.children:
        yield from walk(child)


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images().items():
        for data in walk(image):
            (folder / hashlib.sha256(data).hexdigest()).write_bytes(data)
        sys.stdout.write(f"{name:90} {image.media_type.rsplit('.', 1)[-1]:10} {image.digest}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
