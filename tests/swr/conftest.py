from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer

from adapter.credentials import Credentials, parse_credentials
from adapter.references import RepositoryName
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from tests.credentials import ACCESS_ID, LOGIN_KEY, SECRET_KEY
from tests.swr.scripted import Swr, client_of


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
    """The credentials of that account with the login key instead of the SK."""
    return parse_credentials(ACCESS_ID, LOGIN_KEY, ["eu-de"])


@pytest.fixture
def repository(credentials: Credentials) -> Repository:
    return Repository(credentials, RepositoryName("org", "repo"))
