"""skopeo and docker-registry with an image of two platforms and an attestation, as BuildKit makes it by default."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from adapter.sandbox.recordings.images import Image, digest
from tests.clients.registry import cache_of, running_registry
from tests.credentials import SECRET_KEY
from tests.images.conftest import Clients, write_layout
from tests.replay.profiles import PROFILES, Profile

PLATFORMS = ("amd64", "arm64")
USED = ("accept", "refuse-index", "refuse-all", "strict-all", "gc-all")
"""Profiles that differ in what SWR stores or returns."""
CACHED = USED[:-1]


@pytest.fixture(scope="package")
def index(recorded_images: Mapping[str, Image]) -> Image:
    return recorded_images["multi:buildkit"]


@pytest.fixture(scope="package")
def layout(index: Image, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_layout(tmp_path_factory.mktemp("layout") / "built", index, "v1")


@pytest.fixture(scope="module", params=[PROFILES[name] for name in USED], ids=USED)
def profile(request: pytest.FixtureRequest) -> Profile:
    found: Profile = request.param
    return found


@pytest.fixture(scope="module")
def pushed(clients: Clients, layout: str, profile: Profile) -> str:
    """`name:tag` of the image, pushed by skopeo from its layout."""
    clients.swr.set_knobs(**profile.knobs)
    name = f"{profile.name}:v1"
    clients.push(layout, name, profile)
    return name


def only(arch: str) -> tuple[str, ...]:
    """Options to pull for this architecture."""
    return ("--override-os", "linux", "--override-arch", arch)


def check_platform(folder: Path, arch: str, image: Image) -> None:
    """The folder contains the image of this platform with all its blobs."""
    document = json.loads((folder / "manifest.json").read_bytes())
    parts = [each["digest"] for each in (document["config"], *document["layers"])]
    assert parts == [digest(blob) for blob in image.blobs]
    files = [folder / each.removeprefix("sha256:") for each in parts]
    assert [file.read_bytes() for file in files] == image.blobs
    assert json.loads(files[0].read_bytes())["architecture"] == arch


def test_each_platform_gets_its_own_image(
    clients: Clients, pushed: str, index: Image, profile: Profile, tmp_path: Path
) -> None:
    """From the adapter, and directly from SWR."""
    for address in (clients.adapter, clients.registry):
        for arch, image in zip(PLATFORMS, index.children, strict=False):
            folder = tmp_path / f"{arch}-{address}"
            login = clients.credentials(address, profile)
            check_platform(clients.pull(address, pushed, folder, *only(arch), credentials=login), arch, image)


def test_complete_image_is_pulled(
    clients: Clients, pushed: str, index: Image, profile: Profile, tmp_path: Path
) -> None:
    """Byte for byte with attestation, unless SWR stores nothing of the original; then all that SWR contains."""
    login = clients.credentials(clients.adapter, profile)
    folder = clients.pull(clients.adapter, pushed, tmp_path / "all", "--all", credentials=login)
    found = (folder / "manifest.json").read_bytes()
    assert found == clients.raw(clients.adapter, pushed, profile)
    if profile.unknown_fields and not profile.collects_garbage:
        assert found == index.manifest
        for child in index.children:
            held = folder / f"{child.digest.removeprefix('sha256:')}.manifest.json"
            assert held.read_bytes() == child.manifest
    else:
        assert found == clients.raw(clients.registry, pushed, profile)
        assert len(json.loads(found)["manifests"]) == len(PLATFORMS)


@pytest.fixture(scope="module")
def cache(clients: Clients, profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """docker-registry as a pull-through cache in front of the adapter."""
    folder = tmp_path_factory.mktemp("cache") / profile.name
    url = f"http://{clients.adapter}"
    with running_registry(folder, **cache_of(url, profile.access_id, SECRET_KEY)) as address:
        yield address


@pytest.mark.parametrize("profile", [PROFILES[name] for name in CACHED], ids=CACHED, scope="module", indirect=True)
def test_cache_serves_each_platform(
    clients: Clients, pushed: str, cache: str, index: Image, profile: Profile, tmp_path: Path
) -> None:
    for arch, image in zip(PLATFORMS, index.children, strict=False):
        check_platform(clients.pull(cache, pushed, tmp_path / arch, *only(arch)), arch, image)
