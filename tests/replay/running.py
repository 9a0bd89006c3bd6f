"""Plays a recording, with what goes before it, and judges answers and SWR after each part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image
from adapter.sandbox.replay import Replayer, Result
from tests.contract.http import Door
from tests.credentials import basic
from tests.replay import listings
from tests.replay.conftest import Stage, credentials
from tests.replay.expectations import complaints
from tests.replay.openapi import deviations
from tests.replay.profiles import PROFILES
from tests.replay.scenarios import FOLDER, Scenario, State, scenarios
from tests.replay.stored import Expected, damages, other_answers, sources_without_blob, standing, within

Record = Callable[[str, object], None]

STAGES = {
    "contract": ("{}_stage", "{}_stage"),
    "contract-mounts": ("{}_mounting_stage", "{}_mounting_stage"),
    "contract-translated": ("{}_stage", "{}_mounting_stage"),
    "docker-registry": ("{}_stage", "{}_stage"),
}
"""By folder: the stage of the first part of a scenario, and of what follows. Where two adapters stand in front of one
SWR, the second one knows only from SWR what the first one left there."""


def each_case(*folders: Path) -> pytest.MarkDecorator:
    """Parametrizes a test with `scenario` and `stages`, for each recording, mood and SWR."""
    cases: dict[str, tuple[Scenario, tuple[str, ...]]] = {}
    for folder in folders:
        first, last = STAGES[folder.name]
        version = "" if folder.parent == FOLDER else f"{folder.parent.name}/"
        for scenario in scenarios(folder):
            for swr in ("sandbox", "scripted"):
                stages = (first, last) if scenario.first else (first,)
                names = tuple(stage.format(swr) for stage in stages)
                cases[f"{version}{folder.name}/{scenario}[{swr}]"] = (scenario, names)
    return pytest.mark.parametrize(("scenario", "stages"), cases.values(), ids=cases)


def play(
    scenario: Scenario, stages: list[Stage], images: Mapping[str, Image], blobs: Blobs, record_property: Record
) -> None:
    """Asserts that Harbor could work with each answer, and that SWR holds what was answered as stored."""
    swr, profile = stages[0].swr, PROFILES[scenario.profile]
    start = with_sources(scenario.state(images), scenario.sources(), blobs)
    swr.reset(scenario.profile, start, scenario.page)
    show(Door(stages[0].adapter.contract, basic(profile.access_id)), scenario.sources())
    after, every = Expected(start, profile, swr), []
    for part, stage in zip(scenario.parts, stages, strict=True):
        held, asked = swr.contents(), len(swr.requests())
        wrong, results = play_part(part, stage, blobs)
        wrong += listings.differences(held, results)
        assert not wrong, "\n".join([*wrong, "asked of SWR:", *(f"  {x} {y} {z}" for x, y, z in swr.requests())])
        count(stage, part, results, asked, record_property)
        after.add(results)
        assert [*damages(swr, blobs, results, profile)] == []
        contents, limits = after.without_deleted(swr.contents()), after.contents()
        assert within(contents, limits) if profile.forgets else contents == limits
        every += results
    door = Door(stages[-1].adapter.contract, basic(profile.access_id))
    assert [*other_answers(door, standing(every), profile)] == []


def play_part(part: Scenario, stage: Stage, blobs: Blobs) -> tuple[list[str], list[Result]]:
    """What Harbor could not have worked with, and the answers."""
    wrong: list[str] = []

    def watch(result: Result) -> None:
        wrong.extend(sources_without_blob(stage.swr, result))

    known = credentials(PROFILES[part.profile])
    player = Replayer(stage.adapter.contract, blobs, credentials=known, timeout=30, on_exchange=watch)
    results = player.replay(part.recording())
    for result in results:
        wrong += complaints(result, stage.adapter.contract, part.differs.get(result.exchange.number))
        wrong += deviations(result)
    return wrong, results


def count(stage: Stage, part: Scenario, results: list[Result], before: int, record_property: Record) -> None:
    """Notes what the recording cost; the first `before` requests to SWR were before it."""
    asked = stage.swr.requests()[before:]
    counts = dict(sorted(Counter(method for method, _, _ in asked).items()))
    record_property("requests of Harbor", len(results))
    record_property("requests to SWR", counts)
    print(f"{part}: {len(results)} requests of Harbor, {len(asked)} to SWR: {counts}")


def with_sources(start: State, sources: Iterable[tuple[str, str]], blobs: Blobs) -> State:
    """The state with the blobs where the recorded peer had them."""
    seeded = tuple((repository, blobs[digest]) for repository, digest in sources)
    organizations = dict.fromkeys([*start.organizations, *(name.partition("/")[0] for name, _ in seeded)])
    return replace(start, organizations=tuple(organizations), blobs=(*start.blobs, *seeded))


def show(door: Door, sources: Iterable[tuple[str, str]]) -> None:
    """Lets the adapter see the blobs there, as it would have when they were pushed: so its look-up knows them."""
    for repository, digest in sources:
        assert door.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200
