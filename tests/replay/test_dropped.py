"""A proxy cache asks for each blob twice, once for its client and once for its store, and may drop one answer early
(docs/facts/harbor.md D.8): the other one is whole, and no more is fetched than somebody wants."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
from werkzeug import Request, Response

from adapter.sandbox.recording import Exchange, load
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image, digest
from adapter.sandbox.replay import Replayer, Result
from tests.replay.conftest import CREDENTIALS, Stage
from tests.replay.expectations import complaints
from tests.replay.scenarios import CONTRACT, State, Stored, scenarios
from tests.replay.script import Entry, LowerCase
from tests.replay.scripted import ScriptedSwr

OBJECTS = "/op-svc-swr-b01/.*"


def blob_of(exchange: Exchange) -> str | None:
    match = re.fullmatch("/v2/.+/blobs/(sha256:[0-9a-f]{64})", exchange.request.path)
    return match[1] if match and exchange.request.method == "GET" else None


def play(stage: Stage, recording: list[Exchange], read: Mapping[int, int] | None = None) -> list[Result]:
    player = Replayer(stage.adapter.contract, Blobs(()), credentials=CREDENTIALS, timeout=30, read=read)
    return player.replay(recording)


@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("swr", ["sandbox", "scripted"])
def test_one_answer_to_each_blob_is_dropped(
    which: int, swr: str, request: pytest.FixtureRequest, recorded_images: Mapping[str, Image]
) -> None:
    (scenario,) = (each for each in scenarios() if each.file.stem == "proxy-cache-cold")
    recording = [*scenario.recording()]
    pairs: dict[str, list[int]] = {}
    for exchange in recording:
        if blob := blob_of(exchange):
            pairs.setdefault(blob, []).append(exchange.number)
    assert [len(numbers) for numbers in pairs.values()] == [2, 2, 2]
    dropped = {numbers[which]: 1 for numbers in pairs.values()}
    stage: Stage = request.getfixturevalue(f"{swr}_stage")
    stage.swr.reset(scenario.profile, scenario.state(recorded_images))

    results = play(stage, recording, dropped)

    whole = [each for each in results if each.exchange.number not in dropped]
    assert [complaint for each in whole for complaint in complaints(each, stage.adapter.contract)] == []
    assert [(each.status, len(each.body)) for each in results if each.exchange.number in dropped] == [(200, 1)] * 3
    asked = [path for method, path, _ in stage.swr.requests() if method == "GET" and "/blobs/" in path]
    assert len(asked) == 6


@dataclass
class Trickle:
    """An object store's answer, and how much of it was sent when it ended."""

    data: bytes = field(repr=False)
    sent: list[int] = field(default_factory=list)
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def respond(self, request: Request, match: re.Match[str]) -> Response:
        return LowerCase(self._blocks(), 200, headers={"content-length": str(len(self.data))})

    def _blocks(self) -> Iterator[bytes]:
        sent = 0
        try:
            for at in range(0, len(self.data), 1 << 16):
                yield self.data[at : at + (1 << 16)]
                sent = min(len(self.data), at + (1 << 16))
        finally:
            self.sent.append(sent)
            self.ended.release()

    def wait(self, answers: int) -> None:
        for _ in range(answers):
            assert self.ended.acquire(timeout=20), f"{len(self.sent)} answers of SWR's have ended, not {answers}"


def test_dropped_answer_ends_at_swr_and_the_other_one_is_whole(
    scripted: ScriptedSwr, scripted_environment: Stage, recorded_images: Mapping[str, Image]
) -> None:
    """Both at once, with a layer that is larger than everything in between can hold."""
    image = recorded_images["large:v1"]
    layer = max(image.blobs, key=len)
    scripted.reset("refuse-index", State(("fresh",), (Stored("fresh/hello", "v1", image),)))
    trickle = Trickle(layer)
    scripted.script.before(Entry("GET", OBJECTS, trickle.respond))
    recorded = next(each for each in load(CONTRACT / "proxy-cache-cold.jsonl") if blob_of(each))
    target = f"/v2/fresh/hello/blobs/{digest(layer)}"
    asked = replace(recorded, request=replace(recorded.request, target=target))

    with ThreadPoolExecutor(2) as pool:
        dropped = pool.submit(play, scripted_environment, [asked], {asked.number: 1})
        whole = pool.submit(play, scripted_environment, [asked])
    (part,), (all_of_it,) = dropped.result(), whole.result()
    trickle.wait(2)

    assert (part.status, part.body) == (200, layer[:1])
    assert all_of_it.body == layer
    least, most = sorted(trickle.sent)
    assert most == len(layer)
    assert least < len(layer) // 2
