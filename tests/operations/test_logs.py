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
def logged(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was logged since the last look; the handlers of the test run come back afterwards."""
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


def start_response(*_: Any) -> None:
    """Stands for the server's."""


def serve(app: Any, start: Any = start_response, body: bytes = b"", **environ: str) -> list[bytes]:
    door = RequestLog(app, "contract")
    base = {"REQUEST_METHOD": "GET", "PATH_INFO": "/v2/", "REMOTE_ADDR": "192.0.2.1", "wsgi.input": io.BytesIO(body)}
    chunks = door({**base, **environ}, start)
    try:
        return list(chunks)
    finally:
        chunks.close()  # type: ignore[attr-defined]


def answering(environ: dict[str, Any], start: Any) -> list[bytes]:
    current = request_context.current_request.get()
    assert current is not None
    current.note("swr-1")
    current.account = "eu-de@AK1"
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"ab", b"c"]


def reading(environ: dict[str, Any], start: Any) -> list[bytes]:
    stream = environ["wsgi.input"]
    assert stream.read(2) + stream.readline() == b"a body"
    return answering(environ, start)


def test_one_json_line_a_request(logged: Callable[[], str]) -> None:
    configure("json", "info")
    serve(reading, body=b"a body", HTTP_X_REQUEST_ID="harbor-7", CONTENT_LENGTH="12")
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
        "swr_requests": 1,
        "swr_request_ids": ["swr-1"],
        "client": "192.0.2.1",
    }.items() <= entry.items()
    assert request_context.current_request.get() is None


def test_one_text_line_a_request(logged: Callable[[], str]) -> None:
    configure("text", "info")
    serve(answering)
    (line,) = logged().splitlines()
    assert " INFO adapter.operations.logs request door=contract request_id=" in line
    assert " status=200 " in line
    assert "received" not in line


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "ä", "a\nb", "a/b", "a\n"])
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


class Closing(list[bytes]):
    """An answer that holds something until it is closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_an_answer_that_the_server_refuses_is_closed_and_logged(logged: Callable[[], str]) -> None:
    """gunicorn raises in `start_response` for a header that it does not send."""
    answer = Closing()

    def refusing(*_: Any) -> None:
        raise ValueError("Content-Type")

    def app(environ: dict[str, Any], start: Any) -> Closing:
        start("200 OK", [("Content-Type", "a/\x01b")])
        return answer

    configure("json", "info")
    with pytest.raises(ValueError, match="Content-Type"):
        serve(app, refusing)
    assert answer.closed
    (line,) = logged().splitlines()
    assert {"status": 500, "error": "ValueError: the response could not be sent"}.items() <= json.loads(line).items()
    assert request_context.current_request.get() is None


def test_an_answer_that_breaks_is_logged(logged: Callable[[], str]) -> None:
    def breaking(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"a"
        raise ConnectionResetError

    configure("json", "info")
    with pytest.raises(ConnectionResetError):
        serve(breaking)
    assert json.loads(logged())["sent"] == 1
    assert request_context.current_request.get() is None


def test_a_door_that_fails_leaves_no_trace_behind(logged: Callable[[], str]) -> None:
    def failing(environ: dict[str, Any], start: Any) -> list[bytes]:
        raise RuntimeError

    configure("json", "info")
    with pytest.raises(RuntimeError):
        serve(failing)
    assert json.loads(logged())["status"] == 500
    assert request_context.current_request.get() is None


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


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern[:20])
def test_masking_takes_time_in_proportion_to_the_text(pattern: re.Pattern[str]) -> None:
    """An attempt that has read far must match: else a text of many beginnings is read to its end from each of them."""
    assert after_unbounded(list(re._parser.parse(pattern.pattern, pattern.flags))) == []  # type: ignore[attr-defined]


UNBOUNDED = 64


def after_unbounded(parts: list[Any]) -> list[Any]:
    """The parts of a sequence that can fail after an unbounded repeat, or follow one inside another repeat."""
    wrong, unbounded = [], False
    for part in flat(parts):
        operation, arguments = part
        if str(operation) in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = arguments
            if unbounded and least:
                wrong.append(part)
            wrong += after_unbounded(list(inner))
            unbounded = unbounded or int(most) > UNBOUNDED
        elif unbounded:
            wrong.append(part)
    return wrong


def flat(parts: list[Any]) -> Iterator[Any]:
    for operation, arguments in parts:
        if str(operation) == "SUBPATTERN":
            yield from flat(list(arguments[3]))
        else:
            yield operation, arguments


def test_no_text_is_looked_at_beyond_a_bound() -> None:
    assert len(masked("x" * 10_000_000)) < MAX_TEXT_LENGTH + 100
    assert len(shown_path("/" * 10_000_000)) < MAX_VALUE_LENGTH + 100


def test_long_values_are_cut(logged: Callable[[], str]) -> None:
    def refusing(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ["adapter.error"] = "x" * 1_000_000
        start("403 FORBIDDEN", [])
        return []

    for form in ("text", "json"):
        configure(form, "info")
        serve(refusing)
        assert len(logged()) < 2 * MAX_VALUE_LENGTH


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
def test_values_of_text_lines(value: str, shown: str) -> None:
    assert quoted(value) == shown


ODD = "no\n2026-01-01T00:00:00.000Z INFO adapter forged status=200 \x1b[31m \u202e \u2028 \x85 \udcff"


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_others_say_forges_nothing(logged: Callable[[], str], form: str) -> None:
    """SWR, Redis and callers are quoted in messages, fields and exceptions."""

    def refusing(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ["adapter.error"] = ODD
        start("403 FORBIDDEN", [])
        return []

    configure(form, "info")
    serve(refusing, PATH_INFO="/v2/" + ODD.encode("utf-8", "surrogatepass").decode("latin-1"))
    logging.getLogger("adapter.test").warning("SWR says %s", ODD)
    try:
        raise ValueError(ODD)
    except ValueError:
        logging.getLogger("adapter.test").exception("a defect")
    told = logged()
    assert [letter for letter in told.replace("\n", "") if not letter.isprintable()] == []
    lines = told.splitlines()
    if form == "json":
        assert len(lines) == 3
        request, message, _ = map(json.loads, lines)
        assert request["error"] == ODD
        assert message["message"] == f"SWR says {ODD}"
    else:
        records = [line for line in lines if not line.startswith("    | ")]
        assert len(records) == 3
        assert all(line.split()[2].startswith("adapter.") for line in records)
        assert " status=403 " in records[0]
        assert " status=200" not in re.sub(r'"(\\.|[^"\\])*"', "", records[0])
        assert '"SWR says no\\u000a' in records[1]


def test_ids_of_swr_are_kept_when_they_are_some(logged: Callable[[], str]) -> None:
    def answer(environ: dict[str, Any], start: Any) -> list[bytes]:
        for given in ("a-1", "b c", "x" * 65, "\x1b[0m", "d:2"):
            (request_context.current_request.get() or request_context.RequestContext()).note(given)
        start("200 OK", [])
        return []

    configure("text", "info")
    serve(answer)
    assert " swr_requests=5 swr_request_ids=a-1,d:2 " in logged()
