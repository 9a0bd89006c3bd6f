"""Around every origin: the journal, the log line, and the faults that were ordered."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import ParseException

from adapter.sandbox.bodies import announced
from adapter.sandbox.context import Context
from adapter.sandbox.faults import Fault
from adapter.sandbox.journal import Exchange

LINGER_SECONDS = 5
LINGER_BYTES = 64 << 20

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class CountingInput:
    """`wsgi.input` that tells the journal how much was read."""

    def __init__(self, source: Any, exchange: Exchange) -> None:
        self._source = source
        self._exchange = exchange

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._source.read(size)
        self._exchange.received += len(data)
        return data


class Answer:
    """What the application said, held until its body begins, so that a fault can replace it."""

    def __init__(self) -> None:
        self.status = "500 INTERNAL SERVER ERROR"
        self.headers: list[tuple[str, str]] = []

    def start_response(
        self, status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], object]:
        self.status, self.headers = status, headers
        return lambda _: None


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close:
        close()


def _hang_up(environ: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        environ["gunicorn.socket"].shutdown(socket.SHUT_RDWR)


def _cut(body: Iterable[bytes], after: int, environ: dict[str, Any]) -> Iterator[bytes]:
    """The first bytes of the body, then the connection ends."""
    left = after
    try:
        for block in body:
            yield block[:left]
            left -= len(block)
            if left <= 0:
                break
    finally:
        _hang_up(environ)
        _close(body)


def _swallow(source: Any, count: int) -> None:
    with contextlib.suppress(OSError, ParseException):
        while count > 0 and (block := source.read(min(count, 1 << 16))):
            count -= len(block)


class BrokenInput:
    """A body that breaks off after `left` bytes."""

    def __init__(self, source: Any, left: int) -> None:
        self._source = source
        self._left = left

    def read(self, size: int) -> bytes:
        if self._left <= 0:
            raise OSError("broken off, as ordered")
        block: bytes = self._source.read(min(size, self._left))
        self._left -= len(block)
        return block


class Lingering:
    """An answer to a request whose body was not read to its end: the rest is taken after the answer has gone out.

    Otherwise closing the connection would reset it, and a client that still sends would lose the answer.
    """

    def __init__(self, body: Iterable[bytes], environ: dict[str, Any], source: Any) -> None:
        self._body = body
        self._environ = environ
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        _close(self._body)
        self._environ["gunicorn.socket"].settimeout(LINGER_SECONDS)
        _swallow(self._source, LINGER_BYTES)


class Observed:
    """An origin with everything that is not SWR's around it. `/sandbox/` is not journalled and never fails on order."""

    def __init__(self, origin: str, app: WsgiApp, context: Context) -> None:
        self._origin = origin
        self._app = app
        self._context = context

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._origin == "api" and environ["PATH_INFO"].startswith("/sandbox/"):
            return self._app(environ, start_response)
        exchange = self._context.journal.begin(self._origin, environ)
        source = environ["wsgi.input"]
        environ["wsgi.input"] = CountingInput(source, exchange)
        fault = self._context.faults.take(self._origin, exchange.method, exchange.path)
        exchange.fault = fault is not None
        if fault is not None and fault.break_body_after is not None:
            environ["wsgi.input"] = BrokenInput(environ["wsgi.input"], fault.break_body_after)
        answer = Answer()
        body = self._answered(environ, answer, fault)
        cut = fault.cut_after_bytes if fault else None
        exchange.account = environ.get("sandbox.account")
        exchange.status = int(answer.status[:3])
        self._log(exchange)
        if cut == 0:
            _hang_up(environ)
            _close(body)
            body = []
        start_response(answer.status, answer.headers)
        if cut is not None:
            return _cut(body, cut, environ) if cut else body
        length = announced(environ)
        return body if length == exchange.received else Lingering(body, environ, source)

    def _answered(self, environ: dict[str, Any], answer: Answer, fault: Fault | None) -> Iterable[bytes]:
        if fault is None:
            return self._app(environ, answer.start_response)
        if fault.when == "before":
            time.sleep(fault.delay)
            _swallow(environ["wsgi.input"], fault.read_bytes)
            if fault.status is not None or fault.cut_after_bytes == 0:
                return self._replaced(fault, answer)
            return self._app(environ, answer.start_response)
        body = self._app(environ, answer.start_response)
        time.sleep(fault.delay)
        if fault.status is None:
            return body
        _close(body)
        return self._replaced(fault, answer)

    def _replaced(self, fault: Fault, answer: Answer) -> list[bytes]:
        data = (fault.body if isinstance(fault.body, str) else json.dumps(fault.body)).encode()
        status = fault.status or 500
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
        headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(data)), **fault.headers}
        answer.start_response(f"{status} {phrase}", list(headers.items()))
        return [data]

    def _log(self, exchange: Exchange) -> None:
        fault = " (fault)" if exchange.fault else ""
        path = exchange.path.encode("unicode_escape").decode("ascii")
        sys.stdout.write(
            f"sandbox {self._origin} {exchange.method} {path} {exchange.status} {exchange.received}{fault}\n"
        )
        sys.stdout.flush()
