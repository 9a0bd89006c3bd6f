"""Copy by chunk when the connection to SWR breaks in a chunk, as Harbor goes on then (`docs/facts/harbor.md D.2`).

Harbor asks where the upload stands. After 204 it goes on at the location and after the byte that it is told, after 404
it starts the blob again; five times.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest

from adapter.contract.uploads import HARBOR
from tests.contract.http import Answer, Door, asked, digest_of, pieces, refused, with_query
from tests.running import RunningSandbox

CHUNK = 300_000
DATA = os.urandom(2 * CHUNK + 100_000)
DIGEST = digest_of(DATA)
ATTEMPTS = 5

BROKEN = {"when": "after", "break_body_after": 100_000, "cut_after_bytes": 0}
"""SWR took a part of the chunk before the connection broke."""
NOTHING_TAKEN = {"when": "before", "read_bytes": 100_000, "cut_after_bytes": 0}


class Harbor:
    """A copy by chunk; `log` is what was answered, in order."""

    def __init__(self, door: Door, repository: str, *, chunked: bool) -> None:
        self._door = door
        self._collection = f"/v2/{repository}/blobs/uploads/"
        self._chunked = chunked
        self.log: list[tuple[str, int]] = []

    def copies(self) -> bool:
        """Whether the blob is said to be there in the end."""
        location, start = "", 0
        for _ in range(ATTEMPTS):
            if not location:
                location, start = self._ask("POST", self._collection, b"").header("Location"), 0
            while True:
                end = min(start + CHUNK, len(DATA))
                last = end == len(DATA)
                target = with_query(location, digest=DIGEST) if last else location
                answer = self._ask("PUT" if last else "PATCH", target, DATA[start:end], start)
                if answer.status == 201:
                    return True
                if answer.status != 202:
                    break
                location, start = answer.header("Location"), end
            answer = self._ask("GET", location)
            location = ""
            if answer.status == 204:
                location, start = answer.header("Location"), int(answer.header("Range").partition("-")[2]) + 1
        return False

    def _ask(self, method: str, target: str, data: bytes | None = None, start: int | None = None) -> Answer:
        headers = {"User-Agent": HARBOR}
        if start is not None and data:
            headers["Content-Range"] = f"{start}-{start + len(data) - 1}"
        body = pieces(data, 32768) if self._chunked and data else data
        answer = self._door.ask(method, target, body, headers)
        self.log.append((method, answer.status))
        return answer


@pytest.mark.parametrize("chunked", [True, False], ids=["Harbor up to 2.15", "Harbor from 2.16"])
@pytest.mark.parametrize("broken", [0, 1, 2], ids=["first", "second", "last"])
@pytest.mark.parametrize(
    ("fault", "knobs"),
    [
        (BROKEN, {"discard_cut_uploads": True}),
        (BROKEN, {"discard_cut_uploads": False}),
        (BROKEN, {"discard_cut_uploads": False, "upload_status": False}),
        (NOTHING_TAKEN, {}),
        (NOTHING_TAKEN, {"upload_status": False}),
    ],
    ids=["killed", "kept", "kept, not told", "nothing taken", "nothing taken, not told"],
)
def test_the_copy_succeeds(
    door: Door,
    swr: RunningSandbox,
    repository: str,
    fault: Mapping[str, Any],
    knobs: Mapping[str, Any],
    broken: int,
    chunked: bool,
) -> None:
    swr.set_knobs(**knobs)
    method, passes = ("PUT", 0) if broken == 2 else ("PATCH", broken)
    path = f"/{repository}/blobs/uploads/"
    harmless = [{"method": method, "path": path, "delay": 0}] * passes
    swr.faults(*harmless, {"method": method, "path": path, **fault})
    harbor = Harbor(door, repository, chunked=chunked)
    assert harbor.copies(), harbor.log
    assert swr.store.read_blob(repository, DIGEST) == DATA
    # One broken chunk costs one answer that is not good, and at most one more start.
    assert [status for _, status in harbor.log if status >= 500] == [502], harbor.log
    assert [method for method, _ in harbor.log].count("POST") <= 2


def test_an_upload_that_swr_lost_is_unknown(door: Door, swr: RunningSandbox, repository: str) -> None:
    """Whoever asks, and however often: also at the location that an earlier answer gave."""
    first = door.ask("PATCH", door.start(repository), DATA[:CHUNK], {"Content-Range": f"0-{CHUNK - 1}"})
    location = first.header("Location")
    told = door.ask("GET", location)
    assert told.status == 204
    for upload in swr.store.uploads():
        swr.store.upload_files.discard(upload.id)
    refused(door.ask("GET", told.header("Location")), 404, "start a new upload", code="BLOB_UPLOAD_UNKNOWN")


def test_nothing_is_asked_of_swr_while_all_is_well(door: Door, swr: RunningSandbox, repository: str) -> None:
    first = door.ask("PATCH", door.start(repository), DATA[:CHUNK], {"Content-Range": f"0-{CHUNK - 1}"})
    assert door.ask("GET", first.header("Location")).header("Range") == f"0-{CHUNK - 1}"
    assert asked(swr, "GET", "/blobs/uploads/") == []
