"""The recordings of the oldest Harbor and of the newest one, in fewer moods than those of 2.15.2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image
from tests.replay.conftest import Stage, staged
from tests.replay.running import Record, each_case, play
from tests.replay.sandboxed import SandboxSwr
from tests.replay.scenarios import OTHER_VERSIONS, Scenario
from tests.replay.scripted import ScriptedSwr
from tests.running import RunningSandbox

FOLDERS = ("contract", "contract-mounts", "contract-translated")


@pytest.fixture(scope="module")
def sandbox_mounting_environment(profile_sandbox_process: RunningSandbox) -> Iterator[Stage]:
    """It must not have seen where the recordings of 2.15.2 left the same blobs."""
    with staged(SandboxSwr(profile_sandbox_process), "copy") as stage:
        yield stage


@pytest.fixture(scope="module")
def scripted_mounting_environment(scripted: ScriptedSwr) -> Iterator[Stage]:
    with staged(scripted, "auto") as stage:
        yield stage


@each_case(*(version / folder for version in OTHER_VERSIONS for folder in FOLDERS))
def test_version(
    scenario: Scenario,
    stages: tuple[str, ...],
    request: pytest.FixtureRequest,
    recorded_images: Mapping[str, Image],
    blobs: Blobs,
    record_property: Record,
) -> None:
    play(scenario, [request.getfixturevalue(name) for name in stages], recorded_images, blobs, record_property)
