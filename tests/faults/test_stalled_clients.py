"""Many stalled clients do not delay others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.contract.http import Door, digest_of, with_query
from tests.credentials import PROJECT
from tests.faults.harness import LARGE, ORGANIZATION
from tests.faults.verbs import MANIFEST_TYPE, document
from tests.running import TENANT, RunningAdapter, RunningSandbox, running_adapter

MANY = 64
PROMPT = 5.0
"""Seconds that a client waits for an answer that nothing may hold up."""
NEVER = 60
"""CLIENT_IDLE_TIMEOUT in seconds: nobody is dropped while a test runs."""


@pytest.fixture
def swr(sandbox: RunningSandbox) -> RunningSandbox:
    sandbox.reset(check_references=False)
    sandbox.store.create_organization(ORGANIZATION, TENANT)
    return sandbox


@contextlib.contextmanager
def adapter_of(swr: RunningSandbox, **options: object) -> Iterator[RunningAdapter]:
    with running_adapter({PROJECT: {"registry": swr.registry, "api": swr.api}}, **options) as adapter:
        yield adapter


class TestStalledClients:
    """64 of them, and the 32 threads that there are by default."""

    def said(self, door: Door, number: int, repository: str) -> bytes:
        """By turns nothing, half a head, and half a body."""
        if number % 3 == 0:
            return b""
        if number % 3 == 1:
            return door.head("GET", f"/v2/{repository}/manifests/v1")[:-10]
        target = with_query(door.start(repository), digest=digest_of(LARGE))
        return door.head("PUT", target, f"Content-Length: {len(LARGE)}") + LARGE[: len(LARGE) // 2]

    def test_other_clients_are_answered(self, swr: RunningSandbox) -> None:
        repository = f"{ORGANIZATION}/stalled"
        data = document(500)
        swr.store.put_manifest(repository, "v1", data, MANIFEST_TYPE)
        with adapter_of(swr, client_idle_timeout=NEVER) as adapter, contextlib.ExitStack() as stack:
            door, probe = Door(adapter.contract), Door(adapter.operations)
            saying = [self.said(door, number, repository) for number in range(MANY)]
            for said in saying:
                stack.enter_context(door.open()).sendall(said)
            for _ in range(3):
                assert probe.ask("GET", "/probe/healthy", timeout=PROMPT).status == 200
                assert probe.ask("GET", "/probe/ready", timeout=PROMPT).status == 200
                head = door.ask("HEAD", f"/v2/{repository}/manifests/v1", timeout=PROMPT)
                assert (head.status, head.header("Docker-Content-Digest")) == (200, digest_of(data))
                assert door.ask("GET", "/v2/", authorization=None, timeout=PROMPT).status == 401
        assert swr.store.repositories() == [repository]
