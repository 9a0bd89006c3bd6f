"""Reads the body of a response from SWR's socket directly into a buffer.

urllib3 and `http.client` allocate memory for each block and pass each TLS record through several layers, which costs
more than the rest of a download; and while they wait, they do not notice that the client disconnects. So a body of
known length is read here, except for its last byte. urllib3 reads that one and ends the response as usual: a missing
byte is an error, and an intact connection returns to its pool.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, Final

import requests
from urllib3.util.wait import wait_for_read

from adapter.http.client_disconnect import DISCONNECT_POLL_SECONDS, client_disconnected
from adapter.http.tls import TLSSocket, has_data

LAST_BYTES: Final = 1
"""Bytes at the end of a body that urllib3 reads."""
FILL_SECONDS: Final = 0.05
"""Time after which a partly filled block is passed on."""
STALL_SECONDS: Final = 60.0
"""Time without data after which the download fails."""


class BodyReader:
    """The body of a response, except for `LAST_BYTES`; `left` is the number of bytes. Made by `body_reader_for`."""

    def __init__(self, raw: Any, answer: http.client.HTTPResponse, connection: socket.socket) -> None:
        self._raw = raw
        self._answer = answer
        self._connection = connection
        self.left = (answer.length or 0) - LAST_BYTES

    @contextlib.contextmanager
    def nonblocking(self) -> Iterator[None]:
        """A block in which the socket does not block: `first`, `fill` and `last` must be called inside."""
        timeout = self._connection.gettimeout()
        self._connection.settimeout(0)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self._connection.settimeout(timeout)

    def first(self, size: int) -> bytes:
        """The bytes that were read along with the head, at most `size`, possibly none; without waiting."""
        try:
            block: bytes = self._answer.fp.read1(min(size, self.left))
        except ssl.SSLWantReadError:
            block = b""
        self._note_read(len(block))
        return block

    def fill(self, view: memoryview) -> int:
        """Reads up to `len(view)` bytes, as many as arrive within `FILL_SECONDS` but at least one; returns the number.

        0 at an early end. Raises `TimeoutError` if nothing arrives in time, `ConnectionAbortedError` if the client has
        disconnected, `OSError`.
        """
        view = view[: self.left]
        got, until = 0, time.monotonic() + FILL_SECONDS
        while got < len(view):
            more = self._received(view[got:])
            if more == 0:
                break
            if more is not None:
                got += more
            elif not got:
                self._wait()
            elif not wait_for_read(self._connection, max(0.0, until - time.monotonic())):
                break
        self._note_read(got)
        return got

    def last(self) -> None:
        """When nothing is `left`: waits for the byte that urllib3 then reads. Raises as `fill` does."""
        with contextlib.suppress(ssl.SSLWantReadError):
            if self._answer.fp.peek(1):
                # The byte was read along with the head.
                return
        while not has_data(self._connection):
            self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + STALL_SECONDS
        while not wait_for_read(self._connection, min(DISCONNECT_POLL_SECONDS, STALL_SECONDS)):
            if client_disconnected():
                raise ConnectionAbortedError("the client disconnected")
            if time.monotonic() >= until:
                raise TimeoutError("SWR stopped sending the blob")

    def _received(self, view: memoryview) -> int | None:
        """None if nothing has arrived yet, 0 at the end."""
        try:
            if isinstance(self._connection, TLSSocket):
                return self._connection.receive(view)
            return self._connection.recv_into(view)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def _note_read(self, count: int) -> None:
        self.left -= count
        self._answer.length = self._raw.length_remaining = self.left + LAST_BYTES


def body_reader_for(response: requests.Response) -> BodyReader | None:
    """A reader for an unread response of known length; None for any other, and if the undocumented internals of urllib3
    and `http.client` have changed."""
    try:
        raw: Any = response.raw
        answer: Any = raw._fp  # noqa: SLF001
        connection = answer.fp.raw._sock  # noqa: SLF001
        known = (
            isinstance(answer, http.client.HTTPResponse)
            and isinstance(connection, socket.socket)
            and not answer.chunked
            and answer.length == raw.length_remaining
            and (answer.length or 0) > LAST_BYTES
        )
    except (AttributeError, TypeError):
        return None
    return BodyReader(raw, answer, connection) if known else None
