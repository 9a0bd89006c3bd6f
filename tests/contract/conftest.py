"""One adapter for the whole folder, and one with restrictive settings. The sandbox is reset before each test."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import pytest

from tests.contract.http import Door
from tests.credentials import (
    ACCESS_ID,
    LOGIN_KEY,
    OTHER_ACCESS_KEY,
    OTHER_SECRET_KEY,
    PROJECT,
    SECRET_KEY,
    WRONG_SECRET,
    basic,
)
from tests.running import TENANT, RunningAdapter, RunningSandbox, running_adapter
from tests.services import Service

ORGANIZATION = "team"
PUBLIC_HOST = "adapter.example:8443"
MAX_LAYER_BYTES = 100_000
OTHER = basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY)
"""The other tenant."""
LOGIN_KEY_ONLY = basic(ACCESS_ID, LOGIN_KEY)
SECRETS = [pytest.param(SECRET_KEY, id="SK"), pytest.param(LOGIN_KEY, id="login key")]

_FAILED = pytest.StashKey[bool]()

_numbers = itertools.count(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tells fixtures whether their test failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that hangs fails."""
    for item in items:
        if "tests/contract" in str(item.path):
            item.add_marker(pytest.mark.timeout(60))


@pytest.fixture(scope="session")
def regions(sandbox: RunningSandbox) -> dict[str, dict[str, str]]:
    return {PROJECT: {"registry": sandbox.registry, "api": sandbox.api}}


@pytest.fixture(scope="session")
def usual_adapter(regions: dict[str, dict[str, str]]) -> Iterator[RunningAdapter]:
    with running_adapter(regions) as adapter:
        yield adapter


@pytest.fixture(scope="session")
def strict_adapter(regions: dict[str, dict[str, str]]) -> Iterator[RunningAdapter]:
    """Creates no organizations, accepts small layers only, and has a public URL."""
    with running_adapter(
        regions,
        create_namespaces=False,
        max_layer_bytes=MAX_LAYER_BYTES,
        public_url=f"https://{PUBLIC_HOST}",
        log_format="text",
    ) as adapter:
        yield adapter


@pytest.fixture
def swr(sandbox: RunningSandbox) -> RunningSandbox:
    return put_back(sandbox)


@pytest.fixture
def key_door(usual_adapter: RunningAdapter) -> Door:
    """The same access key with its login key alone."""
    return Door(usual_adapter.contract, LOGIN_KEY_ONLY)


@pytest.fixture
def other_door(usual_adapter: RunningAdapter) -> Door:
    return Door(usual_adapter.contract, OTHER)


@pytest.fixture
def door(usual_adapter: RunningAdapter, swr: RunningSandbox, request: pytest.FixtureRequest) -> Iterator[Door]:
    with _no_stack_trace(usual_adapter.service, request):
        yield Door(usual_adapter.contract)


@pytest.fixture
def strict_door(strict_adapter: RunningAdapter, swr: RunningSandbox, request: pytest.FixtureRequest) -> Iterator[Door]:
    with _no_stack_trace(strict_adapter.service, request):
        yield Door(strict_adapter.contract)


class Start(Protocol):
    """Starts an adapter for one test."""

    def __call__(self, regions: Any = None, **settings: object) -> RunningAdapter: ...


@pytest.fixture
def start(swr: RunningSandbox, regions: dict[str, dict[str, str]], request: pytest.FixtureRequest) -> Iterator[Start]:
    usual = regions
    with ExitStack() as stack:

        def begin(regions: Any = None, **settings: object) -> RunningAdapter:
            adapter = stack.enter_context(running_adapter(regions or usual, **settings))
            stack.enter_context(_no_stack_trace(adapter.service, request))
            return adapter

        yield begin


@pytest.fixture
def number() -> int:
    """A number that no other test has: the adapter caches across tests."""
    return next(_numbers)


@pytest.fixture
def repository(number: int) -> str:
    """A repository that no other test uses."""
    return f"{ORGANIZATION}/app{number}"


@pytest.fixture
def name(number: int) -> str:
    """A missing organization that no other test uses."""
    return f"new{number}"


@pytest.fixture
def wrong(number: int) -> str:
    """A wrong secret that no other test uses, as Authorization header."""
    return basic(secret=f"{WRONG_SECRET}{number}")


def put_back(swr: RunningSandbox, **knobs: Any) -> RunningSandbox:
    """Resets the sandbox: one organization of the suite's tenant, default knobs except these."""
    swr.reset(**knobs)
    swr.store.create_organization(ORGANIZATION, TENANT)
    return swr


@contextmanager
def _no_stack_trace(service: Service, request: pytest.FixtureRequest) -> Iterator[None]:
    """Asserts, after a test that passed, that the adapter logged no stack trace."""
    before = len(service.output)
    yield
    if not request.node.stash.get(_FAILED, False):
        added = service.output[before:]
        assert "Traceback" not in added, added[-3000:]
