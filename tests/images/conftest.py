"""A stand-in with a project for each profile, and an adapter in front of it, for the real clients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contract.skopeo import skopeo
from tests.credentials import ACCESS_KEY, LOGIN_KEY, SECRET_KEY
from tests.replay.profiles import PROFILES, Profile
from tests.replay.swr import profile_sandbox
from tests.running import TENANT, RunningSandbox, running_adapter


@dataclass(frozen=True)
class Clients:
    """Real clients of both: `host:port` of the adapter and of SWR, where `organization` exists."""

    swr: RunningSandbox
    adapter: str
    organization: str = "team"

    def at(self, address: str, name: str) -> str:
        return f"docker://{address}/{self.organization}/{name}"

    @property
    def registry(self) -> str:
        return urlsplit(self.swr.registry).netloc

    def credentials(self, address: str, profile: Profile) -> str:
        """SWR's registry knows the login key alone."""
        return f"{profile.access_id}:{SECRET_KEY if address == self.adapter else LOGIN_KEY}"

    def push(self, source: str, name: str, profile: Profile) -> None:
        """Everything that the source names, through the adapter."""
        there = ("--dest-tls-verify=false", "--dest-creds", self.credentials(self.adapter, profile))
        pushed = skopeo("copy", "--all", *there, source, self.at(self.adapter, name))
        assert pushed.returncode == 0, pushed.stderr

    def raw(self, address: str, name: str, profile: Profile) -> bytes:
        """What is under the name."""
        here = ("--tls-verify=false", "--creds", self.credentials(address, profile))
        read = skopeo("inspect", "--raw", *here, self.at(address, name))
        assert read.returncode == 0, read.stderr
        return read.stdout.encode()

    def pull(self, address: str, name: str, folder: Path, *arguments: str, credentials: str = "") -> Path:
        """The folder that has it: whatever skopeo makes of the arguments before `copy`, or of `--all`."""
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
