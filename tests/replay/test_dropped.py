"""A proxy cache requests each blob twice, once for its client and once for its store, and can drop one response early
(docs/facts/harbor.md D.8): the other response is complete."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image
from adapter.sandbox.replay import Replayer
from tests.replay.conftest import CREDENTIALS, StartEnvironment
from tests.replay.expectations import complaints
from tests.replay.scenarios import scenarios


@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
def test_other_response_to_a_blob_is_complete(
    which: int, environment: StartEnvironment, recorded_images: Mapping[str, Image]
) -> None:
    (scenario,) = (each for each in scenarios() if each.file.stem == "proxy-cache-cold")
    requests: dict[str, list[int]] = {}
    for exchange in scenario.recording():
        match = re.fullmatch("/v2/.+/blobs/(sha256:[0-9a-f]{64})", exchange.request.path)
        if match and exchange.request.method == "GET":
            requests.setdefault(match[1], []).append(exchange.number)
    assert [len(numbers) for numbers in requests.values()] == [2, 2, 2]
    dropped = {numbers[which]: 1 for numbers in requests.values()}
    stage = environment("default", False, "")
    stage.swr.reset(scenario.profile, scenario.state(recorded_images))

    replayer = Replayer(stage.adapter.contract, Blobs(()), credentials=CREDENTIALS, timeout=30, read=dropped)
    results = replayer.replay(scenario.recording())

    complete = [each for each in results if each.exchange.number not in dropped]
    assert [complaint for each in complete for complaint in complaints(each, stage.adapter.contract)] == []
    assert [(each.status, len(each.body)) for each in results if each.exchange.number in dropped] == [(200, 1)] * 3
    sent = [path for method, path, _ in stage.swr.requests() if method == "GET" and "/v2/fresh/hello/blobs/" in path]
    assert len(sent) == 6
