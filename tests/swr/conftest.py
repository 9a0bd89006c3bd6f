from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer

from adapter.credentials import Credentials, parse_credentials
from adapter.swr.client import SwrClient
from tests.credentials import ACCESS_ID, LOGIN_KEY, SECRET_KEY
from tests.swr.scripted import Swr, client_of


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[HTTPServer]:
    server = HTTPServer(threaded=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def swr(scripted_server: HTTPServer) -> Iterator[Swr]:
    yield Swr(scripted_server)
    scripted_server.clear()


@pytest.fixture
def client(swr: Swr) -> SwrClient:
    return client_of(swr)


@pytest.fixture
def credentials() -> Credentials:
    return parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])


@pytest.fixture
def key_only() -> Credentials:
    """The same account, entered with its login key."""
    return parse_credentials(ACCESS_ID, LOGIN_KEY, ["eu-de"])
