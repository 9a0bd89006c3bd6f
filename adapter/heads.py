"""The head of a request as gunicorn's parser gets it: whole, bounded, and each byte of it looked at once.

gunicorn looks at all of a head again for each piece that comes, has one limit of the request line for all listeners,
and promises `100 Continue` before anybody has looked at the request.
"""

from __future__ import annotations

import functools
import socket
from typing import Any, Final

from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidRequestLine,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 8190
"""Of one header; gunicorn checks it."""
MAX_HEADERS_BYTES: Final = 64 << 10
"""Of all headers."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress"})


class HostMissing(ParseException):
    """RFC 9112 section 3.2: a request of HTTP/1.1 without Host is answered with 400."""


class Head:
    """The bytes of a head, and of what came behind it. `max_line` is in bytes, without the line end.

    `decided`: the head is whole, or `fault` says why it will never be accepted.
    """

    def __init__(self, max_line: int) -> None:
        self.data = bytearray()
        self.fault: ParseException | None = None
        self.decided = False
        self._max_line = max_line
        self._looked = 0
        self._line_start = 0
        self._lines = 0
        self._headers_start = 0

    def add(self, data: bytes) -> bool:
        """Looks at the new bytes; whether the head is `decided` now. Lines end with CRLF (RFC 9112 section 2.2)."""
        self.data += data
        if self.data and not self.data[:1].isalpha() and self.data[0] != ord("\r"):
            return self._refuse(InvalidRequestLine("no method"))
        while not self.decided and (end := self.data.find(b"\n", self._looked)) >= 0:
            self._looked = end + 1
            if end == 0 or self.data[end - 1] != ord("\r"):
                return self._refuse(InvalidRequestLine("bare LF as line terminator"))
            self._end_line(end - 1)
        if not self.decided:
            self._looked = len(self.data)
            # A CR may be the first half of a line end.
            self._check_length(len(self.data) - self.data.endswith(b"\r"))
        return self.decided

    @property
    def line(self) -> bytes:
        """The request line, or as much of it as came."""
        return bytes(self.data[: self._max_line].lstrip(b"\r\n").partition(b"\r\n")[0])

    def _end_line(self, end: int) -> None:
        empty, first = end == self._line_start, self._line_start == 0
        self._check_length(end)
        self._line_start = end + 2
        if empty and not first:
            self.decided = True
        elif not empty:
            self._lines += 1
            self._headers_start = self._headers_start or self._line_start
            if self._lines > MAX_HEADERS + 1:
                self._refuse(LimitRequestHeaders("too many"))

    def _check_length(self, length: int) -> None:
        """Of what came, without a line end."""
        if not self._headers_start:
            if length - self._line_start > self._max_line:
                self._refuse(LimitRequestLine(length, self._max_line))
        elif length - self._headers_start > MAX_HEADERS_BYTES:
            self._refuse(LimitRequestHeaders("too large"))

    def _refuse(self, fault: ParseException) -> bool:
        self.fault = self.fault or fault
        self.decided = True
        return True


class Unreader(SocketUnreader):
    """gunicorn's buffer before the socket. `line` is the request line that came last, for the log of a refusal.

    `expected`: the client waits for `100 Continue` before it sends a body. It gets it when somebody wants the body.
    """

    line = b""
    expected = False

    def chunk(self, size_hint: int | None = None) -> bytes:
        self._go_on()
        data: bytes = super().chunk(size_hint)
        return data

    def take_buffered(self) -> bytes:
        """Asked before the body is received past this buffer."""
        data: bytes = super().take_buffered()
        if not data:
            self._go_on()
        return data

    def _go_on(self) -> None:
        if self.expected:
            self.expected = False
            self.sock.sendall(_CONTINUE)


class BoundedRequest(Request):
    """A request whose head is whole before it is parsed."""

    # The expectation is met by `Unreader`.
    _policy_expect_continue = False

    def __init__(self, *arguments: Any, max_line: int) -> None:
        """Raises a `ParseException`."""
        self._max_line = max_line
        super().__init__(*arguments)

    def parse(self, unreader: Unreader) -> bytes:
        head = Head(self._max_line)
        while not head.decided:
            data = unreader.read()
            if not data:
                # Without what came: it can hold credentials, and is logged.
                raise NoMoreData if head.data else StopIteration
            head.add(data)
        unreader.line = head.line
        if head.fault is not None:
            raise head.fault
        unreader.unread(bytes(head.data))
        rest: bytes = super().parse(unreader)
        return rest

    def set_body_reader(self) -> None:
        """The body's framing, and what else the headers decide."""
        codings = [coding.strip(" \t").lower() for coding in self._values("TRANSFER-ENCODING")]
        if _COMPRESSED.intersection(codings):
            raise UnsupportedTransferCoding(", ".join(codings))
        if self.version >= (1, 1) and not any(name == "HOST" for name, _ in self.headers):
            raise HostMissing
        expected = [value.lower() for value in self._values("EXPECT")]
        if expected not in ([], ["100-continue"]):
            raise ExpectationFailed("another than 100-continue")
        super().set_body_reader()
        self.unreader.expected = bool(expected) and self.version >= (1, 1)

    def _values(self, name: str) -> list[str]:
        return [value for header, values in self.headers if header == name for value in values.split(",")]


class BoundedParser(RequestParser):
    """For one connection."""

    def __init__(self, cfg: Any, source: socket.socket, client: Any, max_line: int) -> None:
        super().__init__(cfg, source, client)
        self.unreader = Unreader(source)
        self.mesg_class = functools.partial(BoundedRequest, max_line=max_line)
