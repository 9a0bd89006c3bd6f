"""Answers whose headers came whole.

To `http.client` the end of a connection ends the headers too, so an answer that was cut in them would look like one
that has fewer; and a line that is no header would end them, with a warning in the log.
"""

from __future__ import annotations

import http.client
import io
import socket
from typing import Any

from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing


class Lines(io.BufferedReader):
    """Keeps the line that was read last."""

    last = b""

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last = super().readline(size)
        return self.last


class DamagedHeaders(http.client.HTTPException):
    """They were cut, or are none."""


class WholeResponse(http.client.HTTPResponse):
    """For `response_class` of a connection: `begin` raises `DamagedHeaders`."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = self._lines = Lines(self.fp.detach())

    def begin(self) -> None:
        """Other answers than 100 may come before the one that counts too."""
        super().begin()
        if self._lines.last not in (b"\r\n", b"\n"):
            raise DamagedHeaders("cut")
        try:
            assert_header_parsing(self.msg)
        except HeaderParsingError as error:
            raise DamagedHeaders("no headers") from error
        if 100 < self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]
            self.begin()
