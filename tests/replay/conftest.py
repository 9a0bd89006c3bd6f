"""Two adapters for each of the two SWRs, for the whole session: what they cache outlives a recording, as in real life.

One names no repository to mount from, as the peer of most recordings did not. The other one mounts: in front of the
scripted SWR, which can, as it comes to it; in front of the sandbox, which cannot, by copying.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.credentials import ACCESS_ID, PROJECT, SECRET_KEY, WRONG_SECRET
from tests.replay.reached import Swr
from tests.replay.sandboxed import SandboxSwr
from tests.replay.scripted import ScriptedSwr, scripted_swr
from tests.running import RunningAdapter, RunningSandbox, running_adapter

RECORDED_USER = "eu-de@AKEXAMPLE0000000001"
CREDENTIALS = {
    (RECORDED_USER, "SKexample0000000000000000000000000000001"): (ACCESS_ID, SECRET_KEY),
    (RECORDED_USER, "wrong"): (ACCESS_ID, WRONG_SECRET),
}


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
def sandbox_stage(sandbox: RunningSandbox) -> Iterator[Stage]:
    with _stage(SandboxSwr(sandbox), "never") as stage:
        yield stage


@pytest.fixture(scope="session")
def scripted_stage(scripted: ScriptedSwr) -> Iterator[Stage]:
    with _stage(scripted, "never") as stage:
        yield stage


@pytest.fixture(scope="session")
def sandbox_mounting_stage(sandbox: RunningSandbox) -> Iterator[Stage]:
    with _stage(SandboxSwr(sandbox), "copy") as stage:
        yield stage


@pytest.fixture(scope="session")
def scripted_mounting_stage(scripted: ScriptedSwr) -> Iterator[Stage]:
    with _stage(scripted, "auto") as stage:
        yield stage


@contextmanager
def _stage(swr: Swr, mount: str) -> Iterator[Stage]:
    with running_adapter({PROJECT: {"registry": swr.registry, "api": swr.api}}, mount=mount) as adapter:
        yield Stage(swr, adapter)
