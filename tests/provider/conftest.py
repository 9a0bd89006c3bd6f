"""One adapter for the whole folder, in front of a scripted SWR, behind it a scripted core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pytest_httpserver import HTTPServer

from tests.conftest import StartAdapter
from tests.credentials import PROJECT
from tests.provider.harness import PUBLIC_URL, Client, PlayedCore
from tests.running import RunningAdapter, running_adapter
from tests.swr.scripted import Swr


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[HTTPServer, HTTPServer]]:
    """SWR's and core's."""
    with HTTPServer(threaded=True) as swr, HTTPServer(threaded=True) as core:
        yield swr, core


@pytest.fixture
def scripted_swr(servers: tuple[HTTPServer, HTTPServer]) -> Iterator[Swr]:
    """Says yes to every credential until a test has it otherwise."""
    server, _ = servers
    swr = Swr(server)
    swr.grant()
    swr.answer("GET", "/v2/manage/namespaces", {"namespaces": []})
    yield swr
    server.clear()


@pytest.fixture
def core(servers: tuple[HTTPServer, HTTPServer]) -> Iterator[PlayedCore]:
    _, server = servers
    yield PlayedCore(server)
    server.clear()


@pytest.fixture(scope="session")
def shared_adapter(servers: tuple[HTTPServer, HTTPServer]) -> Iterator[RunningAdapter]:
    swr, core = (server.url_for("").rstrip("/") for server in servers)
    with running_adapter(
        {PROJECT: {"registry": swr, "api": swr}}, public_url=PUBLIC_URL, harbor_core_url=core
    ) as running:
        yield running


@pytest.fixture
def portal(shared_adapter: RunningAdapter, scripted_swr: Swr, core: PlayedCore) -> Client:
    """What stands in front of the door."""
    return Client(shared_adapter.provider)


@pytest.fixture
def another(servers: tuple[HTTPServer, HTTPServer], scripted_swr: Swr) -> Iterator[StartAdapter]:
    """Starts doors of a test's own, `another(**settings)`."""
    swr, core = (server.url_for("").rstrip("/") for server in servers)
    with ExitStack() as stack:

        def start(**settings: object) -> RunningAdapter:
            usual: dict[str, object] = {"public_url": PUBLIC_URL, "harbor_core_url": core}
            regions = settings.pop("regions", {PROJECT: {"registry": swr, "api": swr}})
            return stack.enter_context(running_adapter(regions, **{**usual, **settings}))  # type: ignore[arg-type]

        yield start
