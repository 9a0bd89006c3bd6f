"""One adapter with proxies around it for the whole folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.harness import Harness, running_harness
from tests.running import RunningSandbox


@pytest.fixture(scope="package")
def plain_rig(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_harness(sandbox, tmp_path_factory.mktemp("plain")) as harness:
        yield harness


@pytest.fixture
def harness(plain_rig: Harness) -> Iterator[Harness]:
    """Without a stack trace in the adapter's log from what breaks in a test."""
    before = plain_rig.log.traces
    yield plain_rig
    text = plain_rig.log.text()
    assert plain_rig.log.traces == before, text[-5000:]
