"""Streams a blob to the client: counted, and canceled at SWR when the client disconnects."""

from __future__ import annotations

import errno
import logging
import re
import socket
from collections.abc import Callable, Iterator
from typing import Final

import requests
from urllib3.exceptions import HTTPError

from adapter.errors import Unexpected
from adapter.http.upstream_connections import BLOCK_BYTES
from adapter.numerals import whole_number
from adapter.swr.body_reader import body_reader_for

log = logging.getLogger(__name__)

_RANGE: Final = re.compile(r"bytes=[ \t]{0,8}(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]{0,8}", re.IGNORECASE)
_CONTENT_HEADERS: Final = ("Content-Type", "Content-Range", "Content-Encoding", "Accept-Ranges")


def requested_range(value: str | None, condition: str | None, digest: str) -> str | None:
    """The range to request from SWR, `bytes=<first>-<last>`; None for the whole blob. Pure.

    `value` is the `Range` of a request, `condition` its `If-Range`. A server ignores an unknown unit, a malformed
    range, and any range whose condition is for another version of the content (RFC 9110 sections 13.1.5 and 14.2). It
    may ignore several ranges. SWR decides about a range that ends before it starts, or starts past the end. A blob has
    one version, and `"<digest>"` is its ETag.
    """
    if value is None or (condition is not None and condition.strip(" \t") != f'"{digest}"'):
        return None
    found = _RANGE.fullmatch(value.strip(" \t"))
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return f"bytes=-{suffix}"
    return f"bytes={first}-{last}"


class Download:
    """The open response of SWR to GET of a blob. Raises `Unexpected` for an invalid Content-Length, after closing it.

    If SWR ends early, iterating raises `ConnectionResetError`, upon which the server resets the client's connection: a
    clean end would make a part look like the whole blob.

    Most of a long blob is written to the connection directly, since the server would allocate memory for each block;
    `count_sent` is then called with the number of bytes. `length` is in bytes, as announced by SWR; None if SWR sends
    none, and a caller that knows it may then set it.
    """

    def __init__(
        self,
        response: requests.Response,
        connection: socket.socket | None,
        count_sent: Callable[[int], object] | None = None,
    ) -> None:
        self._response = response
        self._connection = connection
        self._count_sent = count_sent
        self.length = _length_of(response)

    @property
    def status(self) -> int:
        """200 or 206."""
        return self._response.status_code

    @property
    def is_whole_blob(self) -> bool:
        """Whether the content is the whole blob, without an encoding."""
        return self.status == 200 and "Content-Encoding" not in self._response.headers

    @property
    def headers(self) -> dict[str, str]:
        """The headers that describe the content."""
        found = {name: self._response.headers[name] for name in _CONTENT_HEADERS if name in self._response.headers}
        return found if self.length is None else found | {"Content-Length": str(self.length)}

    @property
    def has_explicit_end(self) -> bool:
        """Whether the end of the content can be distinguished from a lost connection."""
        return self.length is not None or "chunked" in self._response.headers.get("Transfer-Encoding", "").lower()

    def __iter__(self) -> Iterator[bytes]:
        """Yields the blocks that the server must send; writes the others to the connection."""
        sent = 0
        blocks = self._blocks()
        while True:
            try:
                block = next(blocks, None)
            except (HTTPError, OSError) as error:
                log.warning("blob download from SWR failed after %d bytes: %s", sent, type(error).__name__)
                raise ConnectionResetError(errno.ECONNRESET, "incomplete blob") from error
            if block is None:
                break
            sent += len(block)
            if isinstance(block, bytes):
                yield block
            elif self._connection is not None:
                self._connection.sendall(block)
                if self._count_sent is not None:
                    self._count_sent(len(block))
        if self.length is not None and sent < self.length:
            log.warning("SWR closed a blob download after %d of %d bytes", sent, self.length)
            raise ConnectionResetError(errno.ECONNRESET, "incomplete blob")

    def _blocks(self) -> Iterator[bytes | memoryview]:
        """A memoryview is for the connection itself, and is valid until the next block is taken."""
        content = None if self._connection is None else body_reader_for(self._response)
        if content is not None:
            with content.nonblocking():
                # The server sends the head of the response before the first block, even if that block is empty.
                yield content.first(BLOCK_BYTES)
                buffer = memoryview(bytearray(min(BLOCK_BYTES, content.left)))
                while content.left:
                    if not (count := content.fill(buffer)):
                        return
                    yield buffer[:count]
                content.last()
        yield from self._response.raw.stream(BLOCK_BYTES, decode_content=False)

    def close(self) -> None:
        """Ends the transfer from SWR. Safe to call twice."""
        self._response.close()


def _length_of(response: requests.Response) -> int | None:
    """None without a Content-Length, and with chunked coding, which decides where the content ends."""
    announced = response.headers.get("Content-Length")
    if announced is None or "chunked" in response.headers.get("Transfer-Encoding", "").lower():
        return None
    length = whole_number(announced)
    if length is None:
        response.close()
        raise Unexpected("SWR returned a blob with an invalid Content-Length: report this with the request ID")
    return length
