"""A client that is not ours says that the sandbox is a registry."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.credentials import ACCESS_ID, LOGIN_KEY
from tests.sandbox.client import DOCKER, DOCKER_CONFIG, OCI, Sandbox, descriptor

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")

TAR = bytes(10240)
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"


def skopeo(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["skopeo", *arguments], capture_output=True, check=False, timeout=60)


def make_image(folder: Path, media_type: str) -> bytes:
    """An image in skopeo's `dir:` layout; returns its manifest."""
    docker = media_type == DOCKER
    layer_type = (
        "application/vnd.docker.image.rootfs.diff.tar.gzip" if docker else "application/vnd.oci.image.layer.v1.tar+gzip"
    )
    layer = gzip.compress(TAR, mtime=0)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(TAR).hexdigest()}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config, DOCKER_CONFIG if docker else OCI_CONFIG),
        "layers": [descriptor(layer, layer_type)],
    }
    folder.mkdir()
    for blob in (config, layer):
        (folder / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    data = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(data)
    return data


@pytest.mark.parametrize("media_type", [DOCKER, OCI])
def test_push_inspect_and_pull_back_byte_for_byte(sandbox: Sandbox, tmp_path: Path, media_type: str) -> None:
    sandbox.store.create_organization("fresh")
    manifest = make_image(tmp_path / "image", media_type)
    there = f"docker://127.0.0.1:{sandbox.registry}/fresh/deep/hello:v1"
    credentials = f"{ACCESS_ID}:{LOGIN_KEY}"
    pushed = skopeo(
        "copy",
        "--insecure-policy",
        "--dest-tls-verify=false",
        "--dest-creds",
        credentials,
        f"dir:{tmp_path}/image",
        there,
    )
    assert pushed.returncode == 0, pushed.stderr
    seen = skopeo("inspect", "--raw", "--tls-verify=false", "--creds", credentials, there)
    assert seen.stdout == manifest
    pulled = skopeo(
        "copy", "--insecure-policy", "--src-tls-verify=false", "--src-creds", credentials, there, f"dir:{tmp_path}/back"
    )
    assert pulled.returncode == 0, pulled.stderr
    files = {file.name: file.read_bytes() for file in (tmp_path / "image").iterdir()}
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "back").iterdir()}


def test_skopeo_is_told_why_it_may_not_push(sandbox: Sandbox, tmp_path: Path) -> None:
    make_image(tmp_path / "image", DOCKER)
    there = f"docker://127.0.0.1:{sandbox.registry}/missing/hello:v1"
    credentials = f"{ACCESS_ID}:{LOGIN_KEY}"
    pushed = skopeo(
        "copy",
        "--insecure-policy",
        "--dest-tls-verify=false",
        "--dest-creds",
        credentials,
        f"dir:{tmp_path}/image",
        there,
    )
    assert pushed.returncode != 0
    assert sandbox.journal()[-1]["status"] == 401
