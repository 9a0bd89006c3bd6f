"""`docker-registry` as a pull-through cache in front of the adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from adapter.sandbox.recordings.images import Image, digest
from tests.clients.conftest import CREDENTIALS, Push
from tests.clients.registry import cache_of, running_registry
from tests.contract.http import Door, asked, digest_of
from tests.contract.skopeo import skopeo
from tests.credentials import ACCESS_ID, LOGIN_KEY, SECRET_KEY
from tests.running import RunningSandbox, running_adapter

PLAIN = "--src-tls-verify=false"


@pytest.fixture(params=[SECRET_KEY, LOGIN_KEY], ids=["SK", "login key"])
def cache(door: Door, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with running_registry(tmp_path / "cache", **cache_of(door.url, ACCESS_ID, request.param)) as address:
        yield address


def pull(address: str, folder: Path, *arguments: str) -> Path:
    """Copies an image out of the cache into the folder."""
    pulled = skopeo("copy", PLAIN, *arguments, f"docker://{address}", f"dir:{folder}")
    assert pulled.returncode == 0, pulled.stderr
    return folder


def contains(folder: Path, image: Image) -> bool:
    return (folder / "manifest.json").read_bytes() == image.manifest and all(
        (folder / digest(blob).removeprefix("sha256:")).read_bytes() == blob for blob in image.blobs
    )


@pytest.mark.parametrize("name", ["hello:v1", "hello:v2", "large:v1"])
def test_image_is_pulled_by_tag_and_digest(
    cache: str, push: Push, recorded_images: Mapping[str, Image], tmp_path: Path, name: str
) -> None:
    image = recorded_images[name]
    push("team/image", "v1", image)
    assert contains(pull(f"{cache}/team/image:v1", tmp_path / "tag"), image)
    assert contains(pull(f"{cache}/team/image@{image.digest}", tmp_path / "digest"), image)


def test_cached_image_is_not_fetched_again(
    cache: str, swr: RunningSandbox, push: Push, recorded_images: Mapping[str, Image], tmp_path: Path
) -> None:
    image = recorded_images["hello:v1"]
    push("team/hello", "v1", image)
    pull(f"{cache}/team/hello:v1", tmp_path / "first")
    before = len(asked(swr, "GET", "/blobs/"))
    assert before >= len(image.blobs)
    assert contains(pull(f"{cache}/team/hello:v1", tmp_path / "second"), image)
    assert len(asked(swr, "GET", "/blobs/")) == before


def test_moved_tag_is_found(cache: str, push: Push, recorded_images: Mapping[str, Image], tmp_path: Path) -> None:
    push("team/hello", "latest", recorded_images["hello:v1"])
    assert contains(pull(f"{cache}/team/hello:latest", tmp_path / "old"), recorded_images["hello:v1"])
    push("team/hello", "latest", recorded_images["hello:v2"])
    assert contains(pull(f"{cache}/team/hello:latest", tmp_path / "new"), recorded_images["hello:v2"])


def test_missing_tag_is_unknown(cache: str, push: Push, recorded_images: Mapping[str, Image], tmp_path: Path) -> None:
    push("team/hello", "v1", recorded_images["hello:v1"])
    failed = skopeo("inspect", "--tls-verify=false", f"docker://{cache}/team/hello:nope")
    assert failed.returncode != 0
    assert "manifest unknown" in failed.stderr


class TestRedirectsPassed:
    """With `BLOB_REDIRECTS=pass` clients fetch blobs directly from the SWR object store."""

    @pytest.fixture
    def passing(self, sandbox: RunningSandbox, door: Door) -> Iterator[Door]:
        regions = {"eu-de": {"registry": sandbox.registry, "api": sandbox.api}}
        with running_adapter(regions, blob_redirects="pass") as running:
            yield Door(running.contract)

    def test_skopeo_follows(
        self, passing: Door, swr: RunningSandbox, push: Push, recorded_images: Mapping[str, Image], tmp_path: Path
    ) -> None:
        """The object store rejects an Authorization header, so success proves that none is sent."""
        image = recorded_images["hello:v2"]
        push("team/hello", "v2", image)
        address = passing.url.removeprefix("http://")
        assert contains(pull(f"{address}/team/hello:v2", tmp_path / "out", "--src-creds", CREDENTIALS), image)

    def test_cache_follows(
        self, passing: Door, swr: RunningSandbox, push: Push, recorded_images: Mapping[str, Image], tmp_path: Path
    ) -> None:
        image = recorded_images["large:v1"]
        push("team/large", "v1", image)
        with running_registry(tmp_path / "cache", **cache_of(passing.url, ACCESS_ID, SECRET_KEY)) as address:
            out = pull(f"{address}/team/large:v1", tmp_path / "out")
        assert digest_of((out / "manifest.json").read_bytes()) == image.digest
        assert contains(out, image)
