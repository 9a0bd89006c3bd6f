from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adapter.http import request_context
from adapter.operations.formats import JsonFormatter, TextFormatter, quoted
from adapter.operations.logs import RequestLog, configure
from adapter.operations.masking import MAX_TEXT_LENGTH, MAX_VALUE_LENGTH, PATTERNS, masked, shown_path
from tests.credentials import LOGIN_KEY, SECRET_KEY, basic

Logged = Callable[[], str]


@pytest.mark.parametrize(
    ("text", "secret"),
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
def test_masked_hides_secret(text: str, secret: str) -> None:
    assert secret not in masked(text)
    assert "…" in masked(text)


@pytest.mark.parametrize("text", ["GET /v2/org/repo/manifests/v1", "basic facts", "/v2/a/b/blobs/sha256:abc", "Bearer"])
def test_masked_keeps_other_text(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern[:20])
def test_masking_takes_linear_time(pattern: re.Pattern[str]) -> None:
    """After an unbounded repeat nothing may fail: otherwise each start of a match could read the text to its end."""
    assert parts_that_can_fail(list(re._parser.parse(pattern.pattern, pattern.flags))) == []  # type: ignore[attr-defined]


def parts_that_can_fail(parts: list[Any]) -> list[Any]:
    """The parts of a pattern that can fail after a repeat of more than 64, or follow one inside another repeat."""
    wrong, unbounded = [], False
    for part in flat(parts):
        operation, arguments = part
        if str(operation) in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = arguments
            if unbounded and least:
                wrong.append(part)
            wrong += parts_that_can_fail(list(inner))
            unbounded = unbounded or int(most) > 64
        elif unbounded:
            wrong.append(part)
    return wrong


def flat(parts: list[Any]) -> Iterator[Any]:
    for operation, arguments in parts:
        if str(operation) == "SUBPATTERN":
            yield from flat(list(arguments[3]))
        else:
            yield operation, arguments


def test_long_text_is_cut() -> None:
    assert len(masked("x" * 10_000_000)) < MAX_TEXT_LENGTH + 100
    assert len(shown_path("/" * 10_000_000)) < MAX_VALUE_LENGTH + 100


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str]) -> Iterator[Logged]:
    """Returns the log since its last call. Restores the handlers of the test run."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level

    def read() -> str:
        for handler in root.handlers:
            handler.flush()
        return capfd.readouterr().err

    yield read
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)


def serve(app: Any, start: Any = lambda *_: None, body: bytes = b"", **environ: str) -> None:
    """One request, as the server runs it."""
    base = {"REQUEST_METHOD": "GET", "PATH_INFO": "/v2/", "REMOTE_ADDR": "192.0.2.1", "wsgi.input": io.BytesIO(body)}
    try:
        chunks = RequestLog(app, "contract")({**base, **environ}, start)
        try:
            list(chunks)
        finally:
            chunks.close()  # type: ignore[attr-defined]
    finally:
        assert request_context.current_request.get() is None


def answer(environ: dict[str, Any], start: Any) -> list[bytes]:
    current = request_context.current_request.get()
    assert current is not None
    for request_id in ("swr-1", "b c", "x" * 65, "\x1b[0m", "d:2"):
        current.note(request_id)
    current.account = "eu-de@AK1"
    stream = environ["wsgi.input"]
    assert stream.read(2) + stream.readline() + b"".join(stream) in (b"", b"a body")
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"ab", b"c"]


def failing_with(error: str) -> Any:
    """An application that reports an error."""

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ["adapter.error"] = error
        start("403 FORBIDDEN", [])
        return []

    return app


def test_json_line_of_a_request(logged: Logged) -> None:
    configure("json", "info")
    serve(answer, body=b"a body", HTTP_X_REQUEST_ID="harbor-7", CONTENT_LENGTH="12")
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
        "received": 6,
        "sent": 3,
        "account": "eu-de@AK1",
        "swr_requests": 5,
        "swr_request_ids": ["swr-1", "d:2"],
        "client": "192.0.2.1",
    }.items() <= entry.items()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])


def test_text_line_of_a_request(logged: Logged) -> None:
    configure("text", "info")
    serve(answer)
    (line,) = logged().splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO adapter.operations.logs request door=contract ", line)
    assert " status=200 " in line
    assert " swr_requests=5 swr_request_ids=swr-1,d:2 " in line
    assert "received" not in line


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 65, "ä", "a\nb", "a/b", "a\n"])
def test_unusable_request_id_is_replaced(logged: Logged, request_id: str) -> None:
    configure("json", "info")
    serve(answer, HTTP_X_REQUEST_ID=request_id)
    assert len(json.loads(logged())["request_id"]) == 32


def test_line_has_no_upload_location_and_long_values_are_cut(logged: Logged) -> None:
    for form in ("text", "json"):
        configure(form, "info")
        serve(failing_with("x" * 1_000_000), PATH_INFO="/v2/a/b/blobs/uploads/.eJw1.sealed\x07")
        line = logged()
        assert len(line) < 2 * MAX_VALUE_LENGTH
        assert "/v2/a/b/blobs/uploads/…" in line
        assert "sealed" not in line


class Closing(list[bytes]):
    """A response that must be closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_response_that_the_server_rejects_is_closed_and_logged(logged: Logged) -> None:
    """gunicorn raises in `start_response` for an invalid header."""
    response = Closing()

    def reject(*_: Any) -> None:
        raise ValueError("Content-Type")

    def app(environ: dict[str, Any], start: Any) -> Closing:
        start("200 OK", [("Content-Type", "a/\x01b")])
        return response

    configure("json", "info")
    with pytest.raises(ValueError, match="Content-Type"):
        serve(app, reject)
    assert response.closed
    (line,) = logged().splitlines()
    assert {"status": 500, "error": "ValueError: the response could not be sent"}.items() <= json.loads(line).items()


@pytest.mark.parametrize(
    ("error", "sent", "raised", "statuses"),
    [
        (ConnectionResetError, b"a", ConnectionResetError, [200]),
        (RuntimeError, b"a", ConnectionResetError, [None, 200]),
        (RuntimeError, b"", RuntimeError, [500]),
    ],
)
def test_failing_application_is_logged(
    logged: Logged, error: type[Exception], sent: bytes, raised: type[Exception], statuses: list[int | None]
) -> None:
    def app(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        if not sent:
            raise error
        start("200 OK", [])
        return chunks()

    def chunks() -> Iterator[bytes]:
        yield sent
        raise error

    configure("json", "info")
    with pytest.raises(raised):
        serve(app)
    entries = [json.loads(line) for line in logged().splitlines()]
    assert [entry.get("status") for entry in entries] == statuses
    assert entries[-1]["sent"] == len(sent)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_traceback_is_masked(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(f"header {basic()} and password={SECRET_KEY} and token={LOGIN_KEY}")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    text = formatter.format(record)
    assert "ValueError" in text
    assert not any(secret in text for secret in (SECRET_KEY, LOGIN_KEY, basic().split()[1]))


def test_libraries_log_no_headers(logged: Logged) -> None:
    configure("text", "debug")
    logging.getLogger("requests_auth_aws_sigv4").debug("Signature: x")
    logging.getLogger("urllib3.connectionpool").debug("GET /x?secret")
    logging.getLogger("adapter").debug("ours")
    assert [line.split()[-1] for line in logged().splitlines()] == ["ours"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain/path:1.2_3-…", "plain/path:1.2_3-…"),
        ("", '""'),
        ("a b", '"a b"'),
        ('say "no"', '"say \\"no\\""'),
        ("a=b", '"a=b"'),
        ("a\\b", '"a\\\\b"'),
        ("a\nb", '"a\\u000ab"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("a\u202eb", '"a\\u202eb"'),
        ("a\U000e0001b", '"a\\udb40\\udc01b"'),
        ("\udcff", '"\\udcff"'),
    ],
)
def test_quoted(value: str, shown: str) -> None:
    assert quoted(value) == shown


FORGERY = "no\n2026-01-01T00:00:00.000Z INFO adapter forged status=200 \x1b[31m \u202e \u2028 \x85 \udcff"


@pytest.mark.parametrize("form", ["text", "json"])
def test_received_text_cannot_forge_a_line(logged: Logged, form: str) -> None:
    """Messages, fields and exceptions quote SWR, Redis and callers."""
    configure(form, "info")
    serve(failing_with(FORGERY), PATH_INFO="/v2/" + FORGERY.encode("utf-8", "surrogatepass").decode("latin-1"))
    logging.getLogger("adapter.test").warning("SWR says %s", FORGERY)
    try:
        raise ValueError(FORGERY)
    except ValueError:
        logging.getLogger("adapter.test").exception("failed")
    text = logged()
    assert [letter for letter in text.replace("\n", "") if not letter.isprintable()] == []
    lines = text.splitlines()
    if form == "json":
        assert len(lines) == 3
        request, message, _ = map(json.loads, lines)
        assert request["error"] == FORGERY
        assert message["message"] == f"SWR says {FORGERY}"
    else:
        records = [line for line in lines if not line.startswith("    | ")]
        assert len(records) == 3
        assert all(line.split()[2].startswith("adapter.") for line in records)
        assert " status=403 " in records[0]
        assert " status=200" not in re.sub(r'"(\\.|[^"\\])*"', "", records[0])
        assert '"SWR says no\\u000a' in records[1]
