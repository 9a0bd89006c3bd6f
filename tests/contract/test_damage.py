"""What is short, too long or damaged never becomes a blob of SWR's."""

from __future__ import annotations

import pytest

from tests.contract.conftest import put_back
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
    settled,
    with_query,
)
from tests.running import RunningSandbox


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


class TestDamage:
    """The knob `check_digest` is off: it is the adapter that must see it."""

    @pytest.fixture(autouse=True)
    def _credulous(self, swr: RunningSandbox) -> None:
        put_back(swr, check_digest=False, discard_cut_uploads=False)

    @pytest.mark.parametrize("way", ["Content-Length", "chunked", "one POST"])
    @pytest.mark.parametrize(
        ("data", "at"),
        [
            pytest.param(SMALL, 0, id="small"),
            pytest.param(LARGE, 0, id="first byte"),
            pytest.param(LARGE, len(LARGE) // 2, id="middle"),
            pytest.param(LARGE, -1, id="last byte"),
        ],
    )
    def test_a_flipped_bit(
        self, door: Door, swr: RunningSandbox, repository: str, data: bytes, at: int, way: str
    ) -> None:
        digest, sent = digest_of(data), flipped(data, at)
        body = pieces(sent, 60_000) if way == "chunked" else sent
        if way == "one POST":
            answer = door.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", body)
        else:
            answer = door.put(door.start(repository), digest, body)
        refused(answer, 400, digest, digest_of(sent), "damaged", code="DIGEST_INVALID")
        holds_nothing(swr, repository, digest, digest_of(sent))

    @pytest.mark.parametrize(("announced", "sent"), [(1000, 500), (1000, 0), (1000, 999), (700_001, 500_000)])
    def test_a_short_body(self, door: Door, swr: RunningSandbox, repository: str, announced: int, sent: int) -> None:
        data = LARGE[:announced]
        target = with_query(door.start(repository), digest=digest_of(data))
        answer = door.raw(door.head("PUT", target, f"Content-Length: {announced}") + data[:sent], half_close=True)
        refused(answer, 400, f"{sent} of {announced}", code="SIZE_INVALID")
        holds_nothing(swr, repository, digest_of(data), digest_of(data[:sent]))

    @pytest.mark.parametrize("sent", [0, 500, 500_000])
    def test_a_chunked_body_without_its_end(self, door: Door, swr: RunningSandbox, repository: str, sent: int) -> None:
        data = LARGE[:sent]
        target = with_query(door.start(repository), digest=digest_of(data))
        framed = b"%x\r\n%s\r\n" % (sent, data) if sent else b""
        answer = door.raw(door.head("PUT", target, "Transfer-Encoding: chunked") + framed, half_close=True)
        refused(answer, 400, code="SIZE_INVALID")
        holds_nothing(swr, repository, digest_of(data))

    @pytest.mark.parametrize("framing", [b"xyz\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n"])
    def test_broken_chunks(self, door: Door, swr: RunningSandbox, repository: str, framing: bytes) -> None:
        target = with_query(door.start(repository), digest=digest_of(b"hello"))
        answer = door.raw(door.head("PUT", target, "Transfer-Encoding: chunked") + framing, half_close=True)
        assert answer is not None
        assert answer.status == 400
        holds_nothing(swr, repository, digest_of(b"hello"))

    @pytest.mark.parametrize("head", ["Content-Length: 700001", "Transfer-Encoding: chunked"])
    def test_a_body_that_is_reset(self, door: Door, swr: RunningSandbox, repository: str, head: str) -> None:
        data = LARGE[:600_000]
        target = with_query(door.start(repository), digest=digest_of(data))
        framed = data if "Length" in head else b"%x\r\n%s\r\n" % (len(data), data)
        connection = door.open()
        connection.sendall(door.head("PUT", target, head) + framed)
        eventually(lambda: bool(asked(swr, "PUT")))
        reset(connection)
        holds_nothing(swr, repository, digest_of(data), digest_of(LARGE))
        assert door.push(repository, SMALL)

    def test_a_chunk_longer_than_its_range(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        answer = door.ask("PATCH", door.start(repository), pieces(LARGE, 60_000), {"Content-Range": "0-499999"})
        refused(answer, 400, "longer than the 500000 bytes", code="SIZE_INVALID")
        settled(swr)
        assert not [entry for entry in asked(swr, "PATCH") if entry["status"] == 202]

    def test_a_chunk_shorter_than_its_range(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        answer = door.ask("PATCH", door.start(repository), pieces(SMALL, 5), {"Content-Range": "0-499"})
        refused(answer, 400, f"{len(SMALL)} of 500", code="SIZE_INVALID")
        settled(swr)
        assert not [entry for entry in asked(swr, "PATCH") if entry["status"] == 202]

    def test_a_last_chunk_longer_than_its_range(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        first = door.ask("PATCH", door.start(repository), SMALL, {"Content-Range": f"0-{len(SMALL) - 1}"})
        span = f"{len(SMALL)}-{len(SMALL) + 9}"
        digest = digest_of(SMALL + b"0123456789")
        answer = door.put(first.header("Location"), digest, pieces(b"0123456789+", 4), {"Content-Range": span})
        refused(answer, 400, code="SIZE_INVALID")
        holds_nothing(swr, repository, digest)

    def test_a_yes_that_comes_too_early_is_not_believed(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        location = door.start(repository)
        swr.faults({"origin": "registry", "method": "PUT", "status": 201, "read_bytes": 1000})
        data = LARGE * 12
        answer = door.put(location, digest_of(data), data)
        assert answer.status >= 500
        assert not swr.store.has_blob(repository, digest_of(data))

    def test_another_digest_from_swr_is_not_believed(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        location = door.start(repository)
        headers = {"Docker-Content-Digest": digest_of(b"other")}
        swr.faults({"method": "PUT", "status": 201, "headers": headers, "read_bytes": 10_000})
        refused(door.put(location, digest_of(SMALL), SMALL), 502, digest_of(b"other"))
