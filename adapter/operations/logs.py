"""The log: its format and destination, and one line per request with the request IDs of adapter and SWR."""

from __future__ import annotations

import errno
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from adapter.http import request_context
from adapter.operations.formats import JsonFormatter, TextFormatter
from adapter.operations.masking import shown_path
from adapter.operations.output import Output

log = logging.getLogger(__name__)

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_QUIET: Final = ("urllib3", "requests_auth_aws_sigv4", "werkzeug")
"""Libraries whose debug lines contain headers or signatures."""


def configure(form: str, level: str) -> None:
    """Sends all log lines, also those of libraries, to standard error in one format (`text` or `json`)."""
    output = Output()
    output.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_rejected(
    listener: str, request_id: str, method: str, path: str, *, status: int, client: str, error: str
) -> None:
    """The line of a request that the server itself rejects, before any application has it."""
    fields = {
        "door": listener,
        "request_id": request_id,
        "method": method,
        "path": shown_path(path),
        "status": status,
        "client": client,
        "error": error,
    }
    log.info("request", extra={"fields": fields})


class RequestLog:
    """WSGI middleware: gives each request an ID and a request context, and logs it when its last byte is sent or it has
    failed."""

    def __init__(self, app: WsgiApp, listener: str) -> None:
        self._app = app
        self._listener = listener

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        request = _Request(self._listener, environ, start_response)
        token = request_context.current_request.set(request.request_context)
        try:
            chunks = _Logged(
                self._app(environ, request.start), request, lambda: request_context.current_request.reset(token)
            )
        except BaseException as error:
            request.failed(error)
            request.log()
            request_context.current_request.reset(token)
            raise
        if request.server_error is not None:
            chunks.close()
            raise request.server_error
        return chunks


class _Request:
    """What the log line of one request needs."""

    def __init__(self, listener: str, environ: dict[str, Any], start_response: StartResponse) -> None:
        received_id = environ.get("HTTP_X_REQUEST_ID", "")
        self.id: str = received_id if request_context.is_request_id(received_id) else uuid.uuid4().hex
        environ["adapter.request_id"] = self.id
        environ["adapter.sent"] = self.count
        self.request_context = request_context.RequestContext(environ.get("gunicorn.socket"))
        self.server_error: Exception | None = None
        self._environ = environ
        self._start_response = start_response
        self._listener = listener
        self._received = 0
        if "wsgi.input" in environ:
            environ["wsgi.input"] = _CountedInput(environ["wsgi.input"], self._receive)
        environ["adapter.received"] = self._receive
        self._status = 0
        self._started = time.monotonic()
        self.sent = 0

    def count(self, sent: int) -> None:
        """Counts sent bytes of the response."""
        self.sent += sent

    def _receive(self, received: int) -> None:
        self._received += received

    def start(self, status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        """WSGI's `start_response`. When the server rejects the response, for example for an invalid header of SWR, the
        exception is raised later, by `RequestLog`: the application must return its response, which is then closed."""
        self._status = int(status.split(" ", 1)[0])
        # A forwarded response keeps its own ID.
        own = [] if any(name.lower() == "x-request-id" for name, _ in headers) else [("X-Request-Id", self.id)]
        try:
            return self._start_response(status, [*headers, *own], *rest)
        except Exception as error:  # noqa: BLE001 - `RequestLog` raises it
            self.failed(error)
            self.server_error = error
            return None

    def failed(self, error: BaseException) -> None:
        """The application failed to make a response."""
        self._status = 500
        self._environ.setdefault("adapter.error", f"{type(error).__name__}: the response could not be sent")

    def log(self) -> None:
        fields = {
            "door": self._listener,
            "request_id": self.id,
            "method": self._environ.get("REQUEST_METHOD", ""),
            "path": shown_path(self._environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")),
            "status": self._status,
            "ms": round((time.monotonic() - self._started) * 1000),
            "received": self._received if self._received or "CONTENT_LENGTH" in self._environ else None,
            "sent": self.sent,
            "account": self.request_context.account,
            "swr_requests": self.request_context.requests,
            "swr_request_ids": self.request_context.request_ids,
            "client": self._environ.get("REMOTE_ADDR"),
            "error": self._environ.get("adapter.error"),
        }
        level = logging.DEBUG if self._listener == "operations" else logging.INFO
        log.log(level, "request", extra={"fields": fields})


class _Logged:
    """The counted blocks of a response; the server calls `close` however the response ends."""

    def __init__(self, chunks: Iterable[bytes], request: _Request, done: Callable[[], None]) -> None:
        self._chunks = chunks
        self._request = request
        self._done = done

    def __iter__(self) -> Iterator[bytes]:
        started = False
        try:
            for chunk in self._chunks:
                self._request.count(len(chunk))
                started = True
                yield chunk
        except Exception as error:
            if isinstance(error, OSError) or not started:
                raise
            # Otherwise the server would end the connection in order, as if the response were complete.
            log.exception("a response was aborted midway")
            raise ConnectionResetError(errno.ECONNRESET, "the response was aborted") from error

    def close(self) -> None:
        try:
            if callable(close := getattr(self._chunks, "close", None)):
                close()
        finally:
            self._request.log()
            self._done()


class _CountedInput:
    """`wsgi.input` that counts the bytes read; everything else is that of the server."""

    def __init__(self, stream: Any, count: Callable[[int], None]) -> None:
        self._stream = stream
        self._count = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def read(self, *size: int) -> bytes:
        return self._counted(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._counted(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._counted(line) for line in self._stream.readlines(*hint)]

    def _counted(self, data: bytes) -> bytes:
        self._count(len(data))
        return data
