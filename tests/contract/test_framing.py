"""Unusual headers, and requests that two servers could read in two ways."""

from __future__ import annotations

import socket

import pytest

from tests.contract.http import Door, alive, digest_of, pieces, silent
from tests.running import RunningSandbox

DIGEST = digest_of(b"x")
INNER_REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: door\r\n\r\n"


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


class TestHeaders:
    @pytest.mark.parametrize(
        "header",
        [
            "Accept: \xff\xfe\x80",
            "Accept: */*;q=nonsense,,,;;;",
            "Range: bytes=" + "0-1," * 1000,
            "Content-Type: \xe4\xf6\xfc",
            "X-Request-Id: " + "x" * 2000,
            "X-Forwarded-Host: evil.example",
            "Forwarded: for=1.2.3.4;host=evil.example",
            "X-Original-Url: /api/v2.0/projects",
            "X-Http-Method-Override: DELETE",
            "Upgrade: h2c",
            "Te: trailers",
            "SCRIPT_NAME: /elsewhere",
            "PATH_INFO: /elsewhere",
            "Connection: keep-alive, Authorization",
        ],
        ids=lambda header: header[:30].encode("ascii", "replace").decode(),
    )
    def test_unusual_headers_change_nothing(self, door: Door, header: str) -> None:
        head = f"GET /api/version HTTP/1.1\r\nHost: door\r\nAuthorization: {door.authorization}\r\n{header}\r\n\r\n"
        answer = door.raw(head.encode("latin-1"))
        assert answer is not None
        assert (answer.status, answer.json) == (200, {"version": "v2.0"})

    @pytest.mark.parametrize("host", ["", "a b", "a/b", "[::1", "evil.example:99999", "%00", "\xff", "a" * 5000])
    def test_unusual_hosts(self, door: Door, host: str) -> None:
        """A sidecar has many names: the Host decides nothing."""
        for target in ("/api/version", "/v2/team/app/manifests/..", "/api/v2.0/projects?name="):
            head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {door.authorization}\r\n\r\n"
            answer = door.raw(head.encode("latin-1"))
            assert answer is not None
            assert answer.status in {200, 400, 404}, answer.body
        alive(door)

    @pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
    def test_unread_body_is_not_the_next_request(self, door: Door, framing: str) -> None:
        """Harbor keeps its connections."""
        connection = door.connect()
        body = INNER_REQUEST * 50
        for method, target in (
            ("PUT", "/v2/team/APP/manifests/v1"),
            ("PUT", "/v2/team/app/blobs/uploads/x?digest=" + DIGEST),
            ("POST", "/api/v2.0/nothing"),
            ("PATCH", "/v2/"),
            ("GET", "/v2/team/app/manifests/.."),
        ):
            sent = body if framing == "Content-Length" else pieces(body, 100)
            connection.request(method, target, sent, {"Authorization": door.authorization})
            response = connection.getresponse()
            assert response.status in {400, 404, 405}
            response.read()
            connection.request("GET", "/api/version", headers={"Authorization": door.authorization})
            response = connection.getresponse()
            assert (response.status, response.read().strip()) == (200, b'{"version":"v2.0"}')
        connection.close()

    @pytest.mark.parametrize(
        ("given", "kept"),
        [("a-request-1", True), ("req:7.b_c", True), ("a b", False), ("x" * 200, False), ("a<script>", False)],
    )
    def test_request_id(self, door: Door, given: str, kept: bool) -> None:
        request_id = door.ask("GET", "/api/version", headers={"X-Request-Id": given}).header("X-Request-Id")
        assert request_id == given if kept else request_id.isalnum()


class TestSmuggling:
    """Two servers could disagree where these requests end: the request is rejected and the connection closed."""

    @pytest.mark.parametrize(
        "headers",
        [
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5",
            b"Content-Length: 5\r\nContent-Length: 6",
            b"Content-Length: 5, 6",
            b"Content-Length: +5",
            b"Content-Length: 0x5",
            b"Content-Length : 5",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunked, identity",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding:\x0bchunked",
            b"Content-Length: 5\r\n folded: 1",
            b"X: a\rTransfer-Encoding: chunked",
            b"X: a\x00b",
            b": no name",
            b"No colon here",
        ],
    )
    def test_ambiguous_framing(self, door: Door, swr: RunningSandbox, headers: bytes) -> None:
        head = b"PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: door\r\nAuthorization: "
        request = head + door.authorization.encode() + b"\r\n" + headers + b"\r\n\r\n" + b"0\r\n\r\n" + INNER_REQUEST
        with silent(swr), door.open() as connection:
            connection.sendall(request)
            response = received(connection)
        assert response.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), response
        assert response.count(b"HTTP/1.1 ") == 1, "the inner request was served"
