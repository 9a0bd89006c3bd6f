"""HTTP responses whose head is complete, in time, and unambiguous.

`http.client` accepts more: a head that was cut off looks like one with fewer headers; a line that is not a header ends
the head, with a warning in the log; control characters pass, which the adapter's own server then rejects; of two
lengths it uses one; and it reads interim responses without limit.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import time
from typing import Any, Final

from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

from adapter.numerals import whole_number

MAX_HEAD_BYTES: Final = 128 << 10
"""Limit of a response head together with all interim responses before it."""
_MAX_TRAILER_LINES: Final = 200
"""Limit of consecutive lines after a head, as in the trailers of a chunked body."""
_PASSED_ON: Final = frozenset(
    {"accept-ranges", "content-encoding", "content-length", "content-range", "content-type", "docker-content-digest"}
)
"""Fields that the adapter passes on to clients: printable ASCII only. Others may hold obs-text (RFC 9110)."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FOLD: Final = re.compile(r"\r?\n[ \t]+")
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/(?:[0-9]{1,18}|\*)")


class DamagedHeaders(http.client.HTTPException):
    """The head has an invalid line, or no end."""


class InvalidHeader(http.client.HTTPException):
    """A header field with an invalid value; `field` is its name, in printable ASCII."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field if field.isascii() and field.isprintable() else "HTTP"


class Lines(io.BufferedReader):
    """Collects lines in `head`, unless it is None. Raises `DamagedHeaders` for lines without end."""

    head: list[bytes] | None = None
    _size = 0
    _in_a_row = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if self.head is not None:
            self.head.append(line)
            self._size += len(line)
        else:
            self._in_a_row += 1
        if self._size > MAX_HEAD_BYTES or self._in_a_row > _MAX_TRAILER_LINES:
            raise DamagedHeaders
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        self._in_a_row = 0
        return super().read(size)

    def read1(self, size: int = -1, /) -> bytes:
        self._in_a_row = 0
        return super().read1(size)

    def readinto(self, buffer: Any, /) -> int:
        self._in_a_row = 0
        return super().readinto(buffer)


class DeadlineReader(io.RawIOBase):
    """A socket's bytes, until the monotonic moment `until` if there is one, however slowly they arrive."""

    def __init__(self, raw: Any, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self.until: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.until is not None:
            seconds = self.until - time.monotonic()
            if seconds <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(seconds)
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class StrictResponse(http.client.HTTPResponse):
    """For `response_class` of a connection. `begin` raises `IncompleteRead`, `TimeoutError`, and as `check_head` does.

    The whole head must arrive within the timeout that the socket has at `begin`.
    """

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self._sock = sock
        self._reader = DeadlineReader(self.fp.detach(), sock)
        self.fp = self._lines = Lines(self._reader)

    def begin(self) -> None:
        """Skips all interim responses; http.client skips only 100."""
        timeout = self._sock.gettimeout()
        self._reader.until = None if timeout is None else time.monotonic() + timeout
        try:
            self._begin()
        finally:
            self._reader.until = None
            if self._sock.fileno() >= 0:
                self._sock.settimeout(timeout)

    def _begin(self) -> None:
        while True:
            self._lines.head = []
            super().begin()
            lines, self._lines.head = self._lines.head, None
            if lines[-1] not in (b"\r\n", b"\n"):
                raise http.client.IncompleteRead(b"")
            self.check_head(lines)
            if not 100 < self.status < 200 or self.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return
            self.headers = self.msg = None  # type: ignore[assignment]

    def check_head(self, lines: list[bytes]) -> None:  # noqa: ARG002 - for subclasses
        """Checks the lines of a whole head. Raises an `HTTPException` for an invalid response."""
        try:
            assert_header_parsing(self.msg)
        except HeaderParsingError as error:
            raise DamagedHeaders from error
        for name, value in self.msg.items():
            if name.lower() in _PASSED_ON:
                valid = value.isascii() and value.replace("\t", " ").isprintable()
            else:
                valid = not _CONTROL.search(_FOLD.sub(" ", value))
            if not valid:
                raise InvalidHeader(name)
        check_framing(self.status, self.msg)


def check_framing(status: int, fields: http.client.HTTPMessage) -> None:
    """Raises `InvalidHeader` where two readers of a head could disagree on the end of the body, or on its range (RFC
    9112 section 6, RFC 9110 section 14.4)."""
    lengths = {each.strip() for line in fields.get_all("Content-Length", []) for each in line.split(",")}
    codings = fields.get_all("Transfer-Encoding", [])
    if lengths and (codings or len(lengths) > 1 or whole_number(next(iter(lengths))) is None):
        raise InvalidHeader("Content-Length")
    if codings and [coding.strip().lower() for coding in codings] != ["chunked"]:
        raise InvalidHeader("Transfer-Encoding")
    if status == http.HTTPStatus.PARTIAL_CONTENT and not _is_valid_range(fields, lengths):
        raise InvalidHeader("Content-Range")


def _is_valid_range(fields: http.client.HTTPMessage, lengths: set[str]) -> bool:
    """Whether the range fits the length. In a multipart body, each part has its own range."""
    if (fields.get("Content-Type") or "").lower().startswith("multipart/byteranges"):
        return True
    match = _RANGE.fullmatch((fields.get("Content-Range") or "").strip())
    if match is None:
        return False
    size = int(match[2]) - int(match[1]) + 1
    return size > 0 and all(whole_number(length) == size for length in lengths)
