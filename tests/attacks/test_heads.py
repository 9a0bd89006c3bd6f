"""Invalid heads: answered in the error format of the port, and logged without their text."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from tests.attacks.test_connections import NOBODY, REGIONS
from tests.contract.http import Answer, Door, eventually, read_answer
from tests.credentials import SECRET_KEY, basic, canaries
from tests.running import RunningAdapter, running_adapter

LINE = 65_536
OTHER_LINE = 8_190
SECRET = basic().split()[1]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningAdapter]:
    """Neither SWR nor Harbor core runs."""
    settings = {"log_level": "debug", "public_url": "http://swr:8080", "harbor_core_url": NOBODY}
    with running_adapter(REGIONS, **settings) as adapter:
        yield adapter


def line_of(length: int, path: str = "/api/v2.0/projects") -> bytes:
    """A request line of `length` bytes."""
    return f"GET {path}?".encode() + b"a" * (length - len(f"GET {path}? HTTP/1.1")) + b" HTTP/1.1\r\n"


def ask(url: str, data: bytes) -> Answer:
    answer = Door(url).raw(data)
    assert answer is not None
    return answer


HOST = b"Host: x\r\n\r\n"


PUT = b"PUT /v2/ HTTP/1.1\r\n"


class TestErrorResponse:
    @pytest.mark.parametrize(
        ("status", "data", "message"),
        [
            (400, b"GET /v2/\r\n\r\n", "invalid request line"),
            (400, b"GET /v2/\x1b[31m HTTP/1.1\r\n" + HOST, "invalid request line"),
            (400, b"GET /v2/ HTTP/1.1\nHost: x\n\n", "invalid request line"),
            (400, b"get /v2/ HTTP/1.1\r\n" + HOST, "invalid request method"),
            (400, b"GET /v2/ HTTP/9.9\r\n" + HOST, "unsupported HTTP version"),
            (400, b"GET /v2/ HTTP/1.1\r\nA: b\r\n\r\n", "missing Host header"),
            (400, b"GET /v2/ HTTP/1.1\r\nHost: a\r\n" + HOST, "invalid request header"),
            (400, b"GET /v2/ HTTP/1.1\r\nA: b\x00\r\n" + HOST, "invalid request header"),
            (400, b"GET /v2/ HTTP/1.1\r\nno colon\r\n" + HOST, "invalid request header"),
            (400, PUT + b"Content-Length: x\r\n" + HOST, "invalid framing"),
            (400, PUT + b"Content-Length: " + b"9" * 5000 + b"\r\n" + HOST, "invalid framing"),
            (400, PUT + b"Content-Length: 3\r\nContent-Length: 4\r\n" + HOST, "invalid framing"),
            (
                400,
                PUT + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" + HOST,
                "invalid framing",
            ),
            (400, PUT + b"Transfer-Encoding: identity\r\n" + HOST, "invalid framing"),
            *(
                (
                    501,
                    PUT + b"Transfer-Encoding: " + coding + b"\r\n" + HOST,
                    "unsupported transfer coding",
                )
                for coding in (b"gzip", b"gzip, chunked", b"br")
            ),
            (417, PUT + b"Expect: the best\r\n" + HOST, "unsupported Expect header"),
            (431, b"GET /v2/ HTTP/1.1\r\n" + b"A: b\r\n" * 101 + HOST, "request headers too large"),
            (431, b"GET /v2/ HTTP/1.1\r\nA: " + b"b" * 9000 + b"\r\n" + HOST, "request headers too large"),
            (414, line_of(LINE + 1, "/v2/a/b/tags/list") + HOST, "request line too long"),
        ],
    )
    def test_on_v2(self, running: RunningAdapter, status: int, data: bytes, message: str) -> None:
        answer = ask(running.contract, data)
        assert answer.status == status
        assert answer.header("Connection") == "close"
        assert answer.error["code"] == "UNSUPPORTED"
        assert answer.error["message"].startswith(message)
        if data.startswith(b"get"):
            return
        request_id = answer.header("X-Request-Id")
        assert answer.error["detail"]["request_id"] == request_id
        eventually(lambda: request_id in running.service.output)
        (line,) = [line for line in running.service.output.splitlines() if request_id in line]
        entry = json.loads(line)
        assert (entry["status"], entry["door"], entry["method"]) == (status, "contract", data[:3].decode())
        assert ": " in entry["error"]

    def test_on_api(self, running: RunningAdapter) -> None:
        answer = ask(running.contract, line_of(LINE + 1) + HOST)
        assert answer.status == 414
        assert set(answer.error) == {"code", "message"}
        assert answer.header("X-Request-Id") in answer.message

    def test_to_head_has_no_body(self, running: RunningAdapter) -> None:
        with Door(running.contract).open() as connection:
            connection.sendall(b"HEAD /v2/ HTTP/1.1\r\n\r\n")
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        assert received.startswith(b"HTTP/1.1 400 ")
        assert received.endswith(b"\r\n\r\n")

    def test_http_1_0_needs_no_host(self, running: RunningAdapter) -> None:
        assert ask(running.contract, b"GET /v2/ HTTP/1.0\r\n\r\n").status == 401


class TestRequestLine:
    """Harbor lists all projects of a page in one query: some 300 need more than 8 KiB."""

    def test_may_be_long_on_the_contract_port(self, running: RunningAdapter) -> None:
        assert ask(running.contract, line_of(LINE) + HOST).status == 401

    @pytest.mark.parametrize("door", ["provider", "operations"])
    def test_is_limited_on_the_other_ports(self, running: RunningAdapter, door: str) -> None:
        url = getattr(running, door)
        assert ask(url, line_of(OTHER_LINE) + HOST).status in {404, 502}
        answer = ask(url, line_of(OTHER_LINE + 1) + HOST)
        assert answer.status == 414
        assert answer.message


class TestContinue:
    """`100 Continue` requests the body, so it is sent when the body is read."""

    @pytest.mark.parametrize(
        ("status", "head"),
        [
            (b"401", "PUT /v2/team/app/manifests/v1"),
            (b"413", f"PUT /v2/team/app/manifests/v1 {basic()}"),
            (b"404", f"PUT /nowhere {basic()}"),
        ],
    )
    def test_is_not_sent_when_the_head_decides(self, running: RunningAdapter, status: bytes, head: str) -> None:
        method, path, *credentials = head.split(" ", 2)
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 9999999"]
        lines += [f"Authorization: {each}" for each in credentials]
        with Door(running.contract).open() as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            assert connection.recv(12) == b"HTTP/1.1 " + status

    @pytest.mark.parametrize("framing", ["Content-Length: 2", "Transfer-Encoding: chunked"])
    def test_is_sent_when_the_body_is_read(self, running: RunningAdapter, framing: str) -> None:
        """On the provider port: what core gets is first read from the client."""
        head = f"POST /api/v2.0/registries HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"
        with Door(running.provider).open() as connection:
            connection.sendall(head.encode())
            expected = b"HTTP/1.1 100 Continue\r\n\r\n"
            assert connection.recv(len(expected)) == expected
            connection.sendall(b"{}" if "Length" in framing else b"2\r\n{}\r\n0\r\n\r\n")
            answer = read_answer(connection)
        assert answer is not None
        assert answer.status in {400, 502}

    def test_is_not_sent_to_http_1_0(self, running: RunningAdapter) -> None:
        head = b"PUT /v2/ HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
        assert ask(running.contract, head).status in {401, 405}


def test_no_text_of_an_invalid_head_is_logged(running: RunningAdapter) -> None:
    """It may be a credential in the wrong place."""
    odd = base64.b64encode(SECRET_KEY.encode())
    for data in (
        SECRET.encode() + b" /v2/ HTTP/1.1\r\n" + HOST,
        odd + b"\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nAuthorization " + SECRET.encode() + b"\r\n" + HOST,
        b"GET /v2/ HTTP/1.1\r\n" + SECRET.encode() + b": x\r\n" + HOST,
        b"GET /v2/ HTTP/1.1\r\nExpect: " + SECRET.encode() + b"\r\n" + HOST,
        b"GET /v2/ HTTP/" + SECRET.encode() + b"\r\n" + HOST,
        PUT + b"Transfer-Encoding: " + SECRET.encode() + b"\r\n" + HOST,
        b"GET /v2/ HTTP/1.1\r\nAuthorization: Basic " + SECRET.encode() + b"\r\n",
    ):
        Door(running.contract).raw(data, half_close=True)
    ask(running.contract, b"GET /v2/ HTTP/1.1\r\nX-Request-Id: the-last\r\n" + HOST)
    eventually(lambda: "the-last" in running.service.output)
    output = running.service.output
    secrets = {*canaries(), SECRET, odd.decode()}
    assert [line for line in output.splitlines() if any(secret in line for secret in secrets)] == []
