"""A blob on its way to the caller: streamed, counted, and ended at SWR when the caller leaves."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Final

import requests
from urllib3.exceptions import HTTPError

from adapter.errors import Unexpected
from adapter.http.connections import BLOCK
from adapter.numerals import whole_number
from adapter.swr.body_reader import body_reader_for

log = logging.getLogger(__name__)

_KEPT: Final = ("Content-Type", "Content-Range", "Content-Encoding", "Accept-Ranges")


class Download:
    """An open answer of SWR's. When SWR ends early its iteration raises `ConnectionResetError`, by which the server
    ends the caller's connection: a clean end would pass a part for the whole. Raises `Unexpected` for a length that is
    none, with the answer closed.

    Most of a long content goes out on the connection itself, past the server, which would want new memory for each
    block; `told` is then called with the number of bytes. `length` is in bytes, as announced; None when SWR does not
    tell, and then it may be set by whoever knows.
    """

    def __init__(
        self,
        response: requests.Response,
        connection: socket.socket | None,
        told: Callable[[int], object] | None = None,
    ) -> None:
        self._response = response
        self._connection = connection
        self._told = told
        self.length = _length_of(response)

    @property
    def status(self) -> int:
        """200 or 206."""
        return self._response.status_code

    @property
    def whole(self) -> bool:
        """Whether the content is all of the blob, as it is."""
        return self.status == 200 and "Content-Encoding" not in self._response.headers

    @property
    def headers(self) -> dict[str, str]:
        """Those that describe the content."""
        kept = {name: self._response.headers[name] for name in _KEPT if name in self._response.headers}
        return kept if self.length is None else kept | {"Content-Length": str(self.length)}

    @property
    def ends_by_itself(self) -> bool:
        """Whether its end can be told from a connection that broke."""
        return self.length is not None or "chunked" in self._response.headers.get("Transfer-Encoding", "").lower()

    def __iter__(self) -> Iterator[bytes]:
        """What the server has to send; in between, what goes past it."""
        sent = 0
        blocks = self._blocks()
        while True:
            try:
                block = next(blocks, None)
            except (HTTPError, OSError) as error:
                log.warning("a blob broke off after %d bytes: %s", sent, type(error).__name__)
                raise ConnectionResetError(errno.ECONNRESET, "the blob was cut") from error
            if block is None:
                break
            sent += len(block)
            if isinstance(block, bytes):
                yield block
            elif self._connection is not None:
                self._connection.sendall(block)
                if self._told is not None:
                    self._told(len(block))
        if self.length is not None and sent < self.length:
            log.warning("SWR ended a blob after %d of %d bytes", sent, self.length)
            raise ConnectionResetError(errno.ECONNRESET, "the blob was cut")

    def _blocks(self) -> Iterator[bytes | memoryview]:
        """A memoryview is valid until the next block is taken, and is for the connection itself."""
        content = None if self._connection is None else body_reader_for(self._response)
        if content is not None:
            with content.straight():
                # Before it, be it nothing, the server sends the head.
                yield content.first(BLOCK)
                buffer = memoryview(bytearray(min(BLOCK, content.left)))
                while content.left:
                    if not (count := content.fill(buffer)):
                        return
                    yield buffer[:count]
                content.last()
        yield from self._response.raw.stream(BLOCK, decode_content=False)

    def close(self) -> None:
        """Ends the transfer from SWR; safe to call twice."""
        self._response.close()


def _length_of(response: requests.Response) -> int | None:
    """None when SWR does not say it: chunks have the last word about where a content ends."""
    told = response.headers.get("Content-Length")
    if told is None or "chunked" in response.headers.get("Transfer-Encoding", "").lower():
        return None
    length = whole_number(told)
    if length is None:
        response.close()
        raise Unexpected("SWR returned a blob with an invalid Content-Length: report this")
    return length
