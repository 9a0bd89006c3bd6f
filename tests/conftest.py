"""Fixtures that several folders of tests share. Everything that runs is a real process or a real server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest
from pytest_httpserver import HTTPServer

from adapter.http import request_context
from adapter.http.request_context import RequestContext
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image, images
from adapter.settings import Settings
from adapter.swr.transport import Transport
from tests.attacks.raw import RawServer, raw_server
from tests.certificates import Certificate
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


@pytest.fixture
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> Certificate | None:
    """The certificate of `raw`, if a test with `PLAIN_AND_TLS` runs over TLS."""
    return Certificate(tmp_path) if getattr(request, "param", "plain") == "tls" else None


@pytest.fixture
def raw(certificate: Certificate | None) -> Iterator[RawServer]:
    with raw_server(certificate=certificate) as server:
        yield server


@pytest.fixture
def transport(certificate: Certificate | None) -> Iterator[Transport]:
    """The transport of the SWR client, which trusts `certificate` and has no rate limit."""
    bundle = certificate.authority if certificate else None
    with Transport(Settings(requests_per_second=0, ca_bundle=bundle)) as found:
        yield found


@pytest.fixture
def context() -> Iterator[RequestContext]:
    """The context of the request that is being served, in this thread."""
    found = RequestContext()
    token = request_context.current_request.set(found)
    yield found
    request_context.current_request.reset(token)


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[HTTPServer]:
    server = HTTPServer(threaded=True)
    server.start()
    yield server
    server.stop()
