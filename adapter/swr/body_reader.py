"""The content of an answer, straight from SWR's socket into the caller's buffer.

urllib3 and `http.client` make new memory for each block and pass each TLS record through several layers, which costs
more than all else; and while they wait they do not see that the caller leaves. So all of a content of known length but
its last byte is received here. That one comes through urllib3, which so ends the answer as ever: what is missing is an
error, and a connection that is good goes back to its pool.
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

from adapter.http.connections import ListeningSocket, heard
from adapter.http.request_context import DISCONNECT_POLL_SECONDS, client_disconnected

END: Final = 1
"""Bytes that are left to urllib3."""
PAUSE: Final = 0.05
"""Seconds after which a block goes on with what it has."""
STALL: Final = 60.0
"""Seconds of silence after which SWR is given up."""


class BodyReader:
    """An answer's bytes but for the last `END`; `left` is how many there are. Made by `body_reader_for`."""

    def __init__(self, raw: Any, answer: http.client.HTTPResponse, connection: socket.socket) -> None:
        self._raw = raw
        self._answer = answer
        self._connection = connection
        self.left = (answer.length or 0) - END

    @contextlib.contextmanager
    def straight(self) -> Iterator[None]:
        """Around `first`, `fill` and `last`."""
        policy = self._connection.gettimeout()
        self._connection.settimeout(0)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self._connection.settimeout(policy)

    def first(self, size: int) -> bytes:
        """What was read along with the head, `size` bytes at most, perhaps nothing; without waiting."""
        try:
            block: bytes = self._answer.fp.read1(min(size, self.left))
        except ssl.SSLWantReadError:
            block = b""
        self._took(len(block))
        return block

    def fill(self, view: memoryview) -> int:
        """Puts up to `len(view)` bytes there and says how many: as many as come within `PAUSE`, but at least one.

        0 at an early end. Raises `TimeoutError` when nothing comes in time, `ConnectionAbortedError` when the caller
        has left meanwhile, `OSError`.
        """
        view = view[: self.left]
        got, until = 0, time.monotonic() + PAUSE
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
        self._took(got)
        return got

    def last(self) -> None:
        """When nothing is `left`: waits for what urllib3 reads then. Raises as `fill` does."""
        with contextlib.suppress(ssl.SSLWantReadError):
            if self._answer.fp.peek(1):
                # It was read along with the head.
                return
        while not heard(self._connection):
            self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + STALL
        while not wait_for_read(self._connection, min(DISCONNECT_POLL_SECONDS, STALL)):
            if client_disconnected():
                raise ConnectionAbortedError("the caller has left")
            if time.monotonic() >= until:
                raise TimeoutError("SWR sends no more of a blob")

    def _received(self, view: memoryview) -> int | None:
        """None when nothing has come yet, 0 at the end."""
        try:
            if isinstance(self._connection, ListeningSocket):
                return self._connection.receive(view)
            return self._connection.recv_into(view)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def _took(self, count: int) -> None:
        self.left -= count
        self._answer.length = self._raw.length_remaining = self.left + END


def body_reader_for(response: requests.Response) -> BodyReader | None:
    """None unless the answer is of known length, and the insides of urllib3 and `http.client` are the known ones: they
    are not documented. `response` is unread."""
    try:
        raw: Any = response.raw
        answer: Any = raw._fp  # noqa: SLF001
        connection = answer.fp.raw._sock  # noqa: SLF001
        known = (
            isinstance(answer, http.client.HTTPResponse)
            and isinstance(connection, socket.socket)
            and not answer.chunked
            and answer.length == raw.length_remaining
            and (answer.length or 0) > END
        )
    except (AttributeError, TypeError):
        return None
    return BodyReader(raw, answer, connection) if known else None
