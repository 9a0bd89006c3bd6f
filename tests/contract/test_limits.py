"""Layers that are too large, and refusals that come while the client still sends."""

from __future__ import annotations

import pytest

from tests.contract.conftest import MAX_LAYER_BYTES, put_back
from tests.contract.http import (
    LARGE,
    SMALL,
    Door,
    digest_of,
    refused,
    silent,
    with_query,
)
from tests.running import RunningSandbox


class TestLimits:
    def test_a_layer_that_is_too_large_is_told_before_swr_is_asked(
        self, strict_door: Door, swr: RunningSandbox, repository: str
    ) -> None:
        location = strict_door.start(repository)
        data = LARGE[: MAX_LAYER_BYTES + 1]
        with silent(swr):
            answer = strict_door.put(location, digest_of(data), data)
        refused(answer, 413, str(len(data)), str(MAX_LAYER_BYTES), "split", code="SIZE_INVALID")

    def test_one_that_just_fits(self, strict_door: Door, swr: RunningSandbox, repository: str) -> None:
        assert swr.store.has_blob(repository, strict_door.push(repository, LARGE[:MAX_LAYER_BYTES]))

    def test_in_one_post(self, strict_door: Door, swr: RunningSandbox, repository: str) -> None:
        data = LARGE[: MAX_LAYER_BYTES + 1]
        with silent(swr):
            answer = strict_door.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}", data)
        refused(answer, 413, str(MAX_LAYER_BYTES))

    def test_the_chunk_that_is_too_much(self, strict_door: Door, swr: RunningSandbox, repository: str) -> None:
        first, second = LARGE[:90_000], LARGE[90_000:110_000]
        location = strict_door.ask("PATCH", strict_door.start(repository), first).header("Location")
        with silent(swr):
            answer = strict_door.ask("PATCH", location, iter([second]), {"Content-Range": "90000-109999"})
        refused(answer, 413, "110000")

    @pytest.mark.parametrize("length", ["99999999999999999999", "9" * 300])
    def test_lengths_that_nobody_has(
        self, strict_door: Door, swr: RunningSandbox, repository: str, length: str
    ) -> None:
        target = with_query(strict_door.start(repository), digest=digest_of(SMALL))
        with silent(swr):
            answer = strict_door.raw(
                strict_door.head("PUT", target, f"Content-Length: {length}") + SMALL, half_close=True
            )
        refused(answer, 413)

    def test_swrs_own_limit(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, max_layer_bytes=1000)
        refused(door.put(door.start(repository), digest_of(LARGE), LARGE), 413, "larger than SWR takes")
