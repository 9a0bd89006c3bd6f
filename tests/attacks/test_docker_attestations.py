"""A Docker list with attestations, as buildx builds it with `oci-mediatypes=false` alone: all its parts are Docker's.

BuildKit gives an attestation then the type of a Docker image, with a layer that no image has, and with annotations,
which Docker's formats do not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from adapter.sandbox.recordings.images import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_MANIFEST,
    Image,
    attestation,
    index,
    single,
)
from tests.contract.conftest import put_back
from tests.contract.http import Door, digest_of
from tests.contract.test_manifests import put
from tests.running import RunningSandbox, running_adapter


def _docker(of: Image) -> Image:
    found = attestation(of)
    data = found.manifest.replace(OCI_MANIFEST.encode(), DOCKER_MANIFEST.encode())
    return Image(data.replace(OCI_CONFIG.encode(), DOCKER_CONFIG.encode()), DOCKER_MANIFEST, found.blobs)


IMAGE = single([("base", 4_000)])
PROOF = _docker(IMAGE)
NOTE = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": IMAGE.digest}
UNKNOWN = {"architecture": "unknown", "os": "unknown"}
LIST = index([(IMAGE, {"architecture": "amd64", "os": "linux"}, {}), (PROOF, UNKNOWN, NOTE)], oci=False)
REFUSED = {"errors": [{"code": "MANIFEST_INVALID", "message": "Invalid image, fail to parse 'manifest.json'"}]}


@pytest.fixture
def swr(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    yield put_back(sandbox)
    put_back(sandbox)


@pytest.fixture
def door(swr: RunningSandbox) -> Iterator[Door]:
    with running_adapter({"eu-de": {"registry": swr.registry, "api": swr.api}}) as adapter:
        yield Door(adapter.contract)


def push(door: Door, repository: str) -> Any:
    """As Harbor does it: what is there is not sent."""
    answer = door.ask("HEAD", f"/v2/{repository}/manifests/v1")
    if answer.status == 200 and answer.header("Docker-Content-Digest") == LIST.digest:
        return None
    for child in LIST.children:
        if door.ask("HEAD", f"/v2/{repository}/manifests/{child.digest}").status == 404:
            for blob in child.blobs:
                if door.ask("HEAD", f"/v2/{repository}/blobs/{digest_of(blob)}").status == 404:
                    door.push(repository, blob)
            answer = put(door, repository, child.digest, child)
            assert answer.status == 201, answer.body
    answer = put(door, repository, "v1", LIST)
    assert answer.status == 201, answer.body
    return answer


@pytest.mark.parametrize("refused", [False, True], ids=["attestation taken", "attestation refused"])
@pytest.mark.parametrize("forget", ["nothing", "manifests"])
def test_is_pushed_read_back_and_known_again(door: Door, swr: RunningSandbox, refused: bool, forget: str) -> None:
    swr.set_knobs(forget=forget)
    if refused:
        path = f"/manifests/{PROOF.digest}"
        swr.faults({"path": path, "method": "PUT", "status": 400, "body": REFUSED, "times": 0})
    repository = f"team/proven-{forget}-{refused}".lower()
    answer = push(door, repository)
    assert answer.header("Docker-Content-Digest") == LIST.digest
    held = swr.store.manifest(repository, "v1")
    assert held is not None
    assert [entry["digest"] for entry in json.loads(held.data)["manifests"]] == [IMAGE.digest]
    for reference in ("v1", LIST.digest):
        again = door.ask("GET", f"/v2/{repository}/manifests/{reference}")
        assert (again.body, again.header("Content-Type")) == (LIST.manifest, DOCKER_LIST)
    for child in LIST.children:
        found = door.ask("GET", f"/v2/{repository}/manifests/{child.digest}")
        assert (found.body, found.header("Content-Type")) == (child.manifest, DOCKER_MANIFEST)
    assert push(door, repository) is None
    assert door.ask("DELETE", f"/v2/{repository}/manifests/{LIST.digest}").status == 202
    assert swr.store.tags(repository) == {}


def test_where_swr_takes_no_annotations(door: Door, swr: RunningSandbox) -> None:
    swr.set_knobs(unknown_fields=False)
    answer = push(door, "team/proven-bare")
    held = swr.store.manifest("team/proven-bare", "v1")
    assert held is not None
    assert answer.header("Docker-Content-Digest") == held.digest
