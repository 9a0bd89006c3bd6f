"""One adapter for the whole folder, and one with the settings that restrict; SWR is put back before each test."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import pytest

from tests.contract.http import Door
from tests.credentials import PROJECT
from tests.running import TENANT, RunningAdapter, RunningSandbox, running_adapter
from tests.services import Service

ORGANIZATION = "team"
PUBLIC_HOST = "adapter.example:8443"
MAX_LAYER_BYTES = 100_000

_FAILED = pytest.StashKey[bool]()

_numbers = itertools.count(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Lets fixtures know whether their test failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nothing of this folder may run for long, whatever hangs."""
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
    """May not create organizations, takes small layers only, and is known under a public URL."""
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
def door(usual_adapter: RunningAdapter, swr: RunningSandbox, request: pytest.FixtureRequest) -> Iterator[Door]:
    with _no_stack_trace(usual_adapter.service, request):
        yield Door(usual_adapter.contract)


@pytest.fixture
def strict_door(strict_adapter: RunningAdapter, swr: RunningSandbox, request: pytest.FixtureRequest) -> Iterator[Door]:
    with _no_stack_trace(strict_adapter.service, request):
        yield Door(strict_adapter.contract)


class Start(Protocol):
    """Starts an adapter of a test's own."""

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
    """A number that no other test has: what the adapter remembers of one test must not serve another."""
    return next(_numbers)


@pytest.fixture
def repository(number: int) -> str:
    """A repository that no other test has touched."""
    return f"{ORGANIZATION}/app{number}"


def put_back(swr: RunningSandbox, **knobs: Any) -> RunningSandbox:
    """The sandbox with one organization of the suite's account and nothing else; all knobs as usual but these."""
    swr.reset(**knobs)
    swr.store.create_organization(ORGANIZATION, TENANT)
    return swr


@contextmanager
def _no_stack_trace(service: Service, request: pytest.FixtureRequest) -> Iterator[None]:
    """Asserts, after a test that passed, that nothing a client or SWR did in it ended in a stack trace."""
    before = len(service.output)
    yield
    if not request.node.stash.get(_FAILED, False):
        added = service.output[before:]
        assert "Traceback" not in added, added[-3000:]
