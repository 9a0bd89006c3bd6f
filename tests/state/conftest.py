from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.state.server import RedisServer, running_redis


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running
