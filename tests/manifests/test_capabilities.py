from __future__ import annotations

import pytest

from adapter.credentials import parse_credentials
from adapter.manifests import capabilities
from adapter.manifests.capabilities import Capabilities
from adapter.state import MemoryState
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, SECRET_KEY

ME = parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])
TEAM = parse_credentials(ACCESS_ID.replace("@", "_team@"), SECRET_KEY, ["eu-de"])
ELSEWHERE = parse_credentials(ACCESS_ID.replace("eu-de", "eu-nl"), SECRET_KEY, ["eu-nl"])
OTHER = parse_credentials(f"eu-de@{OTHER_ACCESS_KEY}", SECRET_KEY, ["eu-de"])


def test_each_kind_of_each_account_in_each_region_apart() -> None:
    refused = Capabilities(MemoryState())
    refused.learn(ME, "index")
    assert refused.knows(ME, "index")
    assert refused.knows(TEAM, "index")
    assert not any(refused.knows(who, "index") for who in (OTHER, ELSEWHERE))
    assert not refused.knows(ME, "image")


def test_replicas_tell_each_other() -> None:
    state = MemoryState()
    Capabilities(state).learn(ME, "index")
    assert Capabilities(state).knows(ME, "index")


def test_it_is_not_known_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert capabilities.LIFE == 3600
    monkeypatch.setattr(capabilities, "LIFE", 0.0)
    refused = Capabilities(MemoryState())
    refused.learn(ME, "index")
    assert not refused.knows(ME, "index")


def test_how_long_ago_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("adapter.manifests.capabilities.time.time", lambda: now[0])
    state = MemoryState()
    refused = Capabilities(state)
    assert refused.age(ME, "index") is None
    refused.learn(ME, "index")
    for seconds, age in ((0, 0), (120, 120), (-60, 0), (1e9, 3600)):
        now[0] = 1_000_000.0 + seconds
        assert refused.age(ME, "index") == age


@pytest.mark.parametrize("value", [b"", b"x", b"1.5", b"9" * 5000, b"\xff"])
def test_what_another_program_left_in_the_state_is_not_believed(value: bytes) -> None:
    state = MemoryState()
    Capabilities(state).learn(ME, "index")
    (key,) = state._values
    state.put(key, value, 60)
    assert not Capabilities(state).knows(ME, "index")
