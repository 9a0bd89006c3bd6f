"""Every recording of Harbor 2.15.2, played against the running adapter in front of two SWRs: answers that Harbor can
work with and that the contract's document has, and in SWR exactly what was pushed, mounted and deleted."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image
from tests.replay.running import Record, each_case, play
from tests.replay.scenarios import CONTRACT, DOCKER_REGISTRY, MOUNTS, TRANSLATED, Scenario


@each_case(CONTRACT, DOCKER_REGISTRY, MOUNTS, TRANSLATED)
def test_replay(
    scenario: Scenario,
    stages: tuple[str, ...],
    request: pytest.FixtureRequest,
    recorded_images: Mapping[str, Image],
    blobs: Blobs,
    record_property: Record,
) -> None:
    play(scenario, [request.getfixturevalue(name) for name in stages], recorded_images, blobs, record_property)
