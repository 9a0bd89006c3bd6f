"""Answers whose headers came whole, and hold nothing that HTTP does not allow.

To `http.client` the end of a connection ends the headers too, so an answer that was cut in them would look like one
that has fewer; a line that is no header would end them, with a warning in the log; and it accepts control characters,
which the adapter's own server then refuses to send to the caller.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
from typing import Any, Final

from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

_PASSED_ON: Final = frozenset(
    {"accept-ranges", "content-encoding", "content-length", "content-range", "content-type", "docker-content-digest"}
)
"""Fields that go into answers to callers: printable ASCII alone. Others may hold what RFC 9110 calls obs-text."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FOLD: Final = re.compile(r"\r?\n[ \t]+")


class Lines(io.BufferedReader):
    """Keeps what was read by lines, while it is told to."""

    kept: list[bytes] | None = None

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if self.kept is not None:
            self.kept.append(line)
        return line


class DamagedHeaders(http.client.HTTPException):
    """They are none."""


class InvalidHeader(http.client.HTTPException):
    """A header field whose value HTTP does not allow; `field` is its name, in printable ASCII."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field if field.isascii() and field.isprintable() else "HTTP"


class WholeResponse(http.client.HTTPResponse):
    """For `response_class` of a connection: `begin` raises `IncompleteRead`, or what `check_head` does."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = self._lines = Lines(self.fp.detach())

    def begin(self) -> None:
        """Other answers than 100 may come before the one that counts too, which http.client does not know."""
        self._lines.kept = []
        super().begin()
        lines, self._lines.kept = self._lines.kept, None
        if lines[-1] not in (b"\r\n", b"\n"):
            raise http.client.IncompleteRead(b"")
        self.check_head(lines)
        if 100 < self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]
            self.begin()

    def check_head(self, lines: list[bytes]) -> None:  # noqa: ARG002 - for whoever looks closer
        """The lines of a whole head. Raises an `HTTPException` for what is no answer."""
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
