"""Bad requests: a clear error or the end of the connection in bounded time, and no request to SWR."""

from __future__ import annotations

import select
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.http import SMALL, Answer, Door, alive, digest_of, eventually, read_answer, refused, with_query
from tests.faults.harness import TIMEOUT, Harness

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
    assert any(heard.startswith("POST") for heard in requests_to_swr(harness))
    harness.calm()
    return begun


def requests_to_swr(harness: Harness) -> list[str]:
    """The requests that went to SWR since the last calm."""
    return [f"{asked.method} {asked.target}" for link in list(harness.back.links) for asked in link.asked]


class TestBeforeTheFirstByte:
    """A body of 1 GiB is announced and does not come: the rejection does not wait for it, and SWR is not asked."""

    def reject(self, harness: Harness, method: str, target: str, *headers: str, **options: str) -> Answer:
        """`authorization`: other credentials; `asked`: a part of what SWR may be asked."""
        door = Door(harness.direct.url, options.get("authorization"))
        framing = [] if any("Encoding" in header for header in headers) else [GIB]
        with door.open(TIMEOUT) as connection:
            connection.sendall(door.head(method, target, *framing, *headers))
            answer = read_answer(connection)
            assert answer is not None
            assert 400 <= answer.status < 500, (answer.status, answer.body)
            assert answer.header("Connection") == "close", "the body would be taken for a request"
        assert [each for each in requests_to_swr(harness) if options.get("asked", each + " ") not in each] == []
        alive(harness.direct)
        return answer

    @pytest.mark.parametrize(
        ("method", "query", "headers", "options", "status", "code"),
        [
            *(
                ("PUT", query, (), {}, 400, "DIGEST_INVALID")
                for query in ("", "?digest=", "?digest=sha256:abc", "?digest=%00", "?digest=" + "a" * 5000)
            ),
            *(
                (method, f"?digest={DIGEST}", (f"Content-Range: {span}",), {}, {400, 416}, None)
                for method, span in (("PUT", "1-1073741824"), ("PATCH", "0-9"), ("PUT", "9-0"), ("PATCH", "x"))
            ),
            *(
                ("PUT", f"?digest={DIGEST}", (), {"authorization": value}, 401, "UNAUTHORIZED")
                for value in ("Basic", "Basic !", "Bearer x", "Basic " + "QQ" * 3000)
            ),
        ],
    )
    def test_bad_request(
        self,
        harness: Harness,
        location: str,
        method: str,
        query: str,
        headers: tuple[str, ...],
        options: dict[str, str],
        status: int | set[int],
        code: str | None,
    ) -> None:
        refused(self.reject(harness, method, location + query, *headers, **options), status, code=code)

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_location_of_another_upload(self, harness: Harness, repository: str, location: str, method: str) -> None:
        """SWR is asked only whether the credentials are good, because they sign the location."""
        other = with_query(location.replace(repository, harness.repository()), digest=DIGEST)
        refused(self.reject(harness, method, other, asked="/swr/auth/"), 404, code="BLOB_UPLOAD_UNKNOWN")
        changed = with_query(location[:-3] + ("A" if location[-3] != "A" else "B") + location[-2:], digest=DIGEST)
        refused(self.reject(harness, method, changed, asked="/swr/auth/"), 404, code="BLOB_UPLOAD_UNKNOWN")

    def test_length_together_with_a_coding(self, harness: Harness, location: str) -> None:
        target = with_query(location, digest=DIGEST)
        self.reject(harness, "PUT", target, "Transfer-Encoding: chunked", "Content-Length: 5")

    @pytest.mark.parametrize("name", ["App", "app//x", "app/../x", "a" * 7000])
    def test_invalid_name(self, harness: Harness, name: str) -> None:
        harness.calm()
        self.reject(harness, "POST", f"/v2/team/{name}/blobs/uploads/?digest={DIGEST}")
        self.reject(harness, "PUT", f"/v2/team/{name}/manifests/v1", "Content-Type: a/b")

    def test_manifest_that_is_too_large(self, harness: Harness, repository: str) -> None:
        harness.calm()
        refused(self.reject(harness, "PUT", f"/v2/{repository}/manifests/v1", "Content-Type: a/b"), 413)


ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "request line": (b"GET /", b"x" * 65536),
    "head line": (b"GET /v2/ HTTP/1.1\r\nX: ", b"x" * 65536),
    "head lines": (b"GET /v2/ HTTP/1.1\r\n", b"X: y\r\n" * 10_000),
    "chunk size": (b"", b"0" * 65536),
    "chunk extension": (b"5;x=", b"y" * 65536),
    "trailer line": (b"5\r\nhello\r\n0\r\nX: ", b"y" * 65536),
    "trailer lines": (b"5\r\nhello\r\n0\r\n", b"X: y\r\n" * 10_000),
}
"""The beginning of a request, or of a chunked body, and what is repeated then."""


@pytest.mark.parametrize("what", ENDLESS)
def test_endless_request(harness: Harness, repository: str, location: str, what: str) -> None:
    begin, more = ENDLESS[what]
    target = with_query(location, digest=digest_of(b"hello"))
    head = b"" if begin.startswith(b"GET") else harness.direct.head("PUT", target, "Transfer-Encoding: chunked")
    with harness.direct.open(TIMEOUT) as connection:
        connection.sendall(head + begin)
        sent, left = 0, more
        while sent < ENOUGH:
            answered, _, _ = select.select([connection], [connection], [])
            if answered:
                break
            count = connection.send(left)
            sent, left = sent + count, left[count:] or more
        assert sent < ENOUGH
        try:
            answer = read_answer(connection)
        except ConnectionResetError:
            answer = None
    assert answer is None or 400 <= answer.status < 500, answer
    eventually(lambda: all(entry["status"] is not None for entry in harness.swr.journal()))
    assert harness.blobs(repository) == []
    alive(harness.direct)


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
