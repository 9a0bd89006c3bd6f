from __future__ import annotations

import pytest

from adapter.credentials import Credentials, parse_credentials
from adapter.references import RepositoryName
from adapter.swr.repository import Repository
from tests.attacks.raw import RawServer
from tests.credentials import ACCESS_ID, SECRET_KEY


@pytest.fixture
def swr(raw: RawServer) -> RawServer:
    return raw


@pytest.fixture
def credentials() -> Credentials:
    return parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])


@pytest.fixture
def repository(credentials: Credentials) -> Repository:
    return Repository(credentials, RepositoryName("team", "app"))
