"""Transfers take no more than their share of the threads."""

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

NUMBER = 4
SHARE = 3
"""Of these slots one credential gets so many: the last quarter is for others."""
HARBOR = {"User-Agent": "harbor-registry-client"}
DATA = os.urandom(3 << 20)


@contextmanager
def full(door: Door, swr: RunningSandbox, repository: str) -> Iterator[list[socket.socket]]:
    """As many uploads as one account may have, of which a part has reached SWR and the rest is still to come."""
    with ExitStack() as stack:
        yield [stack.enter_context(under_way(door, swr, repository, DATA, 2 << 20)) for _ in range(SHARE)]


def test_one_more_is_told_to_come_again(start: Start, swr: RunningSandbox, repository: str) -> None:
    door = Door(start(threads=NUMBER).contract)
    small = door.push(repository, b"a blob that is there")
    location = door.start(repository)
    with full(door, swr, repository) as connections:
        for answer in (
            door.put(location, digest_of(DATA), DATA),
            door.ask("PATCH", location, DATA),
            door.ask("GET", f"/v2/{repository}/blobs/{small}"),
            door.ask("POST", f"/v2/{repository}-2/blobs/uploads/?mount={small}&from={repository}", b"", HARBOR),
        ):
            words = f"{SHARE} of {NUMBER} transfers (limit, SWR_ADAPTER_THREADS) are in progress"
            refused(answer, 503, words, code="TOOMANYREQUESTS")
            assert int(answer.header("Retry-After")) > 0
        # Another account has a slot, though no permission.
        other = basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY)
        refused(door.ask("GET", f"/v2/{repository}/blobs/{small}", authorization=other), {403, 404})
        # Whatever moves no blob goes on.
        assert door.ask("HEAD", f"/v2/{repository}/blobs/{small}").status == 200
        assert door.ask("GET", "/v2/").status == 200
        assert door.ask("POST", f"/v2/{repository}/blobs/uploads/", b"").status == 202
        connections[0].sendall(DATA[2 << 20 :])
        done = read_answer(connections[0])
        assert done is not None
        assert done.status == 201
        assert door.put(location, digest_of(DATA), DATA).status == 201


@pytest.mark.parametrize("end", ["refused", "cut", "damaged"])
def test_what_fails_gives_its_place_back(start: Start, swr: RunningSandbox, repository: str, end: str) -> None:
    door = Door(start(threads=NUMBER).contract)
    for _ in range(NUMBER + 1):
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


def test_downloads_take_places_and_give_them_back(start: Start, swr: RunningSandbox, repository: str) -> None:
    door = Door(start(threads=NUMBER).contract)
    data = os.urandom(24 << 20)
    target = f"/v2/{repository}/blobs/{door.push(repository, data)}"
    with ExitStack() as stack:
        for _ in range(SHARE):
            connection = stack.enter_context(door.open())
            connection.sendall(door.head("GET", target))
            assert connection.recv(12) == b"HTTP/1.1 200"
        refused(door.ask("GET", target), 503, code="TOOMANYREQUESTS")
    eventually(lambda: door.ask("GET", target).status == 200)
    assert door.ask("GET", target).body == data


def test_a_tenant_has_a_limit_of_its_own(start: Start, swr: RunningSandbox, repository: str) -> None:
    tenants = json.dumps({"acme": [ACCESS_KEY, OTHER_ACCESS_KEY]})
    door = Door(start(threads=NUMBER, transfers_per_tenant=1, tenants=tenants).contract)
    location = door.start(repository)
    with under_way(door, swr, repository, DATA, 2 << 20):
        answer = refused(door.put(location, digest_of(DATA), DATA), 503, "1 transfers of this tenant")
        assert "SWR_ADAPTER_TRANSFERS_PER_TENANT" in answer.message
        assert int(answer.header("Retry-After")) > 0
    eventually(lambda: door.put(door.start(repository), digest_of(DATA), DATA).status == 201)
