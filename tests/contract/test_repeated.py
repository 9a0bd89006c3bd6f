"""Chunks that come again after an error, as Harbor repeats them (`docs/facts/harbor.md D.2`)."""

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

AnswerLost = {"method": "PATCH", "when": "after", "cut_after_bytes": 0}
"""SWR takes the chunk, and nobody hears of it."""


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


def same(door: Door, location: str) -> str:
    return location


def asked_for(door: Door, location: str) -> str:
    """Harbor asks where the upload stands, and goes on at the location that it is told, if any."""
    answer = door.ask("GET", location)
    assert answer.status in (204, 404)
    return answer.header("Location") if answer.status == 204 else location


Where = Callable[[Door, str], str]
wheres = pytest.mark.parametrize("where", [same, asked_for])


@wheres
@pytest.mark.parametrize("at", [0, 1], ids=["first", "second"])
def test_swr_has_taken_it_all(door: Door, swr: RunningSandbox, repository: str, where: Where, at: int) -> None:
    location = door.start(repository)
    if at:
        location = send(door, location, FIRST, 0).header("Location")
    swr.faults(AnswerLost)
    chunk, start = (SECOND, len(FIRST)) if at else (FIRST, 0)
    refused(send(door, location, chunk, start), {502, 503})
    before = len(asked(swr, "PATCH"))
    answer = send(door, where(door, location), chunk, start)
    assert (answer.status, answer.header("Range")) == (202, f"0-{start + len(chunk) - 1}")
    assert len(asked(swr, "PATCH")) == before, "what SWR has was sent again"
    location = answer.header("Location")
    if not at:
        location = send(door, location, SECOND, len(FIRST)).header("Location")
    assert finish(door, location).status == 201
    assert swr.store.read_blob(repository, DIGEST) == DATA


@wheres
def test_swr_has_taken_a_part(door: Door, swr: RunningSandbox, repository: str, where: Where) -> None:
    """The client left in the middle of a chunk of several blocks."""
    swr.set_knobs(discard_cut_uploads=False)
    data = os.urandom(5 << 20)
    location = door.start(repository)
    with door.open() as connection:
        head = door.head("PATCH", location, f"Content-Range: 0-{len(data) - 1}", f"Content-Length: {len(data)}")
        connection.sendall(head + data[: 4 << 20])
        eventually(lambda: any(upload.size for upload in swr.store.uploads()))
        reset(connection)
    settled(swr)
    answer = send(door, where(door, location), data, 0)
    assert answer.status == 202, answer.body
    (again,) = [entry for entry in asked(swr, "PATCH") if entry["status"] == 202]
    assert not again["headers"]["content-range"].startswith("0-")
    assert door.put(answer.header("Location"), digest_of(data), b"").status == 201
    assert swr.store.read_blob(repository, digest_of(data)) == data


def test_through_another_replica(door: Door, swr: RunningSandbox, repository: str, second: str, start: Start) -> None:
    """It never saw the first attempt: the doubt comes with the location."""
    swr.faults(AnswerLost)
    refused(send(door, second, SECOND, len(FIRST)), {502, 503})
    other = Door(start().contract)
    answer = send(other, asked_for(other, second), SECOND, len(FIRST))
    assert answer.status == 202, answer.body
    assert finish(other, answer.header("Location")).status == 201
    assert swr.store.read_blob(repository, DIGEST) == DATA


@wheres
def test_swr_does_not_tell_and_checks_ranges(
    door: Door, swr: RunningSandbox, repository: str, second: str, where: Where
) -> None:
    swr.set_knobs(upload_status=False)
    swr.faults(AnswerLost)
    refused(send(door, second, SECOND, len(FIRST)), {502, 503})
    answer = refused(send(door, where(door, second), SECOND, len(FIRST)), 416, code="RANGE_INVALID")
    assert answer.header("Range") == f"0-{len(FIRST) - 1}"
    assert not swr.store.has_blob(repository, DIGEST)


def test_swr_does_not_tell_and_does_not_check(door: Door, swr: RunningSandbox, repository: str, second: str) -> None:
    """The chunk is in there twice: only the digest can tell, and it does."""
    swr.set_knobs(upload_status=False, chunk_order=False)
    swr.faults(AnswerLost)
    refused(send(door, second, SECOND, len(FIRST)), {502, 503})
    answer = send(door, second, SECOND, len(FIRST))
    assert answer.status == 202
    refused(finish(door, answer.header("Location")), 400, code="DIGEST_INVALID")
    assert not swr.store.has_blob(repository, DIGEST)


def test_swr_has_dropped_the_upload(door: Door, swr: RunningSandbox, repository: str, second: str) -> None:
    swr.set_knobs(stale_state=False)
    swr.faults(AnswerLost)
    refused(send(door, second, SECOND, len(FIRST)), {502, 503})
    refused(send(door, second, SECOND, len(FIRST)), 404, "start it again", code="BLOB_UPLOAD_UNKNOWN")


def test_the_last_chunk(door: Door, swr: RunningSandbox, repository: str, second: str) -> None:
    """A finish that broke before SWR took it."""
    location = send(door, second, SECOND, len(FIRST)).header("Location")
    swr.faults({"method": "PUT", "status": 503})
    refused(finish(door, location), 503)
    assert finish(door, asked_for(door, location)).status == 201
    assert swr.store.read_blob(repository, DIGEST) == DATA


def test_an_upload_that_is_complete(door: Door, swr: RunningSandbox, repository: str, second: str) -> None:
    location = send(door, second, SECOND, len(FIRST)).header("Location")
    assert finish(door, location).status == 201
    for again in (finish(door, location), send(door, location, DATA[600_000:], 600_000)):
        refused(again, 404, "start a new upload", code="BLOB_UPLOAD_UNKNOWN")
    assert swr.store.read_blob(repository, DIGEST) == DATA


def test_a_gap_says_where_to_go_on(door: Door, swr: RunningSandbox, repository: str, second: str) -> None:
    with silent(swr):
        answer = refused(send(door, second, SECOND, 300_001), 416, "is at byte 300000", code="RANGE_INVALID")
        assert answer.header("Range") == "0-299999"
    answer = send(door, answer.header("Location"), SECOND, len(FIRST))
    assert answer.status == 202, answer.body


def test_in_the_normal_course_nothing_is_asked(door: Door, swr: RunningSandbox, second: str) -> None:
    send(door, second, SECOND, len(FIRST))
    assert [entry["method"] for entry in asked(swr, path="/blobs/uploads/")] == ["POST", "PATCH", "PATCH"]


def test_a_layer_that_fits_is_not_counted_twice(start: Start, swr: RunningSandbox, repository: str) -> None:
    """The limit on a layer counts its bytes, not those of the attempts."""
    put_back(swr)
    door = Door(start(max_layer_bytes=len(DATA)).contract)
    location = send(door, door.start(repository), FIRST, 0).header("Location")
    swr.faults(AnswerLost)
    send(door, location, SECOND, len(FIRST))
    location = send(door, location, SECOND, len(FIRST)).header("Location")
    assert finish(door, location).status == 201
