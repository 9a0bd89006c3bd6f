"""A sandbox with a project for each profile, and an adapter in front of it, for real clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapter.sandbox.recordings.images import Image, descriptor, walk
from tests.contract.skopeo import skopeo
from tests.credentials import ACCESS_KEY, LOGIN_KEY, SECRET_KEY
from tests.replay.profiles import PROFILES, Profile
from tests.replay.swr import profile_sandbox
from tests.running import TENANT, RunningSandbox, running_adapter


@dataclass(frozen=True)
class Clients:
    """Real clients of adapter and SWR (`host:port`), where `organization` exists."""

    swr: RunningSandbox
    adapter: str
    organization: str = "team"

    def at(self, address: str, name: str) -> str:
        return f"docker://{address}/{self.organization}/{name}"

    @property
    def registry(self) -> str:
        return urlsplit(self.swr.registry).netloc

    def credentials(self, address: str, profile: Profile) -> str:
        """The SWR registry accepts only the login key."""
        return f"{profile.access_id}:{SECRET_KEY if address == self.adapter else LOGIN_KEY}"

    def push(self, source: str, name: str, profile: Profile) -> None:
        """Pushes the complete source through the adapter."""
        there = ("--dest-tls-verify=false", "--dest-creds", self.credentials(self.adapter, profile))
        pushed = skopeo("copy", "--all", *there, source, self.at(self.adapter, name))
        assert pushed.returncode == 0, pushed.stderr

    def raw(self, address: str, name: str, profile: Profile) -> bytes:
        """The manifest with this name."""
        here = ("--tls-verify=false", "--creds", self.credentials(address, profile))
        read = skopeo("inspect", "--raw", *here, self.at(address, name))
        assert read.returncode == 0, read.stderr
        return read.stdout.encode()

    def pull(self, address: str, name: str, folder: Path, *arguments: str, credentials: str = "") -> Path:
        """Pulls into the folder and returns it; arguments go before `copy`, except `--all`."""
        before = [each for each in arguments if each != "--all"]
        after = [*(["--all"] if "--all" in arguments else []), "--src-tls-verify=false"]
        known = ["--src-creds", credentials] if credentials else []
        pulled = skopeo(*before, "copy", *after, *known, self.at(address, name), f"dir:{folder}")
        assert pulled.returncode == 0, pulled.stderr
        return folder


@pytest.fixture(scope="package")
def clients() -> Iterator[Clients]:
    with profile_sandbox() as swr:
        swr.store.create_organization("team", TENANT, ACCESS_KEY)
        hosts = {"registry": swr.registry, "api": swr.api}
        with running_adapter({profile.project: hosts for profile in PROFILES.values()}) as adapter:
            yield Clients(swr, urlsplit(adapter.contract).netloc)


def write_layout(folder: Path, image: Image, tag: str) -> str:
    """Writes an OCI image layout, as BuildKit does, and returns the skopeo name of the image.

    Format: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
    """
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entry = {**descriptor(image.media_type, image.manifest), "annotations": {"org.opencontainers.image.ref.name": tag}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    for data in walk(image):
        (blobs / descriptor("", data)["digest"].removeprefix("sha256:")).write_bytes(data)
    return f"oci:{folder}:{tag}"
