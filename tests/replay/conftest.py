"""Two adapters for each of the two SWRs, for the whole session: what they cache outlives a recording, as in real life.

One names no repository to mount from, as the peer of most recordings did not. The other one mounts: in front of the
scripted SWR, which can, as it comes to it; in front of the sandbox, which cannot, by copying.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from adapter.sandbox.replay import Credentials
from tests.credentials import SECRET_KEY, WRONG_SECRET
from tests.replay.profiles import DEFAULT_PROFILE, PROFILES, Profile
from tests.replay.sandboxed import SandboxSwr, profile_sandbox
from tests.replay.scripted import ScriptedSwr, scripted_swr
from tests.replay.stored import Swr
from tests.running import RunningAdapter, RunningSandbox, running_adapter

RECORDED_USER = "eu-de@AKEXAMPLE0000000001"


def credentials(profile: Profile) -> Credentials:
    """Those of the mood's own project, for those that were recorded."""
    return {
        (RECORDED_USER, "SKexample0000000000000000000000000000001"): (profile.access_id, SECRET_KEY),
        (RECORDED_USER, "wrong"): (profile.access_id, WRONG_SECRET),
    }


CREDENTIALS = credentials(PROFILES[DEFAULT_PROFILE])


@dataclass(frozen=True)
class Stage:
    """An SWR and the adapter in front of it."""

    swr: Swr
    adapter: RunningAdapter


@pytest.fixture(scope="session")
def scripted() -> Iterator[ScriptedSwr]:
    with scripted_swr() as swr:
        yield swr


@pytest.fixture(scope="session")
def profile_sandbox_process() -> Iterator[RunningSandbox]:
    with profile_sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def sandbox_environment(profile_sandbox_process: RunningSandbox) -> Iterator[Stage]:
    with staged(SandboxSwr(profile_sandbox_process), "never") as stage:
        yield stage


@pytest.fixture(scope="session")
def scripted_environment(scripted: ScriptedSwr) -> Iterator[Stage]:
    with staged(scripted, "never") as stage:
        yield stage


@pytest.fixture(scope="session")
def sandbox_mounting_environment(profile_sandbox_process: RunningSandbox) -> Iterator[Stage]:
    with staged(SandboxSwr(profile_sandbox_process), "copy") as stage:
        yield stage


@pytest.fixture(scope="session")
def scripted_mounting_environment(scripted: ScriptedSwr) -> Iterator[Stage]:
    with staged(scripted, "auto") as stage:
        yield stage


@contextmanager
def staged(swr: Swr, mount: str) -> Iterator[Stage]:
    """An adapter of its own in front of the SWR."""
    hosts = {"registry": swr.registry, "api": swr.api}
    with running_adapter({profile.project: hosts for profile in PROFILES.values()}, mount=mount) as adapter:
        yield Stage(swr, adapter)
