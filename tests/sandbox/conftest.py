"""One sandbox for the whole session, reset before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.sandbox.store import Store
from tests.credentials import ACCESS_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY
from tests.running import OBJECTS_HOST
from tests.sandbox.client import Sandbox
from tests.services import Service, free_ports, running

ACCOUNTS = (f"{ACCESS_KEY}:{SECRET_KEY}:eu-de,eu-de_team", f"{OTHER_ACCESS_KEY}:{OTHER_SECRET_KEY}:eu-de:other")


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Service]]:
    data: Path = tmp_path_factory.mktemp("sandbox")
    registry, api, objects = free_ports(3)
    binds = (
        f"--registry-bind=127.0.0.1:{registry}",
        f"--api-bind=127.0.0.1:{api}",
        f"--objects-bind={OBJECTS_HOST}:{objects}",
    )
    accounts = (f"--account={account}" for account in ACCOUNTS)
    with running("sandbox", "sandbox", f"--data={data}", *binds, *accounts, env={}, port=api, path="/v2") as service:
        yield Sandbox(registry, api, objects, Store(data)), service


@pytest.fixture
def sandbox(sandbox_process: tuple[Sandbox, Service]) -> Sandbox:
    sandbox, _ = sandbox_process
    assert sandbox.control("POST", "reset").status == 204
    return sandbox


@pytest.fixture
def sandbox_output(sandbox_process: tuple[Sandbox, Service]) -> Service:
    """The process with its `output`."""
    return sandbox_process[1]
