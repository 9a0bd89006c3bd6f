"""Adapters for the whole session: as in real life, what an adapter caches outlives a recording.

For each behavior of SWR there are two adapters. One never mounts: the peer of most recordings found no repository to
mount from. The other one mounts as SWR allows it: the default behavior cannot mount, so the adapter copies.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from adapter.sandbox.replay import Credentials
from tests.credentials import SECRET_KEY, WRONG_SECRET
from tests.replay.profiles import DEFAULT_PROFILE, PROFILES, Profile
from tests.replay.swr import SandboxSwr, profile_sandbox
from tests.running import RunningAdapter, running_adapter

RECORDED_USER = "eu-de@AKEXAMPLE0000000001"


def credentials(profile: Profile) -> Credentials:
    """The credentials of the project of the profile, by the recorded credentials."""
    return {
        (RECORDED_USER, "SKexample0000000000000000000000000000001"): (profile.access_id, SECRET_KEY),
        (RECORDED_USER, "wrong"): (profile.access_id, WRONG_SECRET),
    }


CREDENTIALS = credentials(PROFILES[DEFAULT_PROFILE])


@dataclass(frozen=True)
class Environment:
    """An SWR and an adapter in front of it."""

    swr: SandboxSwr
    adapter: RunningAdapter


StartEnvironment = Callable[[str, bool, str], Environment]
"""(behavior of SWR, whether the adapter mounts, Harbor version): the environment, started at its first use.

Each version has an adapter of its own that mounts, because the adapter must not have seen the blobs of another one.
"""


@pytest.fixture(scope="session")
def environment() -> Iterator[StartEnvironment]:
    started: dict[tuple[str, bool, str], Environment] = {}
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(profile_sandbox())

        def start(behavior: str, mounts: bool, version: str) -> Environment:
            key = (behavior, mounts, version if mounts else "")
            if key not in started:
                swr = SandboxSwr(sandbox, behavior)
                hosts = {"registry": swr.registry, "api": swr.api}
                mount = ("auto" if behavior == "alternative" else "copy") if mounts else "never"
                regions = {profile.project: hosts for profile in PROFILES.values()}
                started[key] = Environment(swr, stack.enter_context(running_adapter(regions, mount=mount)))
            return started[key]

        yield start
