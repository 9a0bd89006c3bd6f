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


@pytest.fixture
def state() -> MemoryState:
    """After a rejection, which replicas share."""
    state = MemoryState()
    Capabilities(state).record_rejection(ME, "index")
    return state


def test_rejection_counts_for_its_feature_region_and_access_key(state: MemoryState) -> None:
    found = Capabilities(state)
    assert found.is_rejected(ME, "index")
    assert found.is_rejected(TEAM, "index")
    assert not any(found.is_rejected(who, "index") for who in (OTHER, ELSEWHERE))
    assert not found.is_rejected(ME, "image")


def test_rejection_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    assert capabilities.TTL_SECONDS == 3600
    monkeypatch.setattr(capabilities, "TTL_SECONDS", 0.0)
    found = Capabilities(MemoryState())
    found.record_rejection(ME, "index")
    assert not found.is_rejected(ME, "index")


@pytest.mark.parametrize(("seconds", "age"), [(0, 0), (120, 120), (-60, 0), (1e9, 3600)])
def test_age_of_a_rejection(monkeypatch: pytest.MonkeyPatch, seconds: float, age: float) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("adapter.manifests.capabilities.time.time", lambda: now[0])
    found = Capabilities(MemoryState())
    assert found.rejection_age(ME, "index") is None
    found.record_rejection(ME, "index")
    now[0] += seconds
    assert found.rejection_age(ME, "index") == age


@pytest.mark.parametrize("value", [b"", b"x", b"1.5", b"9" * 5000, b"\xff"])
def test_invalid_values_in_the_state_are_ignored(state: MemoryState, value: bytes) -> None:
    (key,) = state._values
    state.put(key, value, 60)
    assert not Capabilities(state).is_rejected(ME, "index")
