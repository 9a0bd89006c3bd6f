"""An empty sandbox, and an adapter that remembers nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from adapter.sandbox.recordings.images import Image
from tests.manifests.driver import Adapter
from tests.running import TENANT, RunningSandbox


@pytest.fixture
def sandbox_swr(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    sandbox.reset()
    sandbox.store.create_organization("team", TENANT)
    yield sandbox
    sandbox.reset()


@pytest.fixture
def adapter(sandbox_swr: RunningSandbox) -> Adapter:
    return Adapter(sandbox_swr)


@pytest.fixture
def buildkit(recorded_images: Mapping[str, Image]) -> Image:
    """An index of two platforms and an attestation."""
    return recorded_images["multi:buildkit"]
