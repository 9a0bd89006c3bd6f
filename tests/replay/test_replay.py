"""Every recording, played against the running adapter in front of two SWRs: answers that Harbor can work with and that
the contract's document has, and in SWR exactly what was pushed, mounted and deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import pytest

from adapter.sandbox.player import Player, Result
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image
from tests.contract.http import Door
from tests.credentials import basic
from tests.replay import listed
from tests.replay.conftest import Stage, credentials
from tests.replay.described import deviations
from tests.replay.expectations import complaints
from tests.replay.moods import MOODS
from tests.replay.reached import damages, expected, other_answers, sources_without_blob, within, without
from tests.replay.scenarios import CONTRACT, DOCKER_REGISTRY, MOUNTS, Scenario, State, scenarios

STAGES = {CONTRACT: "{}_stage", DOCKER_REGISTRY: "{}_stage", MOUNTS: "{}_mounting_stage"}


def cases() -> Iterator[object]:
    for folder, stage in STAGES.items():
        for scenario in scenarios(folder):
            for swr in ("sandbox", "scripted"):
                yield pytest.param(scenario, stage.format(swr), id=f"{folder.name}/{scenario}[{swr}]")


@pytest.mark.parametrize(("scenario", "stage_name"), [*cases()])
def test_replay(
    scenario: Scenario,
    stage_name: str,
    request: pytest.FixtureRequest,
    recorded_images: Mapping[str, Image],
    blobs: Blobs,
    record_property: Callable[[str, object], None],
) -> None:
    stage: Stage = request.getfixturevalue(stage_name)
    start = with_sources(scenario.state(recorded_images), scenario.sources(), blobs)
    stage.swr.reset(scenario.mood, start, scenario.page)
    mood = MOODS[scenario.mood]
    door = Door(stage.adapter.contract, basic(mood.access_id))
    show(door, scenario.sources())
    wrong: list[str] = []

    def watch(result: Result) -> None:
        wrong.extend(sources_without_blob(stage.swr, result))

    player = Player(stage.adapter.contract, blobs, credentials=credentials(mood), timeout=30, on_exchange=watch)
    every: list[Result] = []
    for part in scenario.parts:
        shown = len(stage.swr.requests())
        results = player.play(part.recording())
        for result in results:
            wrong += complaints(result, stage.adapter.contract, part.differs.get(result.exchange.number))
            wrong += deviations(result)
        counted(stage, part, results, shown, record_property)
        every += results
    wrong += listed.differences(start, every)
    assert not wrong, "\n".join([*wrong, "asked of SWR:", *(f"  {x} {y} {z}" for x, y, z in stage.swr.requests())])
    assert [*damages(stage.swr, blobs, every, mood), *other_answers(door, every, mood)] == []
    contents, limits = without(stage.swr.contents(), every), expected(start, every, mood, stage.swr)
    if mood.forgets:
        assert within(contents, limits)
    else:
        assert contents == limits


def counted(
    stage: Stage, part: Scenario, results: list[Result], shown: int, record_property: Callable[[str, object], None]
) -> None:
    """Notes what the recording cost; the first `shown` requests to SWR were before it."""
    asked = stage.swr.requests()[shown:]
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
