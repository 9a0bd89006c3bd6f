"""A client that shares no code with the adapter: skopeo pushes an image and reads it back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapter.sandbox.recordings.images import Image, digest
from tests.contract.http import Door, digest_of
from tests.contract.skopeo import remote, skopeo, write
from tests.credentials import ACCESS_ID, LOGIN_KEY, SECRET_KEY, WRONG_SECRET
from tests.running import RunningSandbox


@pytest.mark.parametrize("secret", [pytest.param(SECRET_KEY, id="SK"), pytest.param(LOGIN_KEY, id="login key")])
@pytest.mark.parametrize("name", ["hello:v1", "hello:v2"])
def test_there_and_back(
    door: Door,
    swr: RunningSandbox,
    repository: str,
    recorded_images: Mapping[str, Image],
    tmp_path: Path,
    name: str,
    secret: str,
) -> None:
    image, credentials = recorded_images[name], f"{ACCESS_ID}:{secret}"
    source, target = write(tmp_path / "there", image), remote(door, repository)
    pushed = skopeo("copy", "--dest-tls-verify=false", "--dest-creds", credentials, source, target)
    assert pushed.returncode == 0, pushed.stderr
    assert swr.store.tags(repository) == {"v1": image.digest}
    back = tmp_path / "back"
    pulled = skopeo("copy", "--src-tls-verify=false", "--src-creds", credentials, target, f"dir:{back}")
    assert pulled.returncode == 0, pulled.stderr
    assert digest_of((back / "manifest.json").read_bytes()) == image.digest
    for blob in image.blobs:
        assert (back / digest(blob).removeprefix("sha256:")).read_bytes() == blob


def test_pushing_again_sends_no_blob(
    door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image], tmp_path: Path
) -> None:
    source, target = write(tmp_path / "there", recorded_images["hello:v1"]), remote(door, repository)
    arguments = ("copy", "--dest-tls-verify=false", "--dest-creds", f"{ACCESS_ID}:{SECRET_KEY}", source, target)
    assert skopeo(*arguments).returncode == 0
    before = len(swr.journal())
    assert skopeo(*arguments).returncode == 0
    assert not [entry for entry in swr.journal()[before:] if entry["method"] in {"POST", "PATCH"}]


@pytest.mark.parametrize(
    ("secret", "organization", "words"),
    [
        # A HEAD carries no reason: these are the client's own words, which differ by its version.
        pytest.param(f"{WRONG_SECRET}9", "team", "unauthorized|authentication required", id="wrong secret"),
        pytest.param(
            SECRET_KEY, "nobody", "does not exist in SWR, and this adapter may not", id="missing organization"
        ),
    ],
)
def test_it_shows_what_is_wrong(
    strict_door: Door, recorded_images: Mapping[str, Image], tmp_path: Path, secret: str, organization: str, words: str
) -> None:
    source = write(tmp_path / "there", recorded_images["hello:v1"])
    credentials, target = f"{ACCESS_ID}:{secret}", remote(strict_door, f"{organization}/app")
    failed = skopeo("copy", "--dest-tls-verify=false", "--dest-creds", credentials, source, target)
    assert failed.returncode != 0
    assert re.search(words, failed.stderr)
