"""Many documents at once: all callers share one limit, and small documents always have room."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from adapter import documents
from adapter.documents import DocumentMemory
from adapter.errors import Busy
from adapter.provider.core_client import CoreClient
from tests.contract.conftest import put_back
from tests.contract.http import Answer, Door, asked, digest_of, eventually, read_answer, refused, silent
from tests.credentials import basic
from tests.provider.rawcore import raw_core, sends
from tests.running import RunningAdapter, RunningSandbox, running_adapter
from tests.test_documents import request_of

LARGEST = 4 << 20
HOSTILE = (b"[" + b"{}," * ((LARGEST - 4) // 3) + b"{}]")[:LARGEST]
MAX_GROWTH = 250 << 20
"""Bytes of resident memory, at most, above what was there before."""


@pytest.fixture(scope="module")
def adapter(sandbox: RunningSandbox) -> Iterator[RunningAdapter]:
    with running_adapter({"eu-de": {"registry": sandbox.registry, "api": sandbox.api}}) as adapter:
        yield adapter


@pytest.fixture
def swr(sandbox: RunningSandbox) -> RunningSandbox:
    return put_back(sandbox, check_references=False)


def memory(adapter: RunningAdapter, field: str) -> int:
    """Bytes of the server and its worker: `VmRSS` now, `VmHWM` at most so far."""
    pid = adapter.service.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for each in (str(pid), *children):
        lines = Path(f"/proc/{each}/status").read_text().splitlines()
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith(field))
    return total


def put_head(door: Door, tag: str, length: int | None, repository: str = "team/app") -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return door.head("PUT", f"/v2/{repository}/manifests/{tag}", framing, "Content-Type: application/json")


def manifest(size: int = 0) -> bytes:
    """Of an image, filled up to a size."""
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest_of(b"{}"), "size": 2}
    document = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    data = json.dumps({**document, "config": config, "layers": []}).encode()
    return data + b" " * (size - len(data))


def put(door: Door, tag: str, data: bytes) -> Answer:
    return door.ask("PUT", f"/v2/team/app/manifests/{tag}", data, {"Content-Type": json.loads(data)["mediaType"]})


class TestMemory:
    def test_unfinished_manifests(self, adapter: RunningAdapter, swr: RunningSandbox) -> None:
        door, data = Door(adapter.contract), manifest(LARGEST)
        assert put(door, "before", manifest()).status == 201
        before = memory(adapter, "VmRSS")
        with ExitStack() as stack:
            opened = [stack.enter_context(door.open()) for _ in range(100)]
            threads = [threading.Thread(target=unfinished, args=(door, each, data)) for each in opened]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert memory(adapter, "VmHWM") - before < MAX_GROWTH
            # The rest wait for their last byte, and hold what large ones may.
            small = put(door, "small", manifest())
            assert small.status == 201, small.body
            refused(put(door, "large", data), 503, "documents", code="TOOMANYREQUESTS")
        eventually(lambda: put(door, "large", data).status == 201)

    def test_manifests_of_a_million_values(self, adapter: RunningAdapter, swr: RunningSandbox) -> None:
        door = Door(adapter.contract)
        assert put(door, "before", manifest()).status == 201
        before = memory(adapter, "VmRSS")
        answers: list[Answer | None] = []
        threads = [threading.Thread(target=lambda: answers.append(hostile(door))) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert memory(adapter, "VmHWM") - before < MAX_GROWTH
        told = {answer.status for answer in answers if answer is not None}
        assert told <= {400, 503}, told
        assert 400 in told
        assert put(door, "after", manifest()).status == 201


def unfinished(door: Door, connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(put_head(door, "v1", len(data)) + data[:-1])
    except OSError:  # refused meanwhile
        return


def hostile(door: Door) -> Answer | None:
    with door.open() as connection:
        with suppress(OSError):
            connection.sendall(put_head(door, "v1", len(HOSTILE)) + HOSTILE)
        return read_answer(connection)


def test_too_many_values_are_told(adapter: RunningAdapter, swr: RunningSandbox) -> None:
    refused(hostile(Door(adapter.contract)), 400, "too many values", code="MANIFEST_INVALID")


class TestOrder:
    """Credentials are proven at SWR before a document is read: its first byte never comes here."""

    @pytest.mark.parametrize("length", [1000, None])
    def test_a_wrong_secret(self, adapter: RunningAdapter, swr: RunningSandbox, length: int | None) -> None:
        door = Door(adapter.contract, basic("eu-de@" + "A" * 20, "wrong"))
        answer = door.raw(put_head(door, "v1", length))
        assert answer is not None
        assert answer.status == 401

    def test_an_organization_that_is_missing(self, adapter: RunningAdapter, swr: RunningSandbox) -> None:
        door = Door(adapter.contract)
        answer = door.raw(put_head(door, "v1", 1000, "nowhere/app"))
        refused(answer, 404, "'nowhere' not found in SWR", code="NAME_UNKNOWN")

    def test_it_costs_no_request_more(self, adapter: RunningAdapter, swr: RunningSandbox) -> None:
        door = Door(adapter.contract)
        data = manifest()
        target = "/v2/team/once/manifests/v1"
        answer = door.ask("PUT", target, data, {"Content-Type": json.loads(data)["mediaType"]})
        assert answer.status == 201, answer.body
        assert [entry["method"] for entry in asked(swr)] == ["GET", "PUT"]

    def test_what_no_request_could_be_is_refused_first(self, adapter: RunningAdapter, swr: RunningSandbox) -> None:
        with silent(swr):
            refused(Door(adapter.contract).ask("PUT", "/v2/team/APP/manifests/v1", b"{}"), 400, code="NAME_INVALID")


def test_what_core_sends_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider port looks into whole lists of Harbor's."""
    monkeypatch.setattr("adapter.provider.core_client.WAIT_SECONDS", 0)
    memory, body = DocumentMemory(limit=1500, reserved=0), b"x" * 1000
    with raw_core(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + body)) as url:
        for room in (True, False):
            with closing(CoreClient(url, None)) as core, request_of(memory), ExitStack() as stack:
                answer = stack.enter_context(closing(core.send("GET", "/", [], None)))
                if room:
                    assert answer.read(LARGEST) == body
                    assert memory.used == len(body)
                else:
                    documents.hold(len(body))
                    with pytest.raises(Busy):
                        answer.read(LARGEST)
