"""Uploads in chunks, as Harbor and skopeo send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapter.contract.uploads import HARBOR
from tests.contract.conftest import Start, put_back
from tests.contract.http import (
    LARGE,
    SMALL,
    Answer,
    Door,
    asked,
    digest_of,
    pieces,
    refused,
    silent,
    with_query,
)
from tests.running import RunningSandbox


class TestChunks:
    def chunk(self, door: Door, location: str, data: bytes, start: int, *, chunked: bool = True) -> Answer:
        body = pieces(data, 4000) if chunked else data
        return door.ask("PATCH", location, body, {"Content-Range": f"{start}-{start + len(data) - 1}"})

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
        ids=lambda knobs: ",".join(f"{name}={value}" for name, value in knobs.items()) or "usual",
    )
    def test_as_harbor_sends_them(
        self, door: Door, swr: RunningSandbox, repository: str, knobs: Mapping[str, Any], chunked: bool
    ) -> None:
        put_back(swr, **knobs)
        data = LARGE[:25_000]
        location = door.start(repository)
        for start in (0, 10_000):
            answer = self.chunk(door, location, data[start : start + 10_000], start, chunked=chunked)
            assert answer.status == 202, answer.body
            assert answer.header("Range") == f"0-{start + 9_999}"
            assert answer.header("Docker-Upload-UUID")
            location = answer.header("Location")
        last = pieces(data[20_000:], 4000) if chunked else data[20_000:]
        answer = door.put(location, digest_of(data), last, {"Content-Range": "20000-24999"})
        assert answer.status == 201, answer.body
        assert swr.store.read_blob(repository, digest_of(data)) == data
        assert [entry["headers"]["content-range"] for entry in asked(swr, "PATCH")] == ["0-9999", "10000-19999"]

    @pytest.mark.parametrize("framing", ["chunked", "Content-Length"])
    def test_as_skopeo_sends_them(self, door: Door, swr: RunningSandbox, repository: str, framing: str) -> None:
        body = pieces(LARGE, 60_000) if framing == "chunked" else LARGE
        answer = door.ask("PATCH", door.start(repository), body)
        assert (answer.status, answer.header("Range")) == (202, f"0-{len(LARGE) - 1}")
        assert door.put(answer.header("Location"), digest_of(LARGE), b"").status == 201
        assert swr.store.read_blob(repository, digest_of(LARGE)) == LARGE

    def test_an_empty_chunk(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        answer = door.ask("PATCH", door.start(repository), iter(()))
        assert answer.status == 202
        assert door.put(answer.header("Location"), digest_of(SMALL), SMALL).status == 201
        assert swr.store.has_blob(repository, digest_of(SMALL))

    @pytest.mark.parametrize("span", ["5-9", "1000-1009", "0-9"])
    def test_out_of_order(self, door: Door, swr: RunningSandbox, repository: str, span: str) -> None:
        location = self.chunk(door, door.start(repository), SMALL, 0).header("Location")
        with silent(swr):
            for method, target in (("PATCH", location), ("PUT", with_query(location, digest=digest_of(SMALL)))):
                answer = door.ask(method, target, iter([b"0123456789"]), {"Content-Range": span})
                refused(answer, 416, f"is at byte {len(SMALL)}", code="RANGE_INVALID")
                assert answer.header("Range") == f"0-{len(SMALL) - 1}"

    def test_swr_takes_one_chunk_only(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, multiple_patches=False)
        location = self.chunk(door, door.start(repository), SMALL, 0).header("Location")
        refused(self.chunk(door, location, SMALL, len(SMALL)), 416, "SWR", code="RANGE_INVALID")

    @pytest.mark.parametrize(
        "span",
        ["", "x", "0", "-", "5-", "-5", "9-0", "0-9-18", "bytes", "items 0-9", "0x0-0x9", "٠-٩", "0-" + "9" * 5000],
    )
    def test_ranges_that_cannot_be_read(self, door: Door, swr: RunningSandbox, repository: str, span: str) -> None:
        location = door.start(repository)
        with silent(swr):
            answer = door.ask("PATCH", location, b"0123456789", {"Content-Range": span.encode()})  # type: ignore[dict-item]
        refused(answer, {400, 413, 416})

    @pytest.mark.parametrize("span", ["0-9", "bytes 0-9/10", "bytes=0-9", "bytes 0-9/*"])
    def test_ranges_that_can_be_read(self, door: Door, repository: str, span: str) -> None:
        answer = door.ask("PATCH", door.start(repository), b"0123456789", {"Content-Range": span})
        assert answer.status == 202

    def test_length_and_range_contradict(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        location = door.start(repository)
        with silent(swr):
            answer = door.ask("PATCH", location, b"0123456789", {"Content-Range": "0-19"})
        refused(answer, 400, "10 bytes", "20", code="SIZE_INVALID")

    def test_status(self, door: Door, repository: str) -> None:
        location = door.start(repository)
        refused(door.ask("GET", location), 404, "first byte", code="BLOB_UPLOAD_UNKNOWN")
        location = self.chunk(door, location, SMALL, 0).header("Location")
        answer = door.ask("GET", location)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.header("Range") == f"0-{len(SMALL) - 1}"
        again = self.chunk(door, answer.header("Location"), SMALL, len(SMALL))
        assert again.header("Range") == f"0-{2 * len(SMALL) - 1}"

    def test_status_after_a_first_chunk_out_of_order(self, door: Door, repository: str) -> None:
        location = door.start(repository)
        assert self.chunk(door, location, SMALL, 999).status == 416
        answer = door.ask("GET", location)
        assert (answer.status, answer.header("Range")) == (204, "0-0")
        again = self.chunk(door, answer.header("Location"), SMALL, 0)
        assert again.header("Range") == f"0-{len(SMALL) - 1}"

    def test_harbor_never_takes_no_byte_for_one(self, door: Door, repository: str) -> None:
        location = door.start(repository)
        assert self.chunk(door, location, SMALL, 999).status == 416
        refused(door.ask("GET", location, headers={"User-Agent": HARBOR}), 404, code="BLOB_UPLOAD_UNKNOWN")

    def test_status_after_a_refused_chunk(self, door: Door, repository: str) -> None:
        location = self.chunk(door, door.start(repository), SMALL, 0).header("Location")
        assert self.chunk(door, location, SMALL, 999).status == 416
        assert door.ask("GET", location).header("Range") == f"0-{len(SMALL) - 1}"

    def test_cancelled(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        location = self.chunk(door, door.start(repository), SMALL, 0).header("Location")
        assert len(swr.store.uploads()) == 1
        assert door.ask("DELETE", location).status == 204
        assert swr.store.uploads() == []
        refused(door.put(location, digest_of(SMALL), b""), 404, "start a new upload", code="BLOB_UPLOAD_UNKNOWN")
        refused(door.ask("DELETE", location), 404, code="BLOB_UPLOAD_UNKNOWN")

    def test_cancel_where_swr_has_none(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, upload_delete=False)
        refused(door.ask("DELETE", door.start(repository)), {400, 405}, "SWR")

    def test_a_restart_between_two_chunks(self, start: Start, swr: RunningSandbox, repository: str) -> None:
        first = start()
        door = Door(first.contract)
        location = self.chunk(door, door.start(repository), SMALL, 0).header("Location")
        assert first.service.stop() == 0
        span = f"{len(SMALL)}-{2 * len(SMALL) - 1}"
        answer = Door(start().contract).put(location, digest_of(SMALL * 2), SMALL, {"Content-Range": span})
        assert answer.status == 201, answer.body
        assert swr.store.read_blob(repository, digest_of(SMALL * 2)) == SMALL * 2

    def test_start_survives_what_passes(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        swr.faults(
            {"method": "POST", "status": 503}, {"method": "POST", "status": 429}, {"method": "POST", "status": 500}
        )
        assert door.push(repository, SMALL)
