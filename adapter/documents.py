"""Memory for documents (manifests, JSON): one limit for the process, and one parser.

One document is small; a hundred at once are not, whether they come from callers or from SWR. So received bytes are
charged to the request that holds them, and released when its response is sent. A parsed document needs many times the
memory of its text, so it is charged too, before it is parsed. Pure.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from adapter.errors import Busy

MAX_BYTES: Final = 64 << 20
"""Limit for all documents of the process."""
RESERVED_BYTES: Final = 16 << 20
"""Part of the limit for requests of up to `LARGE_BYTES`: large documents cannot keep small ones out."""
LARGE_BYTES: Final = 256 << 10
"""Above this size a request is large, and documents are parsed one at a time."""
MAX_VALUES: Final = 250_000
"""Approximate limit of values in a document: a manifest of 4 MiB with the shortest valid layers has 140,000."""
VALUE_BYTES: Final = 100
"""Approximate memory of a parsed value."""
WAIT_SECONDS: Final = 5.0
"""How long a document of SWR waits for memory: Harbor lists a hundred repositories at once."""
RETRY_AFTER: Final = 5.0
"""Seconds; Harbor waits 2, 4, 8 and 16 before it sends a blob again (`docs/facts/harbor.md D.2`)."""

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class TooManyValues(ValueError):
    """A document has more than `MAX_VALUES` values; it was not parsed."""


class DocumentMemory:
    """The memory that all requests of the process share. Thread-safe."""

    def __init__(self, limit: int = MAX_BYTES, reserved: int = RESERVED_BYTES) -> None:
        self._limit = limit
        self._reserved = reserved
        self._freed = threading.Condition()
        self.used = 0
        self.parsing = threading.Lock()

    def take(self, count: int, *, large: bool, wait: float) -> None:
        """Charges `count` bytes. Raises `Busy` when they are not free within `wait` seconds."""
        limit = self._limit - (self._reserved if large else 0)
        with self._freed:
            if not self._freed.wait_for(lambda: self.used + count <= limit, wait):
                raise Busy(
                    f"no memory for further documents ({self.used >> 20} of {limit >> 20} MiB in use): try again later",
                    retry_after=RETRY_AFTER,
                )
            self.used += count

    def give_back(self, count: int) -> None:
        with self._freed:
            self.used -= count
            self._freed.notify_all()

    def charged(self, app: WsgiApp) -> WsgiApp:
        """WSGI middleware: charges each request for its documents until its last byte is sent."""

        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            charges = Charges(self)
            token = current.set(charges)

            def done() -> None:
                current.reset(token)
                charges.close()

            try:
                return _Charged(app(environ, start_response), done)
            except BaseException:
                done()
                raise

        return call


class Charges:
    """The charges of one request: the bytes of its documents, and the largest one that it has parsed."""

    def __init__(self, memory: DocumentMemory) -> None:
        self.memory = memory
        self._text = 0
        self._parsed = 0

    def hold(self, count: int, wait: float = 0.0) -> None:
        """Charges `count` bytes of text. Raises `Busy`."""
        self.memory.take(count, large=self._text + self._parsed + count > LARGE_BYTES, wait=wait)
        self._text += count

    def hold_parsed(self, size: int, wait: float = 0.0) -> None:
        """Charges `size` bytes unless a larger parsed document is charged already: a request may parse a document
        several times. Raises `Busy`."""
        if (more := size - self._parsed) > 0:
            self.memory.take(more, large=self._text + size > LARGE_BYTES, wait=wait)
            self._parsed = size

    @contextlib.contextmanager
    def dropping(self) -> Iterator[None]:
        """Releases at the end of the block what was charged in the block."""
        text, parsed = self._text, self._parsed
        try:
            yield
        finally:
            more = self._text - text + self._parsed - parsed
            self._text, self._parsed = text, parsed
            self.memory.give_back(more)

    def close(self) -> None:
        """Safe to call twice."""
        held, self._text, self._parsed = self._text + self._parsed, 0, 0
        self.memory.give_back(held)


current: Final[ContextVar[Charges | None]] = ContextVar("document_charges", default=None)
"""Charges of the request that this thread serves, if any."""


class _Charged:
    """The blocks of a response; the server calls `close` however the response ends."""

    def __init__(self, chunks: Iterable[bytes], done: Callable[[], None]) -> None:
        self._chunks = chunks
        self._done = done

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        try:
            if callable(close := getattr(self._chunks, "close", None)):
                close()
        finally:
            self._done()


def hold(count: int, wait: float = 0.0) -> None:
    """Charges the request of this thread, if any, for `count` bytes. Raises `Busy`."""
    if (charges := current.get()) is not None:
        charges.hold(count, wait)


def dropping() -> contextlib.AbstractContextManager[None]:
    """For a document that is not kept: releases at the end of the block what was charged in the block."""
    charges = current.get()
    return contextlib.nullcontext() if charges is None else charges.dropping()


def parse_json(data: bytes | bytearray | str, wait: float = WAIT_SECONDS, **options: Any) -> Any:
    """`json.loads` with limits. Raises `ValueError` for invalid or too deeply nested JSON, `TooManyValues`, `Busy`."""
    values = _values(data)
    if values > MAX_VALUES:
        raise TooManyValues(f"about {values} values (limit {MAX_VALUES})")
    charges = current.get()
    if charges is None:
        return _parsed(data, options)
    # A text with one letter beyond Latin-1 needs up to four bytes for each of its characters.
    charges.hold_parsed(len(data) * (1 if data.isascii() else 4) + values * VALUE_BYTES, wait)
    with charges.memory.parsing if len(data) > LARGE_BYTES else contextlib.nullcontext():
        return _parsed(data, options)


def _parsed(data: bytes | bytearray | str, options: dict[str, Any]) -> Any:
    try:
        return json.loads(data, **options)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _values(data: bytes | bytearray | str) -> int:
    """Upper bound of the number of values, minus one; characters inside strings count too."""
    if isinstance(data, str):
        return data.count("{") + data.count("[") + data.count(",")
    return data.count(b"{") + data.count(b"[") + data.count(b",")
