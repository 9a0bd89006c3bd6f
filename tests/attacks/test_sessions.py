"""Concurrent requests for one upload session: one writes, and the stored blob matches its digest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from adapter.transfer.upload import Uploads
from tests.contract.conftest import put_back
from tests.contract.http import (
    Answer,
    Door,
    asked,
    digest_of,
    eventually,
    pieces,
    read_answer,
    refused,
    settled,
    silent,
)
from tests.contract.stubbed import Ask, Stubbed, StubSwr
from tests.credentials import PROJECT
from tests.running import RunningAdapter, RunningSandbox, running_adapter

DATA = bytes(range(256)) * 4096
"""A block."""
DIGEST = digest_of(DATA)


@pytest.fixture(scope="module")
def adapter(sandbox: RunningSandbox) -> Iterator[RunningAdapter]:
    with running_adapter({PROJECT: {"registry": sandbox.registry, "api": sandbox.api}}) as adapter:
        yield adapter


@pytest.fixture
def swr(sandbox: RunningSandbox) -> RunningSandbox:
    """An SWR that checks neither the order of chunks nor the digest."""
    return put_back(sandbox, chunk_order=False, check_digest=False, discard_cut_uploads=False)


@pytest.fixture
def door(adapter: RunningAdapter, swr: RunningSandbox) -> Door:
    return Door(adapter.contract)


def assert_busy(answer: Answer) -> None:
    refused(answer, 409, "another request is writing", code="BLOB_UPLOAD_INVALID")
    assert int(answer.header("Retry-After")) > 0


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_second_writer_is_rejected(door: Door, swr: RunningSandbox, method: str) -> None:
    """Before SWR gets any of its bytes; the first writer continues."""
    repository = f"team/second-{method.lower()}"
    target = door.start(repository)
    with door.open() as connection:
        head = door.head("PATCH", target, f"Content-Length: {2 * len(DATA)}")
        connection.sendall(head + DATA + DATA[:-1])
        eventually(lambda: len(asked(swr, "PATCH")) == 1)
        with silent(swr):
            if method == "PATCH":
                assert_busy(door.ask("PATCH", target, pieces(DATA, 60_000)))
            else:
                assert_busy(door.put(target, DIGEST, DATA))
        connection.sendall(DATA[-1:])
        answer = read_answer(connection)
    assert answer is not None
    assert answer.status == 202, answer.body
    assert door.put(answer.header("Location"), digest_of(DATA * 2), b"").status == 201
    assert swr.store.read_blob(repository, digest_of(DATA * 2)) == DATA * 2


def test_writer_whose_client_disconnected_does_not_block_the_upload(door: Door, swr: RunningSandbox) -> None:
    repository = "team/left"
    target = door.start(repository)
    with door.open() as connection:
        connection.sendall(door.head("PATCH", target, f"Content-Length: {2 * len(DATA)}") + DATA)
        eventually(lambda: len(asked(swr, "PATCH")) == 1)
    settled(swr)
    eventually(lambda: door.ask("PATCH", target, DATA, {"Content-Range": f"0-{len(DATA) - 1}"}).status != 409)


@pytest.mark.parametrize("verified", [True, False], ids=["in one request", "by chunk"])
def test_concurrent_writers(door: Door, swr: RunningSandbox, verified: bool) -> None:
    """All send the same bytes to the same location: SWR must not append them twice."""
    for trial in range(6):
        repository = f"team/many-{trial}{'-one' if verified else ''}"
        target = door.start(repository)
        answers: list[Answer] = []
        write = in_one_request if verified else by_chunk
        writers = [threading.Thread(target=write, args=(door, target, answers)) for _ in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert [answer.status for answer in answers].count(201) == 1, answers
        assert {answer.status for answer in answers} <= {201, 202, 404, 409, 416}, answers
        assert swr.store.read_blob(repository, DIGEST) == DATA


def in_one_request(door: Door, target: str, answers: list[Answer]) -> None:
    answers.append(door.put(target, DIGEST, DATA))


def by_chunk(door: Door, target: str, answers: list[Answer]) -> None:
    half = len(DATA) // 2
    answer = door.ask("PATCH", target, pieces(DATA[:half], 60_000), {"Content-Range": f"0-{half - 1}"})
    answers.append(answer)
    if answer.status == 202:
        rest = {"Content-Range": f"{half}-{len(DATA) - 1}"}
        answers.append(door.put(answer.header("Location"), DIGEST, DATA[half:], rest))


def test_stale_location_appends_nothing(door: Door, swr: RunningSandbox) -> None:
    """Without Content-Range the bytes may be new or repeated ones."""
    repository = "team/stale"
    target = door.start(repository)
    fresh = door.ask("PATCH", target, DATA).header("Location")
    for answer in (door.ask("PATCH", target, DATA), door.put(target, DIGEST, DATA)):
        refused(answer, 416, f"is at byte {len(DATA)} already", code="RANGE_INVALID")
        assert answer.header("Range") == f"0-{len(DATA) - 1}"
    assert door.put(fresh, DIGEST, b"").status == 201
    assert swr.store.read_blob(repository, DIGEST) == DATA


@pytest.mark.parametrize("how", ["finished", "cancelled"])
def test_ended_upload_is_unknown(door: Door, swr: RunningSandbox, how: str) -> None:
    """For every request, with and without a range."""
    target = door.ask("PATCH", door.start(f"team/{how}"), DATA).header("Location")
    if how == "finished":
        assert door.put(target, DIGEST, b"").status == 201
    else:
        assert door.ask("DELETE", target).status == 204
    with silent(swr):
        for answer in (
            door.ask("GET", target),
            door.ask("PATCH", target, DATA),
            door.ask("PATCH", target, DATA, {"Content-Range": f"0-{len(DATA) - 1}"}),
            door.put(target, DIGEST, b""),
        ):
            refused(answer, 404, "start a new upload", code="BLOB_UPLOAD_UNKNOWN")


def test_single_post_releases_its_request_slot() -> None:
    """Each POST is sent while the one before transfers its bytes."""
    deep = 8

    class Nesting(StubSwr):
        depth = 0

        def finish(self, *_: object) -> None:
            Nesting.depth += 1
            if Nesting.depth < deep:
                post()

    door, statuses = Stubbed(Nesting(), calls=4), []

    def post() -> None:
        statuses.append(door.ask(Ask("POST", f"/v2/team/app/blobs/uploads/?digest={digest_of(b'x')}", b"x")).status)

    post()
    assert statuses == [201] * deep


def test_all_uploads_share_the_hash_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads of clients, and copies for mounts."""
    init, semaphores = Uploads.__init__, []

    def recorded(self: Uploads, *given: Any, hash_threads: threading.Semaphore, **named: Any) -> None:
        semaphores.append(hash_threads)
        init(self, *given, hash_threads=hash_threads, **named)

    monkeypatch.setattr(Uploads, "__init__", recorded)
    Stubbed()
    assert len(semaphores) > 1
    assert len(set(map(id, semaphores))) == 1
