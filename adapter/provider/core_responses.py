"""Answers as they come from core's socket: whole headers, and all of it in time."""

from __future__ import annotations

import http.client
import io
import math
import re
import socket
import time
from typing import Any, Final

from adapter.http.responses import Lines, StrictResponse

BLOCK: Final = 64 << 10
_HEAD: Final = re.compile(
    rb"(?:HTTP/[^\r\n]*\r?\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*)*\r?\n)+"
)
"""A status line and headers (RFC 9112 section 5); a 100 with its own may come before."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def left(most: float, until: float | None) -> float:
    """Seconds, `most` of them. Raises `TimeoutError` when there are none left."""
    seconds = most if until is None else min(most, until - time.monotonic())
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


class _Patient(io.RawIOBase):
    """Reads a socket's bytes until a moment, however slowly they come; without one, `seconds` for each read."""

    def __init__(self, raw: Any, sock: socket.socket, seconds: float, until: float) -> None:
        self._raw, self._sock, self._seconds = raw, sock, seconds
        self.until: float | None = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._seconds if self.until is None else left(math.inf, self.until))
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class BadHeader(http.client.HTTPException):
    """No server may say such a thing, the door's own neither."""


class Response(StrictResponse):
    """An answer whose headers have to be there, as a whole, at `until`."""

    def __init__(self, sock: socket.socket, *arguments: Any, seconds: float, until: float | None, **options: Any):
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        until = time.monotonic() + seconds if until is None else until
        self.patience = _Patient(sock.makefile("rb", buffering=0), sock, seconds, until)
        self.fp = self._lines = Lines(self.patience, BLOCK)

    def check_head(self, lines: list[bytes]) -> None:
        """A line that http.client cannot read as a header ends them for it, and all that follows is lost.

        Raises `BadHeader`, and `UnknownProtocol` for a 101, which nobody asked for.
        """
        if not _HEAD.fullmatch(b"".join(lines)):
            raise BadHeader
        if self.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            raise http.client.UnknownProtocol("101")

    def sent_headers(self) -> list[tuple[str, str]]:
        """Folded values in one line; a length only where it is the body's. Raises `BadHeader`."""
        headers = [(name, " ".join(value.split("\r\n"))) for name, value in self.getheaders()]
        if any(_CONTROL.search(value) for _, value in headers):
            raise BadHeader
        return [each for each in headers if self.length is not None or each[0].lower() != "content-length"]
