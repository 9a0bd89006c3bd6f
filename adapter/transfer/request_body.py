"""The body of a request as blocks, counted: exactly the announced number of bytes must come.

gunicorn passes a body whose client disconnected as a body with a clean end, so only counting reveals it. Errors raised
here are not `OSError`: urllib3 would ignore an `OSError` while it sends, and then wait for a response that cannot come.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter.documents import hold
from adapter.errors import SizeInvalid, TooLarge
from adapter.transfer.body_source import BLOCK_BYTES, Source, source_of

DOCUMENT_BLOCK_BYTES: Final = 64 << 10
"""Bytes of a document that are received at a time, into one buffer."""
BUFFERS: Final = 4
"""Blocks of a body that are valid at a time: one is filled, one is held back, one or two are hashed."""
BUFFERS_WITHOUT_HASH: Final = 2
"""`BUFFERS`, if nothing is hashed: less memory stays in the processor's cache."""


def announced_length(environ: Mapping[str, Any]) -> int | None:
    """Bytes of a WSGI request's body: None for a chunked body, 0 if the request announces none."""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return None
    return int(environ.get("CONTENT_LENGTH") or 0)


@dataclass(frozen=True)
class Pace:
    """How long a body may take: `grace` seconds, and one more for each `rate` bytes that came."""

    grace: float
    rate: float


BLOB: Final = Pace(grace=60.0, rate=512.0)
"""Half of the lowest rate to which a replication rule can be throttled."""
DOCUMENT: Final = Pace(grace=10.0, rate=16384.0)
"""Harbor throttles blobs only, and sends a manifest at once."""


class Body:
    """Iterates over the blocks once. A block is valid until `buffers - 1` more blocks were taken.

    `length` is the announced number of bytes, None for a chunked body without an announcement; `max_bytes` is the limit
    of the latter, beyond which `TooLarge` is raised. `received` counts bytes.
    """

    def __init__(
        self,
        source: Source,
        length: int | None,
        max_bytes: int | None = None,
        pace: Pace = BLOB,
        buffers: int = BUFFERS,
        block: int = BLOCK_BYTES,
    ) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._pace = pace
        self._buffers = buffers
        self._block = block
        self._waited = 0.0
        self.length = length
        self.received = 0

    def __iter__(self) -> Iterator[memoryview]:
        buffers: list[memoryview] = []
        while (size := self._next_size()) > 0:
            if len(buffers) < self._buffers:
                buffers.append(memoryview(bytearray(size)))
            else:
                buffers.append(buffers.pop(0))
            block = self._filled(buffers[-1][:size])
            if not block:
                break
            self.received += len(block)
            if self._max_bytes is not None and self.received > self._max_bytes:
                raise TooLarge(
                    f"the layer is too large, more than {self._max_bytes} bytes in this request (limit "
                    "SWR_ADAPTER_MAX_LAYER_BYTES; SWR accepts 10 GB according to OTC's documentation): split it into "
                    "smaller layers"
                )
            yield block
        if self.length is not None and self.received < self.length:
            raise SizeInvalid(
                f"the body ended after {self.received} of {self.length} bytes, nothing was stored: send it again"
            )
        # A chunked body may be longer than its Content-Range announced.
        if self.length is not None and self._filled(memoryview(bytearray(1))):
            raise SizeInvalid(
                f"the body is longer than the {self.length} bytes announced, nothing was stored: send it again"
            )

    def close(self) -> None:
        """Ends reading, so that a response can be sent. Safe to call at any time but while a block is taken."""
        self._source.release()

    def _next_size(self) -> int:
        return self._block if self.length is None else min(self._block, self.length - self.received)

    def _filled(self, view: memoryview) -> memoryview:
        left = self._pace.grace + self.received / self._pace.rate - self._waited
        if left < 0:
            raise SizeInvalid(
                f"the body came too slowly ({self.received} bytes so far), nothing was stored: send it again"
            )
        started = time.monotonic()
        try:
            filled = view[: self._source.fill(view, started + left)]
            self._waited += time.monotonic() - started
            return filled
        except TimeoutError as error:
            raise SizeInvalid(
                f"the body stopped after {self.received} bytes, nothing was stored: send it again"
            ) from error
        except Exception as error:  # the server's own classes for a lost connection and for malformed chunks
            raise SizeInvalid(
                f"the connection was lost after {self.received} bytes of the body, nothing was stored: send it again"
            ) from error


def peek(body: Body) -> tuple[bool, Callable[[], Iterator[memoryview]]]:
    """Whether the body has bytes, for which a chunked body must be read; and a function for all its blocks."""
    blocks = iter(body)
    first = next(blocks, None)

    def all_blocks() -> Iterator[memoryview]:
        if first is not None:
            yield first
        yield from blocks

    return first is not None, all_blocks


def reject_larger(environ: Mapping[str, Any], max_bytes: int, what: str) -> None:
    """Raises `TooLarge` for a document announced with more than `max_bytes`, before any of it is read."""
    if (announced_length(environ) or 0) > max_bytes:
        raise _too_large(what, max_bytes)


def read_all(environ: Mapping[str, Any], max_bytes: int, what: str) -> bytes:
    """The document that a WSGI request carries. Its bytes count towards the memory limit for documents as they arrive.

    `what` is the document in an error, with an article. Raises `TooLarge` beyond `max_bytes`, `SizeInvalid` as `Body`
    does, `Busy` if the process holds too many documents.
    """
    reject_larger(environ, max_bytes, what)
    data = bytearray()
    body = Body(source_of(environ), announced_length(environ), pace=DOCUMENT, buffers=1, block=DOCUMENT_BLOCK_BYTES)
    with contextlib.closing(body):
        for block in body:
            if len(data) + len(block) > max_bytes:
                raise _too_large(what, max_bytes)
            hold(len(block))
            data += block
    return bytes(data)


def _too_large(what: str, max_bytes: int) -> TooLarge:
    return TooLarge(f"{what} must not exceed {max_bytes} bytes: send a smaller one")
