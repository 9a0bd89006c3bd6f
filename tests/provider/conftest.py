"""One adapter for the whole folder, between a scripted SWR and a scripted core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient
from pytest_httpserver import HTTPServer

from adapter.provider.app import create_provider_app
from adapter.provider.core_client import CoreClient
from adapter.settings import Settings
from adapter.swr.client import SwrClient
from tests.conftest import StartAdapter
from tests.credentials import PROJECT
from tests.provider.harness import PUBLIC_URL, Client, ScriptedCore
from tests.running import RunningAdapter, running_adapter
from tests.swr.scripted import Swr

InFrontOf = Callable[..., FlaskClient]


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[HTTPServer, HTTPServer]]:
    """Of SWR and of core."""
    with HTTPServer(threaded=True) as swr, HTTPServer(threaded=True) as core:
        yield swr, core


@pytest.fixture
def scripted_swr(servers: tuple[HTTPServer, HTTPServer]) -> Iterator[Swr]:
    """Accepts all credentials unless a test changes it."""
    server, _ = servers
    swr = Swr(server)
    swr.grant()
    swr.answer("GET", "/v2/manage/namespaces", {"namespaces": []})
    yield swr
    server.clear()


@pytest.fixture
def core(servers: tuple[HTTPServer, HTTPServer]) -> Iterator[ScriptedCore]:
    _, server = servers
    yield ScriptedCore(server)
    server.clear()


@pytest.fixture(scope="session")
def shared_adapter(servers: tuple[HTTPServer, HTTPServer]) -> Iterator[RunningAdapter]:
    swr, core = (server.url_for("").rstrip("/") for server in servers)
    with running_adapter(
        {PROJECT: {"registry": swr, "api": swr}}, public_url=PUBLIC_URL, harbor_core_url=core
    ) as running:
        yield running


@pytest.fixture
def portal(shared_adapter: RunningAdapter, scripted_swr: Swr, core: ScriptedCore) -> Client:
    """A client of the shared adapter."""
    return Client(shared_adapter.provider)


@pytest.fixture
def another(servers: tuple[HTTPServer, HTTPServer], scripted_swr: Swr) -> Iterator[StartAdapter]:
    """Starts adapters for one test: `another(**settings)`."""
    swr, core = (server.url_for("").rstrip("/") for server in servers)
    with ExitStack() as stack:

        def start(**settings: object) -> RunningAdapter:
            usual: dict[str, object] = {"public_url": PUBLIC_URL, "harbor_core_url": core}
            regions = settings.pop("regions", {PROJECT: {"registry": swr, "api": swr}})
            return stack.enter_context(running_adapter(regions, **{**usual, **settings}))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def in_front_of() -> Iterator[InFrontOf]:
    """The application in this process, with its timeouts in seconds: `in_front_of(url, **settings)`."""
    with ExitStack() as stack:

        def start(
            url: str, response_timeout: float = 20.0, connect_timeout: float = 5.0, **settings: Any
        ) -> FlaskClient:
            chosen = Settings(public_url=PUBLIC_URL, harbor_core_url=url, **settings)
            core = CoreClient(
                url, chosen.core_ca_bundle, connect_timeout=connect_timeout, response_timeout=response_timeout
            )
            stack.callback(core.close)
            client = create_provider_app(chosen, SwrClient.build(chosen), core).test_client()
            client.set_cookie("sid", "1")
            return client

        yield start
