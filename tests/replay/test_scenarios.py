"""States as data: what they become, and mistakes in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapter.sandbox.recordings.images import Image
from tests.replay.scenarios import CONTRACT, USUAL_MOOD, scenarios, state


def test_recording_without_an_entry_is_a_test_that_starts_from_nothing(
    tmp_path: Path, recorded_images: Mapping[str, Image]
) -> None:
    shutil.copy(CONTRACT / "push-first.jsonl", tmp_path / "new.jsonl")
    (scenario,) = scenarios(tmp_path)
    assert (str(scenario), scenario.mood, scenario.differs) == ("new", USUAL_MOOD, {})
    assert scenario.state(recorded_images) == state({}, recorded_images)
    assert len(scenario.recording()) == 31


def test_one_test_for_each_mood(tmp_path: Path) -> None:
    shutil.copy(CONTRACT / "push-first.jsonl", tmp_path)
    moods = {"accept": {}, "refuse-index": {"3": {"status": 404, "says": ["x"]}}}
    (tmp_path / "states.json").write_text(json.dumps({"push-first": {"moods": moods}}))
    accepting, refusing = scenarios(tmp_path)
    assert (str(accepting), str(refusing)) == ("push-first-accept", "push-first")
    assert refusing.differs[3].allows(404)
    assert not refusing.differs[3].allows(400)


def test_entry_without_a_recording(tmp_path: Path) -> None:
    (tmp_path / "states.json").write_text('{"push-frist": {}}')
    with pytest.raises(ValueError, match="without a recording: push-frist"):
        scenarios(tmp_path)


def test_index_brings_its_children(recorded_images: Mapping[str, Image]) -> None:
    entry = {"images": [{"repository": "a/b", "image": "multi:buildkit", "tag": "t"}]}
    manifests = list(state(entry, recorded_images).manifests())
    index = recorded_images["multi:buildkit"]
    assert [reference for _, reference, _ in manifests] == [*(child.digest for child in index.children), "t"]
    assert len(list(state(entry, recorded_images).all_blobs())) == 3 + 3 + 2


def test_loose_blobs_of_some_children(recorded_images: Mapping[str, Image]) -> None:
    entry = {"blobs": [{"repository": "a/b", "image": "multi:buildkit", "children": [0, 1]}]}
    found = state(entry, recorded_images)
    first, second, _ = recorded_images["multi:buildkit"].children
    assert found.blobs == tuple(("a/b", data) for data in [*first.blobs, *second.blobs])


def test_image_that_there_is_not(recorded_images: Mapping[str, Image]) -> None:
    with pytest.raises(KeyError, match="helo:v1"):
        state({"images": [{"repository": "a/b", "image": "helo:v1", "tag": "t"}]}, recorded_images)
