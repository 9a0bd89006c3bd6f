"""WSGI middleware around each origin: journal, log line and fault injection."""

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

from adapter.sandbox.context import Context
from adapter.sandbox.faults import Fault
from adapter.sandbox.journal import Exchange
from adapter.sandbox.request_bodies import announced_length

LINGER_SECONDS = 5
LINGER_BYTES = 64 << 20

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class CountingInput:
    """`wsgi.input` that counts the bytes read in the journal entry."""

    def __init__(self, source: Any, exchange: Exchange) -> None:
        self._source = source
        self._exchange = exchange

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._source.read(size)
        self._exchange.received += len(data)
        return data


class HeldResponse:
    """Status and headers of the application, held until the body begins, so that a fault can replace them."""

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


def _disconnect(environ: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        environ["gunicorn.socket"].shutdown(socket.SHUT_RDWR)


def _cut(body: Iterable[bytes], after: int, environ: dict[str, Any]) -> Iterator[bytes]:
    """Sends the first bytes of the body, then closes the connection."""
    remaining = after
    try:
        for block in body:
            yield block[:remaining]
            remaining -= len(block)
            if remaining <= 0:
                break
    finally:
        _disconnect(environ)
        _close(body)


def _discard(source: Any, count: int) -> None:
    with contextlib.suppress(OSError, ParseException):
        while count > 0 and (block := source.read(min(count, 1 << 16))):
            count -= len(block)


class InterruptedInput:
    """A body that fails after `remaining` bytes."""

    def __init__(self, source: Any, remaining: int) -> None:
        self._source = source
        self._remaining = remaining

    def read(self, size: int) -> bytes:
        if self._remaining <= 0:
            raise OSError("body interrupted by a fault rule")
        block: bytes = self._source.read(min(size, self._remaining))
        self._remaining -= len(block)
        return block


class LingeringBody:
    """The response to a request whose body was not read to its end; reads the rest after the response was sent.

    Without this, closing the connection would reset it, and a client that is still sending would lose the response.
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
        _discard(self._source, LINGER_BYTES)


class Middleware:
    """An origin with journal, log line and faults. `/sandbox/` has none of them."""

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
            environ["wsgi.input"] = InterruptedInput(environ["wsgi.input"], fault.break_body_after)
        response = HeldResponse()
        body = self._respond(environ, response, fault)
        cut = fault.cut_after_bytes if fault else None
        exchange.account = environ.get("sandbox.account")
        exchange.status = int(response.status[:3])
        self._log(exchange)
        if cut == 0:
            _disconnect(environ)
            _close(body)
            body = []
        start_response(response.status, response.headers)
        if cut is not None:
            return _cut(body, cut, environ) if cut else body
        length = announced_length(environ)
        return body if length == exchange.received else LingeringBody(body, environ, source)

    def _respond(self, environ: dict[str, Any], response: HeldResponse, fault: Fault | None) -> Iterable[bytes]:
        if fault is None:
            return self._app(environ, response.start_response)
        if fault.when == "before":
            time.sleep(fault.delay)
            _discard(environ["wsgi.input"], fault.read_bytes)
            if fault.status is not None or fault.cut_after_bytes == 0:
                return self._replaced(fault, response)
            return self._app(environ, response.start_response)
        body = self._app(environ, response.start_response)
        time.sleep(fault.delay)
        if fault.status is None:
            return body
        _close(body)
        return self._replaced(fault, response)

    def _replaced(self, fault: Fault, response: HeldResponse) -> list[bytes]:
        data = (fault.body if isinstance(fault.body, str) else json.dumps(fault.body)).encode()
        status = fault.status or 500
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
        headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(data)), **fault.headers}
        response.start_response(f"{status} {phrase}", list(headers.items()))
        return [data]

    def _log(self, exchange: Exchange) -> None:
        fault = " (fault)" if exchange.fault else ""
        path = exchange.path.encode("unicode_escape").decode("ascii")
        sys.stdout.write(
            f"sandbox {self._origin} {exchange.method} {path} {exchange.status} {exchange.received}{fault}\n"
        )
        sys.stdout.flush()
