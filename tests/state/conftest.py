from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.state.server import RedisServer, running_redis


@pytest.fixture(autouse=True)
def _patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no server that hangs, but for the test of one."""
    if "hangs" not in request.node.name:
        monkeypatch.setattr("adapter.state.redis_client.TIMEOUT_SECONDS", 10.0)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running
