"""Fixtures that several folders of tests share. Everything that runs is a real process or a real server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping

import hypothesis
import pytest

from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image, images
from tests.credentials import PROJECT
from tests.running import RunningAdapter, RunningSandbox, running_adapter, running_sandbox

# A busy machine is no failure. Where a change is judged the same examples come each time, elsewhere new ones.
hypothesis.settings.register_profile("default", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("default")

StartAdapter = Callable[..., RunningAdapter]


@pytest.fixture(scope="session")
def recorded_images() -> Mapping[str, Image]:
    """The images that the recordings move, by `<repository>:<tag>`."""
    return images()


@pytest.fixture(scope="session")
def blobs(recorded_images: Mapping[str, Image]) -> Blobs:
    """All of their blobs and manifests, by digest."""
    return Blobs(recorded_images.values())


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """A sandbox process that all tests share: begin with `sandbox.reset()`."""
    with running_sandbox() as running:
        yield running


@pytest.fixture
def adapter(sandbox: RunningSandbox) -> Iterator[StartAdapter]:
    """Starts adapters, `adapter(**settings)`, in front of the sandbox unless `regions` says otherwise; stops them."""
    usual = {PROJECT: {"registry": sandbox.registry, "api": sandbox.api}}
    with contextlib.ExitStack() as stack:

        def start(regions: Mapping[str, Mapping[str, str]] = usual, **settings: object) -> RunningAdapter:
            return stack.enter_context(running_adapter(regions, **settings))

        yield start
