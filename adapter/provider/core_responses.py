"""Responses of Harbor core as they come from its socket: complete headers, within a time limit."""

from __future__ import annotations

import http.client
import io
import math
import re
import socket
import time
from typing import Any, Final

from adapter.http.strict_response import Lines, StrictResponse

BLOCK_BYTES: Final = 64 << 10
_HEAD: Final = re.compile(
    rb"(?:HTTP/[^\r\n]*\r?\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*)*\r?\n)+"
)
"""A status line and headers (RFC 9112 section 5); an interim response with its own headers may precede them."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def remaining_seconds(limit: float, deadline: float | None) -> float:
    """Seconds up to `deadline` on the monotonic clock, at most `limit`. Raises `TimeoutError` if none are left."""
    seconds = limit if deadline is None else min(limit, deadline - time.monotonic())
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket up to `deadline`. If `deadline` is None, each read may take `seconds`."""

    def __init__(self, raw: Any, sock: socket.socket, seconds: float, deadline: float) -> None:
        self._raw, self._sock, self._seconds = raw, sock, seconds
        self.deadline: float | None = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._seconds if self.deadline is None else remaining_seconds(math.inf, self.deadline))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class BadHeader(http.client.HTTPException):
    """A header that no HTTP server may send."""


class TimedResponse(StrictResponse):
    """A response whose headers must be complete at `deadline`, or `seconds` from now if there is no deadline."""

    def __init__(self, sock: socket.socket, *arguments: Any, seconds: float, deadline: float | None, **options: Any):
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        deadline = time.monotonic() + seconds if deadline is None else deadline
        self.reader = _DeadlineReader(sock.makefile("rb", buffering=0), sock, seconds, deadline)
        self.fp = self._lines = Lines(self.reader, BLOCK_BYTES)

    def check_head(self, lines: list[bytes]) -> None:
        """Raises `BadHeader`, or `UnknownProtocol` for a 101.

        At a line that is not a header, http.client would stop and lose all headers after it.
        """
        if not _HEAD.fullmatch(b"".join(lines)):
            raise BadHeader
        if self.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            raise http.client.UnknownProtocol("101")

    def received_headers(self) -> list[tuple[str, str]]:
        """Headers with folded values on one line, and Content-Length only if it is that of the body.

        Raises `BadHeader`.
        """
        headers = [(name, " ".join(value.split("\r\n"))) for name, value in self.getheaders()]
        if any(_CONTROL.search(value) for _, value in headers):
            raise BadHeader
        return [each for each in headers if self.length is not None or each[0].lower() != "content-length"]
