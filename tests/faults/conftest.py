"""One adapter with proxies around it for the whole folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.harness import Harness, running_harness
from tests.running import RunningSandbox


@pytest.fixture(scope="package")
def plain_harness(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_harness(sandbox, tmp_path_factory.mktemp("plain")) as harness:
        yield harness


@pytest.fixture
def harness(plain_harness: Harness) -> Iterator[Harness]:
    with plain_harness.without_traces():
        yield plain_harness
