"""The body of a request as blocks, counted: what was announced must come, no less and no more.

gunicorn delivers a body that the client cut as a clean end, so only counting tells. Errors raised here are no
`OSError`: urllib3 would swallow those while it sends and then wait for an answer that cannot come.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter.documents import hold
from adapter.errors import SizeInvalid, TooLarge
from adapter.transfer.body_source import BLOCK, Source, source_of

SLOWEST: Final = 512.0
"""Bytes a second, on average, of a client that is worth a thread: half of the least that a rule can be throttled to."""
INDULGENCE: Final = 60.0
"""Seconds in which a body may come more slowly."""
PROMPT: Final = 10.0
"""The same for a document: Harbor throttles blobs alone, and sends a manifest at once."""
SLOWEST_DOCUMENT: Final = 16384.0
"""Bytes a second of a document, on average."""
DOCUMENT_BLOCK: Final = 64 << 10
"""Bytes of a document that are received at once, into one buffer."""
BUFFERS: Final = 4
"""Blocks of a body that are valid at a time: one is filled, one held back, one or two are being hashed."""
UNHASHED: Final = 2
"""The same where nothing is hashed: what is moved through less memory stays in the processor's cache."""


def announced_length(environ: Mapping[str, Any]) -> int | None:
    """Bytes of a WSGI request's body: None for a chunked one; a request that announces nothing has none."""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return None
    return int(environ.get("CONTENT_LENGTH") or 0)


@dataclass(frozen=True)
class Pace:
    """How long a body may take: `grace` seconds, and one more for each `rate` bytes that came."""

    grace: float
    rate: float


BLOB: Final = Pace(INDULGENCE, SLOWEST)
DOCUMENT: Final = Pace(PROMPT, SLOWEST_DOCUMENT)


class Body:
    """Iterates over the blocks once; a block is valid until `buffers - 1` further ones were taken.

    `length` is what was announced, None for a chunked body that announced nothing; `largest` is where the latter ends
    with `TooLarge`. `received` counts bytes.
    """

    def __init__(
        self,
        source: Source,
        length: int | None,
        largest: int | None = None,
        pace: Pace = BLOB,
        buffers: int = BUFFERS,
        block: int = BLOCK,
    ) -> None:
        self._source = source
        self._largest = largest
        self._pace = pace
        self._buffers = buffers
        self._block = block
        self._waited = 0.0
        self.length = length
        self.received = 0

    def __iter__(self) -> Iterator[memoryview]:
        buffers: list[memoryview] = []
        while (size := self._wanted()) > 0:
            if len(buffers) < self._buffers:
                buffers.append(memoryview(bytearray(size)))
            else:
                buffers.append(buffers.pop(0))
            block = self._filled(buffers[-1][:size])
            if not block:
                break
            self.received += len(block)
            if self._largest is not None and self.received > self._largest:
                raise TooLarge(
                    f"more than {self._largest} bytes: SWR takes no larger layer (10 GB by OTC's documentation)"
                )
            yield block
        if self.length is not None and self.received < self.length:
            raise SizeInvalid(f"the body ended after {self.received} of {self.length} bytes: nothing was stored")
        # A chunked body may go on after what its Content-Range announced.
        if self.length is not None and self._filled(memoryview(bytearray(1))):
            raise SizeInvalid(f"the body is longer than the {self.length} bytes announced: nothing was stored")

    def close(self) -> None:
        """No more blocks are taken, and an answer can be sent. Safe to call at any time but while one is taken."""
        self._source.release()

    def _wanted(self) -> int:
        return self._block if self.length is None else min(self._block, self.length - self.received)

    def _filled(self, view: memoryview) -> memoryview:
        left = self._pace.grace + self.received / self._pace.rate - self._waited
        if left < 0:
            raise SizeInvalid(
                f"the body came too slowly ({self.received} bytes so far): nothing was stored, send it again"
            )
        begun = time.monotonic()
        try:
            filled = view[: self._source.fill(view, begun + left)]
            self._waited += time.monotonic() - begun
            return filled
        except TimeoutError as error:
            raise SizeInvalid(
                f"the body stopped after {self.received} bytes and did not continue in time: nothing was stored, send "
                "it again"
            ) from error
        except Exception as error:  # the server's own kinds for a cut connection and bad chunk framing
            raise SizeInvalid(f"the body broke off after {self.received} bytes: nothing was stored") from error


def peek(body: Body) -> tuple[bool, Callable[[], Iterator[memoryview]]]:
    """Whether there are bytes, and what gives all blocks: an empty chunked body must be told from one with bytes."""
    blocks = iter(body)
    first = next(blocks, None)

    def all_blocks() -> Iterator[memoryview]:
        if first is not None:
            yield first
        yield from blocks

    return first is not None, all_blocks


def refuse_larger(environ: Mapping[str, Any], largest: int, what: str) -> None:
    """Raises `TooLarge` for a document that is announced with more than `largest` bytes, before any of it is read."""
    if (announced_length(environ) or 0) > largest:
        raise _too_large(what, largest)


def read_all(environ: Mapping[str, Any], largest: int, what: str) -> bytes:
    """A document in one piece, of a WSGI request, which is charged for it as it comes.

    Raises `TooLarge` beyond `largest` bytes, `SizeInvalid` as `Body` does, `Busy` when the process holds too many
    documents.
    """
    refuse_larger(environ, largest, what)
    data = bytearray()
    body = Body(source_of(environ), announced_length(environ), pace=DOCUMENT, buffers=1, block=DOCUMENT_BLOCK)
    with contextlib.closing(body):
        for block in body:
            if len(data) + len(block) > largest:
                raise _too_large(what, largest)
            hold(len(block))
            data += block
    return bytes(data)


def _too_large(what: str, largest: int) -> TooLarge:
    return TooLarge(f"{what} has at most {largest} bytes")
