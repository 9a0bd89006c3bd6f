"""skopeo lists, inspects, copies, synchronizes and deletes through the adapter."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapter.sandbox.recordings.images import Image, digest
from tests.clients.conftest import CREDENTIALS, Push
from tests.clients.registry import running_registry
from tests.contract.http import Door, asked
from tests.contract.skopeo import remote, skopeo
from tests.credentials import ACCESS_ID, LOGIN_KEY, SECRET_KEY
from tests.running import RunningSandbox

FROM = ("--src-tls-verify=false", "--src-creds", CREDENTIALS)
WITH = ("--tls-verify=false", "--creds", CREDENTIALS)


def test_list_tags(door: Door, push: Push, recorded_images: Mapping[str, Image]) -> None:
    push("team/hello", "v1", recorded_images["hello:v1"])
    push("team/hello", "v2", recorded_images["hello:v2"])
    listed = skopeo("list-tags", *WITH, remote(door, "team/hello").rpartition(":")[0])
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)["Tags"] == ["v1", "v2"]


def test_inspect(door: Door, push: Push, recorded_images: Mapping[str, Image]) -> None:
    image = recorded_images["hello:v1"]
    push("team/hello", "v1", image)
    inspected = skopeo("inspect", *WITH, remote(door, "team/hello"))
    assert inspected.returncode == 0, inspected.stderr
    document = json.loads(inspected.stdout)
    assert document["Digest"] == image.digest
    assert document["RepoTags"] == ["v1"]
    assert document["Layers"] == [digest(blob) for blob in image.blobs[1:]]
    raw = skopeo("inspect", "--raw", *WITH, f"{remote(door, 'team/hello').rpartition(':')[0]}@{image.digest}")
    assert raw.stdout.encode() == image.manifest


def test_push_creates_the_organization(
    door: Door, swr: RunningSandbox, push: Push, recorded_images: Mapping[str, Image]
) -> None:
    push("madebypush/deep/hello", "v1", recorded_images["hello:v1"])
    assert swr.store.organization("madebypush") is not None
    assert len(asked(swr, "POST", "/v2/manage/namespaces")) == 1


@pytest.mark.parametrize("secret", [SECRET_KEY, LOGIN_KEY], ids=["SK", "login key"])
def test_delete(door: Door, swr: RunningSandbox, push: Push, recorded_images: Mapping[str, Image], secret: str) -> None:
    """skopeo deletes by digest: all tags of the image are deleted, and no others."""
    for tag in ("v1", "v1b"):
        push("team/hello", tag, recorded_images["hello:v1"])
    push("team/hello", "v2", recorded_images["hello:v2"])
    arguments = ("--tls-verify=false", "--creds", f"{ACCESS_ID}:{secret}", remote(door, "team/hello"))
    deleted = skopeo("delete", *arguments)
    assert deleted.returncode == 0, deleted.stderr
    assert swr.store.tags("team/hello") == {"v2": recorded_images["hello:v2"].digest}
    again = skopeo("delete", *arguments)
    assert again.returncode != 0
    assert "may not exist" in again.stderr


def test_rejected_deletion_names_the_remedy(
    door: Door, swr: RunningSandbox, push: Push, recorded_images: Mapping[str, Image]
) -> None:
    push("team/hello", "v1", recorded_images["hello:v1"])
    swr.set_knobs(manifest_delete="refuse")
    credentials = f"{ACCESS_ID}:{LOGIN_KEY}"
    rejected = skopeo("delete", "--tls-verify=false", "--creds", credentials, remote(door, "team/hello"))
    assert rejected.returncode != 0
    assert "enter the SK" in rejected.stderr
    assert list(swr.store.tags("team/hello")) == ["v1"]


def test_sync_to_a_registry_changes_no_byte(
    door: Door, swr: RunningSandbox, push: Push, recorded_images: Mapping[str, Image], tmp_path: Path
) -> None:
    """Docker and OCI images, and a list with its children, into a `docker-registry`."""
    swr.set_knobs(oci="accept")
    expected = {"hello:v1": "hello:v1", "hello:v2": "hello:v2", "multi:list": "multi:list"}
    for name, source in expected.items():
        image = recorded_images[source]
        seed(swr, f"team/{name.partition(':')[0]}", name.partition(":")[2], image)
    with running_registry(tmp_path / "registry") as target:
        for repository in ("hello", "multi"):
            source = f"{urlsplit(door.url).netloc}/team/{repository}"
            arguments = ("--all", "--src", "docker", "--dest", "docker", "--dest-tls-verify=false", *FROM)
            synced = skopeo("sync", *arguments, source, f"{target}/mirror")
            assert synced.returncode == 0, synced.stderr
        for name, source in expected.items():
            image = recorded_images[source]
            repository, _, tag = name.partition(":")
            for each, reference in [(image, tag), *((child, child.digest) for child in image.children)]:
                url = f"http://{target}/v2/mirror/{repository}/manifests/{reference}"
                request = urllib.request.Request(url, headers={"Accept": each.media_type})
                with urllib.request.urlopen(request, timeout=20) as response:
                    assert response.read() == each.manifest
                    assert response.headers["Content-Type"] == each.media_type


def seed(swr: RunningSandbox, repository: str, tag: str, image: Image) -> None:
    """Stores the image with blobs and children in SWR."""
    for child in image.children:
        seed(swr, repository, child.digest, child)
    for blob in image.blobs:
        swr.store.put_blob(repository, blob)
    swr.store.put_manifest(repository, tag, image.manifest, image.media_type)
