"""Every recording, played against the running adapter in front of two SWRs: answers that Harbor can work with and that
the contract's document has, and in SWR exactly what was pushed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from adapter.sandbox.player import Player
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image
from tests.replay.conftest import CREDENTIALS, Stage
from tests.replay.described import deviations
from tests.replay.expectations import complaints
from tests.replay.reached import damages, expected
from tests.replay.scenarios import Scenario, scenarios

SWRS = ("sandbox", "scripted")


def cases() -> list[object]:
    return [pytest.param(each, swr, id=f"{each}[{swr}]") for each in scenarios() for swr in SWRS]


@pytest.mark.parametrize(("scenario", "swr"), cases())
def test_replay(
    scenario: Scenario,
    swr: str,
    request: pytest.FixtureRequest,
    recorded_images: Mapping[str, Image],
    blobs: Blobs,
    record_property: Callable[[str, object], None],
) -> None:
    stage: Stage = request.getfixturevalue(f"{swr}_stage")
    start = scenario.state(recorded_images)
    stage.swr.reset(scenario.mood, start)
    results = Player(stage.adapter.contract, blobs, credentials=CREDENTIALS, timeout=30).play(scenario.recording())

    wrong = [
        complaint
        for result in results
        for complaint in complaints(result, stage.adapter.contract, scenario.differs.get(result.exchange.number))
    ]
    wrong += [deviation for result in results for deviation in deviations(result)]
    asked = stage.swr.requests()
    counts = dict(sorted(Counter(method for method, _, _ in asked).items()))
    record_property("requests of Harbor", len(results))
    record_property("requests to SWR", counts)
    print(f"{scenario} [{swr}]: {len(results)} requests of Harbor, {len(asked)} to SWR: {counts}")
    log = (f"  {method} {path} {status}" for method, path, status in asked)
    assert not wrong, "\n".join([*wrong, "asked of SWR:", *log])
    assert list(damages(stage.swr, blobs, results)) == []
    assert stage.swr.contents() == expected(start, results)
