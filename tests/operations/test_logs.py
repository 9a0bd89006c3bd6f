from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adapter.operations.logs import JsonFormatter, RequestLog, TextFormatter, configure, masked
from adapter.swr import trace
from tests.credentials import LOGIN_KEY, SECRET_KEY, basic


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"Authorization: {basic()}", basic().split()[1]),
        ("bearer eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln", "eyJhbGci"),
        ("token eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln", "eyJleHAiOjF9"),
        ("GET /v2/a/b/blobs/uploads/eJw1.seal-ed_x?digest=sha256:0", "seal-ed"),
        ("Location: https://swr/v2/a/b/blobs/uploads/77?_state=abcdef", "abcdef"),
        ("https://obs/x?AWSAccessKeyId=a&Signature=topsecret%3D&Expires=1", "topsecret"),
        ("password=hunter2", "hunter2"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, hidden: str) -> None:
    assert hidden not in masked(text)
    assert "…" in masked(text)


@pytest.mark.parametrize("text", ["GET /v2/org/repo/manifests/v1", "basic facts", "/v2/a/b/blobs/sha256:abc", "Bearer"])
def test_other_text_stays(text: str) -> None:
    assert masked(text) == text


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was logged since the last look; the handlers of the test run come back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err
    root.handlers[:] = before
    root.setLevel(level)


def start_response(*_: Any) -> None:
    """Stands for the server's."""


def serve(app: Any, **environ: str) -> list[bytes]:
    door = RequestLog(app, "contract")
    base = {"REQUEST_METHOD": "GET", "PATH_INFO": "/v2/", "REMOTE_ADDR": "192.0.2.1"}
    chunks = door({**base, **environ}, start_response)
    try:
        return list(chunks)
    finally:
        chunks.close()  # type: ignore[attr-defined]


def answering(environ: dict[str, Any], start: Any) -> list[bytes]:
    current = trace.current.get()
    assert current is not None
    current.note("swr-1")
    current.account = "eu-de@AK1"
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"ab", b"c"]


def test_one_json_line_a_request(logged: Callable[[], str]) -> None:
    configure("json", "info")
    serve(answering, HTTP_X_REQUEST_ID="harbor-7", CONTENT_LENGTH="12")
    (line,) = logged().splitlines()
    entry = json.loads(line)
    assert {
        "level": "info",
        "message": "request",
        "door": "contract",
        "request_id": "harbor-7",
        "method": "GET",
        "path": "/v2/",
        "status": 200,
        "received": "12",
        "sent": 3,
        "account": "eu-de@AK1",
        "swr_requests": 1,
        "swr_request_ids": ["swr-1"],
        "client": "192.0.2.1",
    }.items() <= entry.items()
    assert trace.current.get() is None


def test_one_text_line_a_request(logged: Callable[[], str]) -> None:
    configure("text", "info")
    serve(answering)
    (line,) = logged().splitlines()
    assert " INFO adapter.operations.logs request door=contract request_id=" in line
    assert " status=200 " in line
    assert "received" not in line


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ä", "a\nb"])
def test_a_request_id_is_made_when_none_can_be_used(logged: Callable[[], str], given: str) -> None:
    configure("json", "info")
    serve(answering, HTTP_X_REQUEST_ID=given)
    assert len(json.loads(logged())["request_id"]) == 32


def test_the_sealed_part_of_a_path_is_left_out(logged: Callable[[], str]) -> None:
    configure("json", "info")
    serve(answering, PATH_INFO="/v2/a/b/blobs/uploads/.eJw1.sealed\x07")
    assert json.loads(logged())["path"] == "/v2/a/b/blobs/uploads/…"


def test_the_reason_of_a_refusal_is_in_the_line(logged: Callable[[], str]) -> None:
    def refusing(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ["adapter.error"] = "Denied: not yours"
        start("403 FORBIDDEN", [])
        return []

    configure("json", "info")
    serve(refusing)
    assert json.loads(logged())["error"] == "Denied: not yours"


def test_an_answer_that_breaks_is_logged(logged: Callable[[], str]) -> None:
    def breaking(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"a"
        raise ConnectionResetError

    configure("json", "info")
    with pytest.raises(ConnectionResetError):
        serve(breaking)
    assert json.loads(logged())["sent"] == 1
    assert trace.current.get() is None


def test_a_door_that_fails_leaves_no_trace_behind(logged: Callable[[], str]) -> None:
    def failing(environ: dict[str, Any], start: Any) -> list[bytes]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        serve(failing)
    assert trace.current.get() is None


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_tracebacks_are_masked(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(f"header {basic()} and password={SECRET_KEY} and token={LOGIN_KEY}")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "defect", None, sys.exc_info())
    text = formatter.format(record)
    assert "ValueError" in text
    assert SECRET_KEY not in text
    assert LOGIN_KEY not in text
    assert basic().split()[1] not in text


def test_libraries_that_print_headers_are_kept_quiet(logged: Callable[[], str]) -> None:
    configure("text", "debug")
    logging.getLogger("requests_auth_aws_sigv4").debug("Signature: x")
    logging.getLogger("urllib3.connectionpool").debug("GET /x?secret")
    logging.getLogger("adapter").debug("ours")
    assert [line.split()[-1] for line in logged().splitlines()] == ["ours"]
