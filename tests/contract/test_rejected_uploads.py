"""Bodies that are truncated, too long, damaged or too large never become a blob in SWR."""

from __future__ import annotations

import pytest

from tests.contract.conftest import MAX_LAYER_BYTES, put_back
from tests.contract.http import (
    LARGE,
    SMALL,
    Door,
    asked,
    digest_of,
    eventually,
    holds_nothing,
    pieces,
    refused,
    reset,
    silent,
    with_query,
)
from tests.running import RunningSandbox


def with_flipped_bit(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


class TestDamage:
    """SWR does not check digests here: the adapter must."""

    @pytest.fixture(autouse=True)
    def _no_checks_by_swr(self, swr: RunningSandbox) -> None:
        put_back(swr, check_digest=False, discard_cut_uploads=False)

    @pytest.mark.parametrize("framing", ["Content-Length", "chunked", "one POST"])
    @pytest.mark.parametrize(("data", "at"), [(SMALL, 0), (LARGE, 0), (LARGE, -1)], ids=["small", "first", "last"])
    def test_flipped_bit(
        self, door: Door, swr: RunningSandbox, repository: str, data: bytes, at: int, framing: str
    ) -> None:
        digest, sent = digest_of(data), with_flipped_bit(data, at)
        if framing == "one POST":
            answer = door.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", sent)
        else:
            answer = door.put(door.start(repository), digest, pieces(sent, 60_000) if framing == "chunked" else sent)
        refused(answer, 400, digest, digest_of(sent), "damaged", code="DIGEST_INVALID")
        holds_nothing(swr, repository, digest, digest_of(sent))

    @pytest.mark.parametrize(("announced", "sent"), [(1000, 0), (1000, 999), (700_001, 500_000)])
    def test_truncated_body(self, door: Door, swr: RunningSandbox, repository: str, announced: int, sent: int) -> None:
        data = LARGE[:announced]
        target = with_query(door.start(repository), digest=digest_of(data))
        answer = door.raw(door.head("PUT", target, f"Content-Length: {announced}") + data[:sent], half_close=True)
        refused(answer, 400, f"{sent} of {announced}", code="SIZE_INVALID")
        holds_nothing(swr, repository, digest_of(data), digest_of(data[:sent]))

    @pytest.mark.parametrize("head", ["Content-Length: 700001", "Transfer-Encoding: chunked"])
    def test_connection_reset(self, door: Door, swr: RunningSandbox, repository: str, head: str) -> None:
        data = LARGE[:600_000]
        target = with_query(door.start(repository), digest=digest_of(data))
        connection = door.open()
        body = data if "Length" in head else b"%x\r\n%s\r\n" % (len(data), data)
        connection.sendall(door.head("PUT", target, head) + body)
        eventually(lambda: bool(asked(swr, "PUT")))
        reset(connection)
        holds_nothing(swr, repository, digest_of(data), digest_of(LARGE))
        assert door.push(repository, SMALL)


class TestLimits:
    def test_too_large_layer_is_rejected_before_swr_is_reached(
        self, strict_door: Door, swr: RunningSandbox, repository: str
    ) -> None:
        assert swr.store.has_blob(repository, strict_door.push(repository, LARGE[:MAX_LAYER_BYTES]))
        location, data = strict_door.start(repository), LARGE[: MAX_LAYER_BYTES + 1]
        with silent(swr):
            for answer in (
                strict_door.put(location, digest_of(data), data),
                strict_door.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}", data),
            ):
                refused(answer, 413, str(len(data)), str(MAX_LAYER_BYTES), "split", code="SIZE_INVALID")

    @pytest.mark.parametrize("length", ["99999999999999999999", "9" * 300])
    def test_impossible_lengths(self, strict_door: Door, swr: RunningSandbox, repository: str, length: str) -> None:
        target = with_query(strict_door.start(repository), digest=digest_of(SMALL))
        head = strict_door.head("PUT", target, f"Content-Length: {length}")
        with silent(swr):
            refused(strict_door.raw(head + SMALL, half_close=True), 413)

    def test_limit_of_swr(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, max_layer_bytes=1000)
        refused(door.put(door.start(repository), digest_of(LARGE), LARGE), 413, "exceeds SWR's size limit")
