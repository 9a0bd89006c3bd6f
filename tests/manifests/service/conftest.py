"""A sandbox as at the start, a repository of its own for each test, and an adapter that remembers nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest

from adapter.references import RepositoryName
from adapter.sandbox.recordings.images import Image
from tests.manifests.service.driver import Adapter
from tests.running import TENANT, RunningSandbox

_numbers = itertools.count()


@pytest.fixture
def swr(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    sandbox.reset()
    sandbox.store.create_organization("team", TENANT)
    yield sandbox
    sandbox.reset()


@pytest.fixture
def repository() -> RepositoryName:
    return RepositoryName("team", f"indexes{next(_numbers)}")


@pytest.fixture
def buildkit(recorded_images: Mapping[str, Image]) -> Image:
    """Two platforms and an attestation."""
    return recorded_images["multi:buildkit"]


@pytest.fixture
def adapter(swr: RunningSandbox) -> Adapter:
    return Adapter(swr)
