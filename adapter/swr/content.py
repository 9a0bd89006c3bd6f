"""The content of an answer, straight from SWR's socket into the caller's buffer.

urllib3 and `http.client` make new memory for each block and pass each TLS record through several layers, which costs
more than all else. So the middle of a long content of known length is received here. Its beginning, which was read
along with the head, and its end come through urllib3, which so ends the answer as ever: what is missing is an error,
and a connection that is good goes back to its pool.
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

from adapter.swr.connections import ListeningSocket

END: Final = 64 << 10
"""Bytes that are left to urllib3."""
PAUSE: Final = 0.05
"""Seconds after which a block goes on with what it has."""


class Content:
    """An answer's bytes but for the last `END`; `left` is how many there are. Made by `content_of`."""

    def __init__(self, raw: Any, answer: http.client.HTTPResponse, connection: socket.socket) -> None:
        self._raw = raw
        self._answer = answer
        self._connection = connection
        self._patience = connection.gettimeout()
        self.left = (answer.length or 0) - END

    def first(self, size: int) -> bytes:
        """What was read along with the head, else what comes: `size` bytes at most, none at an early end."""
        block: bytes = self._answer.read1(min(size, self.left))
        self._took(len(block))
        return block

    @contextlib.contextmanager
    def straight(self) -> Iterator[None]:
        """After `first`, around `fill`; when nothing is left, urllib3 can go on."""
        self._connection.settimeout(0)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self._connection.settimeout(self._patience)

    def fill(self, view: memoryview) -> int:
        """Puts up to `len(view)` bytes there and says how many: as many as come within `PAUSE`, but at least one.

        0 at an early end. Raises `TimeoutError` when nothing comes in time, `OSError`.
        """
        view = view[: self.left]
        got, until = 0, time.monotonic() + PAUSE
        while got < len(view):
            more = self._received(view[got:])
            if more == 0:
                break
            if more is not None:
                got += more
            elif not wait_for_read(self._connection, max(0.0, until - time.monotonic()) if got else self._patience):
                if got:
                    break
                raise TimeoutError("SWR sends no more of a blob")
        self._took(got)
        return got

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


def content_of(response: requests.Response) -> Content | None:
    """None unless the answer is long and of known length, and the insides of urllib3 and `http.client` are the known
    ones: they are not documented. `response` is unread."""
    try:
        raw: Any = response.raw
        answer: Any = raw._fp  # noqa: SLF001
        connection = answer.fp.raw._sock  # noqa: SLF001
        known = (
            isinstance(answer, http.client.HTTPResponse)
            and isinstance(connection, socket.socket)
            and not answer.chunked
            and answer.length == raw.length_remaining
            and (answer.length or 0) > 2 * END
        )
    except (AttributeError, TypeError):
        return None
    return Content(raw, answer, connection) if known else None
