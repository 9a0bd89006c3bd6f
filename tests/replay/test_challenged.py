"""A recording of an open peer becomes one of a peer that challenges."""

from __future__ import annotations

from adapter.sandbox.recording import load
from tests.replay.challenged import challenged
from tests.replay.scenarios import CONTRACT, DOCKER_REGISTRY


def test_probes_are_refused_and_all_else_has_credentials() -> None:
    recording = challenged(load(DOCKER_REGISTRY / "pull.jsonl"))
    assert [each.answer.status for each in recording] == [401, 200, 401, 200, 200]
    assert [each.request.header("Authorization") is not None for each in recording] == [False, True, False, True, True]


def test_check_of_the_endpoint_is_no_probe() -> None:
    *_, probe, check = challenged(load(DOCKER_REGISTRY / "push-buildkit-index.jsonl"))
    assert (probe.request.path, probe.answer.status, probe.request.header("Authorization")) == ("/v2/", 401, None)
    assert (check.request.path, check.answer.status) == ("/v2/", 200)
    assert check.request.header("Authorization")


def test_credentials_are_those_of_the_other_recordings() -> None:
    given = {
        each.request.header("Authorization")
        for each in (*challenged(load(DOCKER_REGISTRY / "pull.jsonl")), *load(CONTRACT / "push-unchanged.jsonl"))
    }
    assert len(given - {None}) == 1
