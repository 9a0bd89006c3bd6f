"""Transfers use no more than their share of the threads. `tests/attacks/test_slots.py` has the rules of slots."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.contract.conftest import Start
from tests.contract.http import Door, digest_of, eventually, read_answer, refused, reset, under_way, with_query
from tests.credentials import ACCESS_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, basic
from tests.running import RunningSandbox

THREADS = 4
SHARE = 3
"""Slots of one tenant: the last quarter is reserved for others."""
HARBOR = {"User-Agent": "harbor-registry-client"}
DATA = os.urandom(3 << 20)


@contextmanager
def full(door: Door, swr: RunningSandbox, repository: str) -> Iterator[list[socket.socket]]:
    """As many uploads in progress as one tenant may have."""
    with ExitStack() as stack:
        yield [stack.enter_context(under_way(door, swr, repository, DATA, 2 << 20)) for _ in range(SHARE)]


def test_one_transfer_too_many(start: Start, swr: RunningSandbox, repository: str) -> None:
    door = Door(start(threads=THREADS).contract)
    small = door.push(repository, b"a blob that is there")
    location = door.start(repository)
    with full(door, swr, repository) as connections:
        for answer in (
            door.put(location, digest_of(DATA), DATA),
            door.ask("PATCH", location, DATA),
            door.ask("GET", f"/v2/{repository}/blobs/{small}"),
            door.ask("POST", f"/v2/{repository}-2/blobs/uploads/?mount={small}&from={repository}", b"", HARBOR),
        ):
            words = f"{SHARE} of {THREADS} transfers (limit, SWR_ADAPTER_THREADS) are in progress"
            refused(answer, 503, words, code="TOOMANYREQUESTS")
            assert int(answer.header("Retry-After")) > 0
        # Another tenant gets a slot, though it has no permission.
        other = basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY)
        refused(door.ask("GET", f"/v2/{repository}/blobs/{small}", authorization=other), {403, 404})
        # Requests that transfer no blob are served.
        assert door.ask("HEAD", f"/v2/{repository}/blobs/{small}").status == 200
        assert door.ask("GET", "/v2/").status == 200
        assert door.ask("POST", f"/v2/{repository}/blobs/uploads/", b"").status == 202
        connections[0].sendall(DATA[2 << 20 :])
        done = read_answer(connections[0])
        assert done is not None
        assert done.status == 201
        assert door.put(location, digest_of(DATA), DATA).status == 201


@pytest.mark.parametrize("end", ["refused", "cut", "damaged"])
def test_failed_transfers_release_their_slots(start: Start, swr: RunningSandbox, repository: str, end: str) -> None:
    door = Door(start(threads=THREADS).contract)
    for _ in range(THREADS + 1):
        if end == "refused":
            refused(door.ask("GET", f"/v2/{repository}/blobs/{digest_of(b'absent')}"), 404)
        elif end == "damaged":
            refused(door.put(door.start(repository), digest_of(b"other"), DATA), 400)
        else:
            with door.open() as connection:
                target = with_query(door.start(repository), digest=digest_of(DATA))
                connection.sendall(door.head("PUT", target, f"Content-Length: {len(DATA)}") + DATA[:1000])
                reset(connection)
    eventually(lambda: door.put(door.start(repository), digest_of(DATA), DATA).status == 201)


def test_limit_of_a_tenant(start: Start, swr: RunningSandbox, repository: str) -> None:
    tenants = json.dumps({"acme": [ACCESS_KEY, OTHER_ACCESS_KEY]})
    door = Door(start(threads=THREADS, transfers_per_tenant=1, tenants=tenants).contract)
    location = door.start(repository)
    with under_way(door, swr, repository, DATA, 2 << 20):
        answer = refused(door.put(location, digest_of(DATA), DATA), 503, "1 transfers of this tenant")
        assert "SWR_ADAPTER_TRANSFERS_PER_TENANT" in answer.message
        assert int(answer.header("Retry-After")) > 0
    eventually(lambda: door.put(door.start(repository), digest_of(DATA), DATA).status == 201)
