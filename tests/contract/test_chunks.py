"""Uploads in chunks, as Harbor and skopeo send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapter.contract.uploads import HARBOR_USER_AGENT
from tests.contract.conftest import Start, put_back
from tests.contract.http import LARGE, SMALL, Answer, Door, asked, digest_of, pieces, refused, silent, with_query
from tests.running import RunningSandbox


def send(door: Door, location: str, data: bytes, start: int, *, chunked: bool = True) -> Answer:
    body = pieces(data, 4000) if chunked else data
    return door.ask("PATCH", location, body, {"Content-Range": f"{start}-{start + len(data) - 1}"})


@pytest.fixture
def started(door: Door, repository: str) -> str:
    """The location of an upload that has its first chunk, `SMALL`."""
    return send(door, door.start(repository), SMALL, 0).header("Location")


@pytest.mark.parametrize("chunked", [True, False], ids=["Harbor up to 2.15", "Harbor from 2.16"])
@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"location": "relative"},
        {"upload_range": "0-0"},
        {"upload_range": "bytes"},
        {"upload_range": "absent", "upload_uuid": False},
        {"stale_state": False},
    ],
    ids=str,
)
def test_chunks_of_harbor(
    door: Door, swr: RunningSandbox, repository: str, knobs: Mapping[str, Any], chunked: bool
) -> None:
    put_back(swr, **knobs)
    data = LARGE[:25_000]
    location = door.start(repository)
    for start in (0, 10_000):
        answer = send(door, location, data[start : start + 10_000], start, chunked=chunked)
        assert (answer.status, answer.header("Range")) == (202, f"0-{start + 9_999}")
        assert answer.header("Docker-Upload-UUID")
        location = answer.header("Location")
    last = pieces(data[20_000:], 4000) if chunked else data[20_000:]
    answer = door.put(location, digest_of(data), last, {"Content-Range": "20000-24999"})
    assert answer.status == 201, answer.body
    assert swr.store.read_blob(repository, digest_of(data)) == data
    assert [entry["headers"]["content-range"] for entry in asked(swr, "PATCH")] == ["0-9999", "10000-19999"]


@pytest.mark.parametrize("framing", ["chunked", "Content-Length"])
def test_one_chunk_without_a_range_as_skopeo_sends_it(
    door: Door, swr: RunningSandbox, repository: str, framing: str
) -> None:
    body = pieces(LARGE, 60_000) if framing == "chunked" else LARGE
    answer = door.ask("PATCH", door.start(repository), body)
    assert (answer.status, answer.header("Range")) == (202, f"0-{len(LARGE) - 1}")
    assert door.put(answer.header("Location"), digest_of(LARGE), b"").status == 201
    assert swr.store.read_blob(repository, digest_of(LARGE)) == LARGE


class TestRanges:
    @pytest.mark.parametrize("span", ["5-9", "1000-1009", "0-9"])
    def test_gap_or_overlap(self, door: Door, swr: RunningSandbox, started: str, span: str) -> None:
        with silent(swr):
            for method, target in (("PATCH", started), ("PUT", with_query(started, digest=digest_of(SMALL)))):
                answer = door.ask(method, target, iter([b"0123456789"]), {"Content-Range": span})
                refused(answer, 416, f"is at byte {len(SMALL)}", code="RANGE_INVALID")
                assert answer.header("Range") == f"0-{len(SMALL) - 1}"

    def test_swr_that_accepts_one_chunk_only(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, multiple_patches=False)
        location = send(door, door.start(repository), SMALL, 0).header("Location")
        refused(send(door, location, SMALL, len(SMALL)), 416, "SWR", code="RANGE_INVALID")

    @pytest.mark.parametrize("span", ["", "x", "5-", "9-0", "0-9-18", "items 0-9", "0x0-0x9", "٠-٩", "0-" + "9" * 5000])
    def test_malformed_ranges(self, door: Door, swr: RunningSandbox, repository: str, span: str) -> None:
        location = door.start(repository)
        with silent(swr):
            answer = door.ask("PATCH", location, b"0123456789", {"Content-Range": span.encode()})  # type: ignore[dict-item]
        refused(answer, {400, 413, 416})


class TestStatus:
    def test_of_an_empty_upload_and_after_a_chunk(self, door: Door, repository: str) -> None:
        location = door.start(repository)
        refused(door.ask("GET", location), 404, "first byte", code="BLOB_UPLOAD_UNKNOWN")
        location = send(door, location, SMALL, 0).header("Location")
        assert send(door, location, SMALL, 999).status == 416
        answer = door.ask("GET", location)
        assert (answer.status, answer.body, answer.header("Range")) == (204, b"", f"0-{len(SMALL) - 1}")
        again = send(door, answer.header("Location"), SMALL, len(SMALL))
        assert again.header("Range") == f"0-{2 * len(SMALL) - 1}"

    def test_after_a_first_chunk_with_a_gap(self, door: Door, repository: str) -> None:
        """`0-0` as the OCI conformance tests expect; Harbor would read that as one byte."""
        location = door.start(repository)
        assert send(door, location, SMALL, 999).status == 416
        harbor = door.ask("GET", location, headers={"User-Agent": HARBOR_USER_AGENT})
        refused(harbor, 404, code="BLOB_UPLOAD_UNKNOWN")
        answer = door.ask("GET", location)
        assert (answer.status, answer.header("Range")) == (204, "0-0")
        assert send(door, answer.header("Location"), SMALL, 0).header("Range") == f"0-{len(SMALL) - 1}"


def test_upload_that_swr_lost_is_unknown(door: Door, swr: RunningSandbox, started: str) -> None:
    """Harbor then starts the blob again; `tests/faults/test_uploads.py` has how Harbor continues."""
    status = door.ask("GET", started)
    assert status.status == 204
    assert asked(swr, "GET", "/blobs/uploads/") == []
    for upload in swr.store.uploads():
        swr.store.upload_files.discard(upload.id)
    refused(door.ask("GET", status.header("Location")), 404, "start a new upload", code="BLOB_UPLOAD_UNKNOWN")


class TestCancel:
    def test_cancelled_upload_is_unknown(self, door: Door, swr: RunningSandbox, started: str) -> None:
        assert len(swr.store.uploads()) == 1
        assert door.ask("DELETE", started).status == 204
        assert swr.store.uploads() == []
        refused(door.put(started, digest_of(SMALL), b""), 404, "start a new upload", code="BLOB_UPLOAD_UNKNOWN")
        refused(door.ask("DELETE", started), 404, code="BLOB_UPLOAD_UNKNOWN")

    def test_swr_without_cancel(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, upload_delete=False)
        refused(door.ask("DELETE", door.start(repository)), {400, 405}, "SWR")


def test_restart_between_two_chunks(start: Start, swr: RunningSandbox, repository: str) -> None:
    first = start()
    door = Door(first.contract)
    location = send(door, door.start(repository), SMALL, 0).header("Location")
    assert first.service.stop() == 0
    span = f"{len(SMALL)}-{2 * len(SMALL) - 1}"
    answer = Door(start().contract).put(location, digest_of(SMALL * 2), SMALL, {"Content-Range": span})
    assert answer.status == 201, answer.body
    assert swr.store.read_blob(repository, digest_of(SMALL * 2)) == SMALL * 2
