"""Every recording, replayed against the running adapter in front of two behaviors of SWR: Harbor can work with the
responses, the responses are as in the OpenAPI document, and SWR contains exactly what was pushed, mounted and deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image
from tests.replay.conftest import StartEnvironment
from tests.replay.profiles import DEFAULT_PROFILE
from tests.replay.replaying import check
from tests.replay.scenarios import DEFAULT_PAGE, MAIN_VERSION, OTHER_VERSIONS, Scenario, scenarios

MOUNTS = {
    "contract": (False, False),
    "contract-mounts": (True, True),
    "contract-translated": (False, True),
    "docker-registry": (False, False),
}
"""By folder: whether the adapter mounts in the first and in the second part of a scenario.

With two adapters, the second one knows only from SWR what the first one stored.
"""

LONG = ("push-many", "pull-many-pages")
"""Recordings with tens of equal exchanges: replayed in one behavior and version only."""


def behaviors(version: Path, scenario: Scenario) -> Iterator[str]:
    """Every recording is replayed in the default profile with the alternative behavior of SWR; that of the main
    version also in all its profiles with the default behavior.

    In another version, where Harbor sends almost the same (docs/facts/harbor.md J.2), each profile is replayed once.
    """
    usual = scenario.profile == DEFAULT_PROFILE and scenario.page == DEFAULT_PAGE
    name = scenario.file.stem
    if version == MAIN_VERSION:
        yield "default"
        if usual and name not in LONG:
            yield "alternative"
    elif name not in LONG:
        yield "alternative" if usual else "default"


def cases() -> Iterator[tuple[str, Path, Scenario, str]]:
    for version in (MAIN_VERSION, *OTHER_VERSIONS):
        for folder in sorted(folder for folder in version.iterdir() if folder.name in MOUNTS):
            for scenario in scenarios(folder):
                for behavior in behaviors(version, scenario):
                    yield f"{version.name}/{folder.name}/{scenario}[{behavior}]", folder, scenario, behavior


CASES = {name: rest for name, *rest in cases()}


@pytest.mark.parametrize(("folder", "scenario", "behavior"), CASES.values(), ids=CASES)
def test_replay(
    folder: Path,
    scenario: Scenario,
    behavior: str,
    environment: StartEnvironment,
    recorded_images: Mapping[str, Image],
    blobs: Blobs,
) -> None:
    mounts = MOUNTS[folder.name][: len(scenario.parts)]
    environments = [environment(behavior, each, folder.parent.name) for each in mounts]
    check(scenario, environments, recorded_images, blobs)
