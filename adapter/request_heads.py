"""The head of a request: received whole and with limits, then parsed by gunicorn.

gunicorn would search the whole head again after each received block, has one limit of the request line for all
listeners, and sends `100 Continue` before the application has seen the request.
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
"""Limit of one header; checked by gunicorn."""
MAX_HEADERS_BYTES: Final = 64 << 10
"""Limit of all headers together."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress"})


class HostMissing(ParseException):
    """An HTTP/1.1 request without Host, which RFC 9112 section 3.2 answers with 400."""


class Head:
    """The received bytes of a head, and of input behind it. `max_line` is in bytes, without the line end.

    `decided`: the head is whole, or `fault` tells why it is rejected. Each byte is searched once.
    """

    def __init__(self, max_line: int) -> None:
        self.data = bytearray()
        self.fault: ParseException | None = None
        self.decided = False
        self._max_line = max_line
        self._searched = 0
        self._line_start = 0
        self._lines = 0
        self._headers_start = 0

    def add(self, data: bytes) -> bool:
        """Adds received bytes; True when the head is decided. Lines end with CRLF (RFC 9112 section 2.2)."""
        self.data += data
        if self.data and not self.data[:1].isalpha() and self.data[0] != ord("\r"):
            return self._reject(InvalidRequestLine("no method"))
        while not self.decided and (end := self.data.find(b"\n", self._searched)) >= 0:
            self._searched = end + 1
            if end == 0 or self.data[end - 1] != ord("\r"):
                return self._reject(InvalidRequestLine("bare LF as line terminator"))
            self._end_line(end - 1)
        if not self.decided:
            self._searched = len(self.data)
            # A CR may be the first half of a line end.
            self._check_length(len(self.data) - self.data.endswith(b"\r"))
        return self.decided

    @property
    def line(self) -> bytes:
        """The request line, or the received part of it."""
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
                self._reject(LimitRequestHeaders("too many"))

    def _check_length(self, length: int) -> None:
        """Checks the limits; `length` is that of the received lines, without the last line end."""
        if not self._headers_start:
            if length - self._line_start > self._max_line:
                self._reject(LimitRequestLine(length, self._max_line))
        elif length - self._headers_start > MAX_HEADERS_BYTES:
            self._reject(LimitRequestHeaders("too large"))

    def _reject(self, fault: ParseException) -> bool:
        self.fault = self.fault or fault
        self.decided = True
        return True


class Unreader(SocketUnreader):
    """gunicorn's buffer of received bytes. `line` is the last request line, for the log line of an error.

    `expected`: the client waits for `100 Continue` before it sends the body. It is sent when the body is read.
    """

    line = b""
    expected = False

    def chunk(self, size_hint: int | None = None) -> bytes:
        self._send_continue()
        data: bytes = super().chunk(size_hint)
        return data

    def take_buffered(self) -> bytes:
        """Called before the body is received without this buffer."""
        data: bytes = super().take_buffered()
        if not data:
            self._send_continue()
        return data

    def _send_continue(self) -> None:
        if self.expected:
            self.expected = False
            self.sock.sendall(_CONTINUE)


class BoundedRequest(Request):
    """A request whose head is whole before gunicorn parses it."""

    # `Unreader` sends `100 Continue`.
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
                # Without the received bytes: they can hold credentials, and are logged.
                raise NoMoreData if head.data else StopIteration
            head.add(data)
        unreader.line = head.line
        if head.fault is not None:
            raise head.fault
        unreader.unread(bytes(head.data))
        rest: bytes = super().parse(unreader)
        return rest

    def set_body_reader(self) -> None:
        """Checks the headers that concern the body, and Host."""
        codings = [coding.strip(" \t").lower() for coding in self._values("TRANSFER-ENCODING")]
        if _COMPRESSED.intersection(codings):
            raise UnsupportedTransferCoding(", ".join(codings))
        if self.version >= (1, 1) and not any(name == "HOST" for name, _ in self.headers):
            raise HostMissing
        expectations = [value.lower() for value in self._values("EXPECT")]
        if expectations not in ([], ["100-continue"]):
            raise ExpectationFailed("expected 100-continue")
        super().set_body_reader()
        self.unreader.expected = bool(expectations) and self.version >= (1, 1)

    def _values(self, name: str) -> list[str]:
        return [value for header, values in self.headers if header == name for value in values.split(",")]


class BoundedParser(RequestParser):
    """The parser of one connection."""

    def __init__(self, cfg: Any, source: socket.socket, client: Any, max_line: int) -> None:
        super().__init__(cfg, source, client)
        self.unreader = Unreader(source)
        self.mesg_class = functools.partial(BoundedRequest, max_line=max_line)
