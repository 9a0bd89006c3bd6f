"""The log: one line a request, as text or JSON, with the request's id and those that SWR gave; never a secret."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from adapter.swr import trace

log = logging.getLogger(__name__)

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_SEALED: Final = re.compile(r"(/blobs/uploads/+)[^/?\s]+")
_LONG: Final = re.compile(r"[^/?\s]{136,}")
"""Longer than any tag or digest: a sealed location where none belongs."""
_REQUEST_ID: Final = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_SECRETS: Final = (
    re.compile(r"\b(Basic|Bearer)\s+[\w+/=.~-]{6,}", re.IGNORECASE),
    re.compile(r"\b(Signature|_state|digest_state|X-Amz-Signature|password|token)=[^&\s,\"']+", re.IGNORECASE),
    re.compile(r"\b(eyJ)[\w-]{8,}\.[\w-]*\.?[\w-]*"),
)


def masked(text: str) -> str:
    """The text without what looks like a credential, a token, or the sealed part of an upload path."""
    for pattern in _SECRETS:
        text = pattern.sub(r"\1 …", text)
    return _SEALED.sub(r"\1…", text)


def shown_path(path: str) -> str:
    """A request's path for the log: printable, without anything sealed."""
    return _LONG.sub("…", masked("".join(letter if letter.isprintable() else "_" for letter in path)))


class _Formatter(logging.Formatter):
    """Common to both forms: the message is masked after it is put together, the traceback too."""

    def message(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return masked(text)

    def moment(self, record: logging.LogRecord) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


class TextFormatter(_Formatter):
    """`2026-11-24T07:00:00.000Z INFO adapter.… message key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        shown = "".join(f" {key}={value}" for key, value in fields.items() if value not in (None, [], ""))
        return f"{self.moment(record)} {record.levelname} {record.name} {self.message(record)}{masked(shown)}"


class JsonFormatter(_Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        document = {"time": self.moment(record), "level": record.levelname.lower(), "logger": record.name}
        document["message"] = self.message(record)
        return json.dumps({**document, **fields}, ensure_ascii=False, default=str)


def configure(form: str, level: str) -> None:
    """Sends everything, other libraries' lines too, to standard error in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These print headers or signatures when they are asked for details.
    for name in ("urllib3", "requests_auth_aws_sigv4", "werkzeug"):
        logging.getLogger(name).setLevel(logging.WARNING)


class RequestLog:
    """WSGI middleware: gives each request an id and a trace, and logs it when its last byte has gone."""

    def __init__(self, app: WsgiApp, door: str) -> None:
        self._app = app
        self._door = door

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        request = _Request(self._door, environ)
        token = trace.current.set(request.trace)
        try:
            chunks = self._app(environ, request.started(start_response))
        except BaseException:
            trace.current.reset(token)
            raise
        return _Logged(chunks, request, lambda: trace.current.reset(token))


class _Request:
    """What is known of one request."""

    def __init__(self, door: str, environ: dict[str, Any]) -> None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        self.id: str = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        environ["adapter.request_id"] = self.id
        environ["adapter.sent"] = self.count
        self.trace = trace.Trace(environ.get("gunicorn.socket"))
        self._environ = environ
        self._door = door
        self._method = environ.get("REQUEST_METHOD", "")
        self._path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
        self._received = environ.get("CONTENT_LENGTH") or None
        self._client = environ.get("REMOTE_ADDR")
        self._status = 0
        self._begun = time.monotonic()
        self.sent = 0

    def count(self, sent: int) -> None:
        """So many bytes of the answer went out."""
        self.sent += sent

    def started(self, start_response: StartResponse) -> StartResponse:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            self._status = int(status.split(" ", 1)[0])
            # An answer that is passed on keeps the id that it came with.
            own = [] if any(name.lower() == "x-request-id" for name, _ in headers) else [("X-Request-Id", self.id)]
            return start_response(status, [*headers, *own], *rest)

        return start

    def log(self) -> None:
        fields = {
            "door": self._door,
            "request_id": self.id,
            "method": self._method,
            "path": shown_path(self._path),
            "status": self._status,
            "ms": round((time.monotonic() - self._begun) * 1000),
            "received": self._received,
            "sent": self.sent,
            "account": self.trace.account,
            "swr_requests": self.trace.requests,
            "swr_request_ids": self.trace.request_ids,
            "client": self._client,
            "error": masked(str(self._environ["adapter.error"])) if "adapter.error" in self._environ else None,
        }
        level = logging.DEBUG if self._door == "operations" else logging.INFO
        log.log(level, "request", extra={"fields": fields})


class _Logged:
    """The answer's blocks, counted; `close` is called by the server however the answer ends."""

    def __init__(self, chunks: Iterable[bytes], request: _Request, done: Callable[[], None]) -> None:
        self._chunks = chunks
        self._request = request
        self._done = done

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._request.count(len(chunk))
            yield chunk

    def close(self) -> None:
        try:
            if callable(close := getattr(self._chunks, "close", None)):
                close()
        finally:
            self._request.log()
            self._done()
