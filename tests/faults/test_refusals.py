"""Requests that are no good: a clear refusal or the end of the connection in bounded time, and SWR hears nothing."""

from __future__ import annotations

import select
import socket
import string
from collections.abc import Callable, Iterator
from itertools import repeat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.http import SMALL, Answer, Door, alive, digest_of, eventually, read_answer, refused, with_query
from tests.faults.harness import TIMEOUT, Harness
from tests.faults.verbs import blob

DIGEST = digest_of(SMALL)
GIB = f"Content-Length: {1 << 30}"
ENOUGH = 64 << 20
"""Bytes after which a sender without an end must have got its answer."""


@pytest.fixture(autouse=True)
def _usual(harness: Harness) -> None:
    harness.begin()


@pytest.fixture
def repository(harness: Harness) -> str:
    return harness.repository()


@pytest.fixture
def location(harness: Harness, repository: str) -> str:
    """Of an upload that was begun; what goes to SWR from here on is counted."""
    begun = harness.direct.start(repository)
    harness.settled(repository, 1)
    assert any(heard.startswith("POST") for heard in swr_heard(harness))
    harness.calm()
    return begun


def swr_heard(harness: Harness) -> list[str]:
    """The requests that went to SWR since the last calm."""
    return [f"{asked.method} {asked.target}" for link in list(harness.back.links) for asked in link.asked]


class TestBeforeTheFirstByte:
    """A body of 1 GiB is announced and does not come: the refusal does not wait for it, and SWR is not asked."""

    def refuse(
        self,
        harness: Harness,
        method: str,
        target: str,
        *headers: str,
        authorization: str | None = None,
        asked: str | None = None,
    ) -> Answer:
        """`asked`: a part of what SWR may be asked all the same."""
        door = harness.direct if authorization is None else Door(harness.direct.url, authorization)
        framing = [] if any("Encoding" in header for header in headers) else [GIB]
        with door.open(TIMEOUT) as connection:
            connection.sendall(door.head(method, target, *framing, *headers))
            answer = read_answer(connection)
            assert answer is not None
            assert 400 <= answer.status < 500, (answer.status, answer.body)
            assert answer.header("Connection") == "close", "a body that nobody read would be taken for a request"
        assert [each for each in swr_heard(harness) if asked is None or asked not in each] == []
        alive(harness.direct)
        return answer

    @pytest.mark.parametrize(
        "query",
        ["", "?digest=", "?digest=sha256:abc", "?digest=md5:" + "a" * 32, "?digest=%00", "?digest=" + "a" * 5000],
    )
    def test_a_digest_that_is_none(self, harness: Harness, location: str, query: str) -> None:
        refused(self.refuse(harness, "PUT", location + query), 400, code="DIGEST_INVALID")

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    @pytest.mark.parametrize("span", ["1-1073741824", "0-9", "9-0", "x"])
    def test_a_range_that_does_not_fit(self, harness: Harness, location: str, method: str, span: str) -> None:
        target = with_query(location, digest=DIGEST)
        refused(self.refuse(harness, method, target, f"Content-Range: {span}"), {400, 416})

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_a_location_of_another_repository(
        self, harness: Harness, repository: str, location: str, method: str
    ) -> None:
        """SWR is asked only whether the credentials are good: they sign the location."""
        target = with_query(location.replace(repository, harness.repository()), digest=DIGEST)
        refused(self.refuse(harness, method, target, asked="/swr/auth/"), 404, code="BLOB_UPLOAD_UNKNOWN")

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_a_location_that_was_tampered_with(self, harness: Harness, location: str, method: str) -> None:
        for at in (-3, -20, -60):
            changed = location[:at] + ("A" if location[at] != "A" else "B") + location[at + 1 :]
            answer = self.refuse(harness, method, with_query(changed, digest=DIGEST))
            refused(answer, 404, code="BLOB_UPLOAD_UNKNOWN")

    @pytest.mark.parametrize("authorization", ["", "Basic", "Basic !", "Bearer x", "Basic " + "QQ" * 3000])
    def test_credentials_that_are_none(self, harness: Harness, location: str, authorization: str) -> None:
        target = with_query(location, digest=DIGEST)
        refused(self.refuse(harness, "PUT", target, authorization=authorization), 401, code="UNAUTHORIZED")

    def test_a_length_beside_a_coding(self, harness: Harness, location: str) -> None:
        target = with_query(location, digest=DIGEST)
        self.refuse(harness, "PUT", target, "Transfer-Encoding: chunked", "Content-Length: 5")

    @pytest.mark.parametrize("name", ["App", "app//x", "app/../x", "a" * 7000])
    def test_a_name_that_is_none(self, harness: Harness, name: str) -> None:
        harness.calm()
        self.refuse(harness, "POST", f"/v2/team/{name}/blobs/uploads/?digest={DIGEST}")
        self.refuse(harness, "PUT", f"/v2/team/{name}/manifests/v1", "Content-Type: a/b")

    def test_a_manifest_that_is_too_large(self, harness: Harness, repository: str) -> None:
        harness.calm()
        refused(self.refuse(harness, "PUT", f"/v2/{repository}/manifests/v1", "Content-Type: a/b"), 413)


class TestCompleteUploads:
    @pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
    @pytest.mark.parametrize("chunks", [0, 1])
    def test_nothing_more_goes_there(
        self, harness: Harness, repository: str, location: str, method: str, chunks: int
    ) -> None:
        if chunks:
            location = harness.direct.ask("PATCH", location, SMALL).header("Location")
        assert harness.direct.put(location, DIGEST, b"" if chunks else SMALL).status == 201
        body = None if method == "DELETE" else b"more"
        answer = harness.direct.ask(method, with_query(location, digest=digest_of(b"more")), body)
        refused(answer, 404, code="BLOB_UPLOAD_UNKNOWN")
        assert harness.blobs(repository) == [DIGEST]
        assert blob(harness, repository, SMALL) == SMALL


Blocks = Callable[[Door, str], Iterator[bytes]]


def _head_line(door: Door, _: str) -> Iterator[bytes]:
    yield b"GET /v2/ HTTP/1.1\r\nX: "
    yield from repeat(b"x" * 65536)


def _request_line(door: Door, _: str) -> Iterator[bytes]:
    yield b"GET /"
    yield from repeat(b"x" * 65536)


def _head_lines(door: Door, _: str) -> Iterator[bytes]:
    yield b"GET /v2/ HTTP/1.1\r\n"
    yield from repeat(b"X: y\r\n" * 10_000)


def _chunk_size(door: Door, target: str) -> Iterator[bytes]:
    yield door.head("PUT", target, "Transfer-Encoding: chunked")
    yield from repeat(b"0" * 65536)


def _chunk_extension(door: Door, target: str) -> Iterator[bytes]:
    yield door.head("PUT", target, "Transfer-Encoding: chunked") + b"5;x="
    yield from repeat(b"y" * 65536)


def _trailer_line(door: Door, target: str) -> Iterator[bytes]:
    yield door.head("PUT", target, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\nX: "
    yield from repeat(b"y" * 65536)


def _trailer_lines(door: Door, target: str) -> Iterator[bytes]:
    yield door.head("PUT", target, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n"
    yield from repeat(b"X: y\r\n" * 10_000)


class TestWithoutAnEnd:
    @pytest.mark.parametrize(
        "blocks",
        [_request_line, _head_line, _head_lines, _chunk_size, _chunk_extension, _trailer_line, _trailer_lines],
        ids=lambda blocks: blocks.__name__.strip("_"),
    )
    def test_something_that_goes_on_for_ever(
        self, harness: Harness, repository: str, location: str, blocks: Blocks
    ) -> None:
        target = with_query(location, digest=digest_of(b"hello"))
        with harness.direct.open(TIMEOUT) as connection:
            sent = self._send(connection, blocks(harness.direct, target))
            assert sent < ENOUGH
            answer = self._answer(connection)
        assert answer is None or 400 <= answer.status < 500, answer
        eventually(lambda: all(entry["status"] is not None for entry in harness.swr.journal()))
        assert harness.blobs(repository) == []
        alive(harness.direct)

    @staticmethod
    def _send(connection: socket.socket, blocks: Iterator[bytes]) -> int:
        """Until something comes; how much went."""
        sent, left = 0, b""
        while sent < ENOUGH:
            left = left or next(blocks)
            heard, _, _ = select.select([connection], [connection], [])
            if heard:
                break
            count = connection.send(left)
            sent, left = sent + count, left[count:]
        return sent

    @staticmethod
    def _answer(connection: socket.socket) -> Answer | None:
        try:
            return read_answer(connection)
        except ConnectionResetError:
            return None


PARTS = ["", "v2", "api", "v2.0", "team", "app", "blobs", "uploads", "manifests", "tags", "list", "projects", "ping"]
PARTS += ["health", "_catalog", "..", "%2e", "%00", "%ff", "ü", DIGEST, "a" * 300]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "BREW"]


@given(
    method=st.sampled_from(METHODS) | st.text(string.ascii_uppercase, min_size=3, max_size=12),
    parts=st.lists(st.sampled_from(PARTS) | st.text(max_size=8), max_size=8),
    query=st.text(max_size=20),
    body=st.none() | st.binary(max_size=50),
    known=st.booleans(),
)
@settings(
    derandomize=True,
    database=None,
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_route_becomes_a_server_error(
    harness: Harness, method: str, parts: list[str], query: str, body: bytes | None, known: bool
) -> None:
    """Whatever the path, the method and the body: SWR is well, so nothing is anybody's fault but the caller's."""
    path = "/" + "/".join(parts) + (f"?{query}" if query else "")
    line = f"{method} {path} HTTP/1.1".encode().replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"%00")
    credentials = f"\r\nAuthorization: {harness.direct.authorization}".encode() if known else b""
    framing = b"" if body is None else b"\r\nContent-Length: %d" % len(body)
    head = line + b"\r\nHost: door\r\nConnection: close" + credentials + framing + b"\r\n\r\n"
    with harness.direct.open(TIMEOUT) as connection:
        connection.sendall(head + (body or b""))
        status = connection.recv(65536)[:13]
    assert status.startswith(b"HTTP/1.1 ")
    assert status[9:10] in b"234", (line, status)
