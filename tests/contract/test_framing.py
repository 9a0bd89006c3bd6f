"""Absurd headers and requests that could be read in two ways."""

from __future__ import annotations

import pytest

from tests.contract.http import Door, alive, digest_of, pieces, silent
from tests.running import RunningSandbox

DIGEST = digest_of(b"x")


GET_INSIDE = b"GET /v2/ HTTP/1.1\r\nHost: door\r\n\r\n"


class TestHeaders:
    @pytest.mark.parametrize(
        "header",
        [
            "Accept: " + "x" * 5000,
            "Accept: \xff\xfe\x80",
            "Accept: */*;q=nonsense,,,;;;",
            "Range: nonsense",
            "Range: bytes=" + "0-1," * 1000,
            "Content-Type: \xe4\xf6\xfc",
            "If-None-Match: *",
            "X-Request-Id: a b\tc",
            "X-Request-Id: " + "x" * 2000,
            "X-Forwarded-For: 1.2.3.4",
            "X-Forwarded-Proto: ftp",
            "X-Forwarded-Host: evil.example",
            "Forwarded: for=1.2.3.4;host=evil.example",
            "X-Original-Url: /api/v2.0/projects",
            "X-Http-Method-Override: DELETE",
            "Cookie: a=b; c",
            "Upgrade: websocket",
            "Upgrade: h2c",
            "Accept-Encoding: gzip, br, zstd",
            "Te: trailers",
            "Script-Name: /v2",
            "SCRIPT_NAME: /elsewhere",
            "PATH_INFO: /elsewhere",
            "Date: never",
            "Connection: keep-alive, Authorization",
        ],
        ids=lambda header: header[:30].encode("ascii", "replace").decode(),
    )
    def test_absurd_ones_change_nothing(self, door: Door, header: str) -> None:
        head = f"GET /api/version HTTP/1.1\r\nHost: door\r\nAuthorization: {door.authorization}\r\n{header}\r\n\r\n"
        answer = door.raw(head.encode("latin-1"))
        assert answer is not None
        assert (answer.status, answer.json) == (200, {"version": "v2.0"})

    @pytest.mark.parametrize("host", ["", "a b", "a/b", "[::1", "evil.example:99999", "%00", "\xff", "a" * 5000])
    def test_absurd_hosts(self, door: Door, host: str) -> None:
        """A sidecar is called by many names: the Host decides nothing here."""
        for target in ("/api/version", "/v2/team/app/manifests/..", "/api/v2.0/projects?name="):
            head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {door.authorization}\r\n\r\n"
            answer = door.raw(head.encode("latin-1"))
            assert answer is not None
            assert answer.status in {200, 400, 404}, answer.body
        alive(door)

    @pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
    def test_a_connection_stays_in_step_after_refusals_that_read_no_body(self, door: Door, framing: str) -> None:
        """Harbor keeps its connections: a body that nobody read must not be taken for the next request."""
        connection = door.connect()
        body = GET_INSIDE * 50
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

    def test_requests_in_one_go_are_answered_in_order(self, door: Door) -> None:
        requests = door.head("GET", "/api/version") + door.head("GET", "/nowhere", "Connection: close")
        with door.open() as connection:
            connection.sendall(requests)
            received = b""
            while block := connection.recv(65536):
                received += block
        assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404"]

    @pytest.mark.parametrize("given", ["a-request-1", "req:7.b_c"])
    def test_a_request_id_is_kept(self, door: Door, given: str) -> None:
        assert door.ask("GET", "/api/version", headers={"X-Request-Id": given}).header("X-Request-Id") == given

    @pytest.mark.parametrize("given", ["a b", "x" * 200, "a<script>", "ä"])
    def test_a_request_id_that_is_none_is_replaced(self, door: Door, given: str) -> None:
        answer = door.ask("GET", "/api/version", headers={"X-Request-Id": given})
        assert answer.header("X-Request-Id") != given
        assert answer.header("X-Request-Id").isalnum()


class TestSmuggling:
    """Shapes on which two servers could disagree about where a request ends: refused, and the connection closes."""

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", id="length and chunked"),
            pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", id="chunked and length"),
            pytest.param(b"Content-Length: 5\r\nContent-Length: 6\r\n", id="two lengths"),
            pytest.param(b"Content-Length: 5, 6\r\n", id="two lengths in one"),
            pytest.param(b"Content-Length: +5\r\n", id="signed length"),
            pytest.param(b"Content-Length: -5\r\n", id="negative length"),
            pytest.param(b"Content-Length: 0x5\r\n", id="hexadecimal length"),
            pytest.param(b"Content-Length: 5 5\r\n", id="length with a blank"),
            pytest.param(b"Content-Length : 5\r\n", id="blank before the colon"),
            pytest.param(b"Transfer-Encoding: xchunked\r\n", id="unknown coding"),
            pytest.param(b"Transfer-Encoding: chunked, identity\r\n", id="coding after chunked"),
            pytest.param(b"Transfer-Encoding: identity, chunked, chunked\r\n", id="chunked twice"),
            pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", id="two codings"),
            pytest.param(b"Transfer-Encoding:\x0bchunked\r\n", id="vertical tab"),
            pytest.param(b"Transfer-Encoding : chunked\r\n", id="blank before the colon of a coding"),
            pytest.param(b"Content-Length: 5\r\n folded: 1\r\n", id="folded line"),
            pytest.param(b"X: a\rTransfer-Encoding: chunked\r\n", id="bare carriage return"),
            pytest.param(b"X: a\x00b\r\n", id="NUL"),
            pytest.param(b": nothing\r\n", id="no name"),
            pytest.param(b"No colon here\r\n", id="no colon"),
        ],
    )
    def test_refused(self, door: Door, swr: RunningSandbox, headers: bytes) -> None:
        head = b"PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: door\r\nAuthorization: "
        request = head + door.authorization.encode() + b"\r\n" + headers + b"\r\n" + b"0\r\n\r\n" + GET_INSIDE
        with silent(swr), door.open() as connection:
            connection.sendall(request)
            received = b""
            while block := connection.recv(65536):
                received += block
        assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), received
        assert received.count(b"HTTP/1.1 ") == 1, "the inner request was served"
        alive(door)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /v2/\r\n\r\n",
            b"GET /v2/ HTTP/9.9\r\n\r\n",
            b"GET /v2/ HTTP/1.1\r\n",
            b"GET  /v2/  HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
            b"GET /v2/ HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % n for n in range(500)) + b"\r\n",
            b"GET /v2/ HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
            b"GET http://evil.example/v2/ HTTP/1.1\r\nHost: door\r\n\r\n",
            b"CONNECT swr.example:443 HTTP/1.1\r\nHost: door\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: door\r\n\r\n",
            b"GET * HTTP/1.1\r\nHost: door\r\n\r\n",
        ],
        ids=lambda data: data[:24].decode("latin-1").encode("unicode_escape").decode(),
    )
    def test_what_is_no_request_of_ours(self, door: Door, swr: RunningSandbox, data: bytes) -> None:
        with silent(swr):
            answer = door.raw(data, half_close=True)
        assert answer is None or 400 <= answer.status < 506, answer
        assert answer is None or answer.status != 500, answer
        alive(door)
