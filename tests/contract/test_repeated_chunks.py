"""Chunks that are sent again after an error, as Harbor repeats them (`docs/facts/harbor.md D.2`)."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.contract.conftest import Start, put_back
from tests.contract.http import Answer, Door, asked, digest_of, eventually, pieces, refused, reset, settled, silent
from tests.running import RunningSandbox

DATA = os.urandom(900_000)
FIRST, SECOND = DATA[:300_000], DATA[300_000:600_000]
DIGEST = digest_of(DATA)

RESPONSE_LOST = {"method": "PATCH", "when": "after", "cut_after_bytes": 0}
"""SWR stores the chunk, and the response is lost."""


def send(door: Door, location: str, data: bytes, start: int) -> Answer:
    """A chunk as Harbor up to 2.15 sends it."""
    return door.ask(
        "PATCH", location, pieces(data, 32768), {"Content-Range": f"{start}-{start + len(data) - 1}"}, timeout=20
    )


def finish(door: Door, location: str) -> Answer:
    span = {"Content-Range": "600000-899999"}
    return door.put(location, DIGEST, pieces(DATA[600_000:], 32768), span)


@pytest.fixture
def second(door: Door, repository: str) -> str:
    """The location of an upload that has its first chunk."""
    return send(door, door.start(repository), FIRST, 0).header("Location")


def same_location(door: Door, location: str) -> str:
    return location


def location_of_status(door: Door, location: str) -> str:
    """The location in the status of the upload, if there is one."""
    answer = door.ask("GET", location)
    assert answer.status in (204, 404)
    return answer.header("Location") if answer.status == 204 else location


NextLocation = Callable[[Door, str], str]
next_locations = pytest.mark.parametrize("next_location", [same_location, location_of_status])


@next_locations
@pytest.mark.parametrize("at", [0, 1], ids=["first", "second"])
def test_swr_has_the_whole_chunk(
    door: Door, swr: RunningSandbox, repository: str, next_location: NextLocation, at: int
) -> None:
    location = door.start(repository)
    if at:
        location = send(door, location, FIRST, 0).header("Location")
    swr.faults(RESPONSE_LOST)
    chunk, start = (SECOND, len(FIRST)) if at else (FIRST, 0)
    refused(send(door, location, chunk, start), {502, 503})
    before = len(asked(swr, "PATCH"))
    answer = send(door, next_location(door, location), chunk, start)
    assert (answer.status, answer.header("Range")) == (202, f"0-{start + len(chunk) - 1}")
    assert len(asked(swr, "PATCH")) == before, "what SWR has was sent again"
    location = answer.header("Location")
    if not at:
        location = send(door, location, SECOND, len(FIRST)).header("Location")
    assert finish(door, location).status == 201
    assert swr.store.read_blob(repository, DIGEST) == DATA


@next_locations
def test_swr_has_a_part_of_the_chunk(
    door: Door, swr: RunningSandbox, repository: str, next_location: NextLocation
) -> None:
    """The client disconnected in the middle of a chunk of several blocks."""
    swr.set_knobs(discard_cut_uploads=False)
    data = os.urandom(5 << 20)
    location = door.start(repository)
    with door.open() as connection:
        head = door.head("PATCH", location, f"Content-Range: 0-{len(data) - 1}", f"Content-Length: {len(data)}")
        connection.sendall(head + data[: 4 << 20])
        eventually(lambda: any(upload.size for upload in swr.store.uploads()))
        reset(connection)
    settled(swr)
    answer = send(door, next_location(door, location), data, 0)
    assert answer.status == 202, answer.body
    (again,) = [entry for entry in asked(swr, "PATCH") if entry["status"] == 202]
    assert not again["headers"]["content-range"].startswith("0-")
    assert door.put(answer.header("Location"), digest_of(data), b"").status == 201
    assert swr.store.read_blob(repository, digest_of(data)) == data


def test_through_another_replica(door: Door, swr: RunningSandbox, repository: str, second: str, start: Start) -> None:
    """The other replica never saw the first attempt: the location has the doubt."""
    swr.faults(RESPONSE_LOST)
    refused(send(door, second, SECOND, len(FIRST)), {502, 503})
    other = Door(start().contract)
    answer = send(other, location_of_status(other, second), SECOND, len(FIRST))
    assert answer.status == 202, answer.body
    assert finish(other, answer.header("Location")).status == 201
    assert swr.store.read_blob(repository, DIGEST) == DATA


def test_response_to_a_gap_has_the_next_location(door: Door, swr: RunningSandbox, repository: str, second: str) -> None:
    with silent(swr):
        answer = refused(send(door, second, SECOND, 300_001), 416, "is at byte 300000", code="RANGE_INVALID")
        assert answer.header("Range") == "0-299999"
    answer = send(door, answer.header("Location"), SECOND, len(FIRST))
    assert answer.status == 202, answer.body


def test_repeated_chunk_is_counted_once_for_the_size_limit(start: Start, swr: RunningSandbox, repository: str) -> None:
    put_back(swr)
    door = Door(start(max_layer_bytes=len(DATA)).contract)
    location = send(door, door.start(repository), FIRST, 0).header("Location")
    swr.faults(RESPONSE_LOST)
    send(door, location, SECOND, len(FIRST))
    location = send(door, location, SECOND, len(FIRST)).header("Location")
    assert finish(door, location).status == 201
