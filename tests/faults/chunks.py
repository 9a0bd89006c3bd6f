"""Harbor's copy by chunk (`docs/facts/harbor.md D.2`): POST, PATCH, PATCH, and the last chunk in the PUT."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

from tests.contract.http import Answer, Door, digest_of, pieces, with_query
from tests.faults.harness import TIMEOUT
from tests.faults.verbs import PIECE

ATTEMPTS = 5
"""COPY_CHUNK_RETRY_COUNT."""


def parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Three parts of one size, but for the last; each with its first byte."""
    size = -(-len(data) // 3)
    for start in range(0, len(data), size):
        yield start, data[start : start + size]


def _send(door: Door, location: str, data: bytes, start: int, part: bytes) -> Answer:
    """One chunk, in chunked coding."""
    last = start + len(part) == len(data)
    span = {"Content-Range": f"{start}-{start + len(part) - 1}"}
    target = with_query(location, digest=digest_of(data)) if last else location
    return door.ask("PUT" if last else "PATCH", target, pieces(part, PIECE), span, timeout=TIMEOUT)


def by_chunk(door: Door, repository: str, data: bytes) -> Answer:
    """Without repeating anything: ends with the first answer that is no success."""
    answer = door.ask("POST", f"/v2/{repository}/blobs/uploads/", b"", timeout=TIMEOUT)
    for start, part in parts(data):
        if answer.status != 202:
            break
        answer = _send(door, answer.header("Location"), data, start, part)
    return answer


def by_chunk_again(door: Door, repository: str, data: bytes) -> Answer:
    """After an error Harbor asks where the upload stands, and sends the chunk once more where it is told."""
    answer = door.ask("POST", f"/v2/{repository}/blobs/uploads/", b"", timeout=TIMEOUT)
    for start, part in parts(data):
        if answer.status != 202:
            break
        answer = _insist(door, answer.header("Location"), data, start, part)
    return answer


def _insist(door: Door, location: str, data: bytes, start: int, part: bytes) -> Answer:
    for _ in range(ATTEMPTS - 1):
        try:
            answer = _send(door, location, data, start, part)
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException):
            pass
        else:
            if answer.status < 300:
                return answer
        stands = door.ask("GET", location, timeout=TIMEOUT)
        if stands.status == 204:
            location = stands.header("Location")
        elif stands.status != 404:
            return stands
    return _send(door, location, data, start, part)
