"""States as data: what they become, and mistakes in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapter.sandbox.recordings.images import Image
from tests.replay.profiles import PROFILES, USUAL_MOOD
from tests.replay.scenarios import CONTRACT, DOCKER_REGISTRY, MOUNTS, scenarios, state


def test_recording_without_an_entry_is_a_test_that_starts_from_nothing(
    tmp_path: Path, recorded_images: Mapping[str, Image]
) -> None:
    shutil.copy(CONTRACT / "push-first.jsonl", tmp_path / "new.jsonl")
    (scenario,) = scenarios(tmp_path)
    assert (str(scenario), scenario.profile, scenario.differs) == ("new", USUAL_MOOD, {})
    assert scenario.state(recorded_images) == state({}, recorded_images)
    assert len(scenario.recording()) == 31


def test_one_test_for_each_mood(tmp_path: Path) -> None:
    shutil.copy(CONTRACT / "push-first.jsonl", tmp_path)
    profiles = {"accept": {}, "refuse-index": {"3": {"status": 404, "says": ["x"]}}}
    (tmp_path / "states.json").write_text(json.dumps({"push-first": {"moods": profiles}}))
    accepting, refusing = scenarios(tmp_path)
    assert (str(accepting), str(refusing)) == ("push-first-accept", "push-first")
    assert refusing.differs[3].allows(404)
    assert not refusing.differs[3].allows(400)


def test_star_stands_for_all_other_moods(tmp_path: Path) -> None:
    shutil.copy(CONTRACT / "push-first.jsonl", tmp_path)
    profiles = {"*": {}, "accept": {"3": {"status": 404}}}
    (tmp_path / "states.json").write_text(json.dumps({"push-first": {"moods": profiles}}))
    found = {each.profile: tuple(each.differs) for each in scenarios(tmp_path)}
    assert found == dict.fromkeys(PROFILES, ()) | {"accept": (3,)}


def test_another_recording_goes_first(tmp_path: Path) -> None:
    """Then it is judged there, and not played alone in that mood."""
    for name in ("push-first", "push-unchanged"):
        shutil.copy(CONTRACT / f"{name}.jsonl", tmp_path)
    profiles = {"accept": {}, "refuse-all": {"3": {"status": 404}}}
    states = {"push-first": {"moods": profiles}, "push-unchanged": {"after": "push-first", "moods": {"refuse-all": {}}}}
    (tmp_path / "states.json").write_text(json.dumps(states))
    alone, second = scenarios(tmp_path)
    assert [str(part) for part in alone.parts] == ["push-first-accept"]
    assert [str(part) for part in second.parts] == ["push-first-refuse-all", "push-unchanged-refuse-all"]
    assert [sorted(part.differs) for part in second.parts] == [[3], []]


def test_one_test_for_each_size_of_page(tmp_path: Path) -> None:
    shutil.copy(CONTRACT / "push-first.jsonl", tmp_path)
    (tmp_path / "states.json").write_text('{"push-first": {"pages": [100, 7]}}')
    assert [(str(each), each.page) for each in scenarios(tmp_path)] == [("push-first", 100), ("push-first-by-7", 7)]


def test_start_of_another_recording(tmp_path: Path, recorded_images: Mapping[str, Image]) -> None:
    for name in ("push-first", "push-unchanged"):
        shutil.copy(CONTRACT / f"{name}.jsonl", tmp_path)
    other = {"organizations": ["a"], "images": [{"repository": "a/b", "image": "hello:v1", "tag": "v1"}]}
    states = {"push-first": other, "push-unchanged": {"as": "push-first", "organizations": ["a", "c"]}}
    (tmp_path / "states.json").write_text(json.dumps(states))
    first, second = (each.state(recorded_images) for each in scenarios(tmp_path))
    assert first.images == second.images
    assert (first.organizations, second.organizations) == (("a",), ("a", "c"))


def test_peer_that_asked_for_no_credentials() -> None:
    assert {each.open_peer for each in scenarios(DOCKER_REGISTRY)} == {True}
    assert {each.open_peer for each in scenarios(CONTRACT)} == {False}
    (pull,) = (each for each in scenarios(DOCKER_REGISTRY) if each.file.stem == "pull")
    assert [each.answer.status for each in pull.recording()][:2] == [401, 200]


def test_where_the_recorded_peer_had_the_blobs() -> None:
    first, *_ = (each for each in scenarios(MOUNTS) if each.file.stem == "push-mount")
    found = [repository for repository, _ in first.sources()]
    assert found == ["source/other", "landing/source/tools/deep/nested", "landing/hello", "source/other"]
    assert not any([*each.sources()] for each in scenarios(CONTRACT))


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


def test_image_without_a_tag_stands_under_its_digest(recorded_images: Mapping[str, Image]) -> None:
    entry = {"images": [{"repository": "a/b", "image": "signed:sbom"}]}
    image = recorded_images["signed:sbom"]
    assert [*state(entry, recorded_images).manifests()] == [("a/b", image.digest, image)]


def test_every_image_of_a_repository(recorded_images: Mapping[str, Image]) -> None:
    found = state({"images": [{"repository": "a/b", "every": "many"}]}, recorded_images)
    assert len(found.images) == 120
    assert {each.repository for each in found.images} == {"a/b"}
    assert [each.tag for each in found.images][:2] == ["t000", "t001"]


def test_loose_blobs_of_some_children(recorded_images: Mapping[str, Image]) -> None:
    entry = {"blobs": [{"repository": "a/b", "image": "multi:buildkit", "children": [0, 1]}]}
    found = state(entry, recorded_images)
    first, second, _ = recorded_images["multi:buildkit"].children
    assert found.blobs == tuple(("a/b", data) for data in [*first.blobs, *second.blobs])


def test_image_that_there_is_not(recorded_images: Mapping[str, Image]) -> None:
    with pytest.raises(KeyError, match="helo:v1"):
        state({"images": [{"repository": "a/b", "image": "helo:v1", "tag": "t"}]}, recorded_images)
