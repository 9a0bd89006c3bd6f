"""Responses of the server itself: to a head that it cannot parse, and in place of a response that cannot be sent.

The exceptions are gunicorn's. No message quotes a head, because it can hold credentials.
"""

from __future__ import annotations

import http
import ssl
from collections.abc import Mapping
from typing import Final

from gunicorn.http import errors as server

from adapter.errors import AdapterError, InternalError, InvalidRequest
from adapter.request_heads import MAX_HEADER_BYTES, MAX_HEADERS, MAX_HEADERS_BYTES, HostMissing


class RequestLineTooLong(InvalidRequest):
    """The request line is longer than the listener accepts."""

    id = "request-line-too-long"
    status = 414


class ExpectationUnsupported(InvalidRequest):
    """The request has an `Expect` other than `100-continue`."""

    id = "expectation-unsupported"
    status = 417


class HeadersTooLarge(InvalidRequest):
    """The request has more or longer headers than the server accepts."""

    id = "headers-too-large"
    status = 431


class TransferCodingUnsupported(InvalidRequest):
    """The request body has a transfer coding other than `chunked` (RFC 9112 section 6.1)."""

    id = "transfer-coding-unsupported"
    status = 501


_LINE: Final = "invalid request line: send METHOD /path HTTP/1.1, printable ASCII, ended with CRLF"
_HEADER: Final = (
    "invalid request header: send 'Name: value' lines without control characters, ended with CRLF, and Host and "
    "Content-Type once"
)
_FRAMING: Final = "invalid framing of the request body: send either Content-Length or Transfer-Encoding: chunked"
_FRAMING_HEADERS: Final = frozenset({"CONTENT-LENGTH", "TRANSFER-ENCODING"})

_MESSAGES: Final[Mapping[type[Exception], tuple[type[AdapterError], str]]] = {
    HostMissing: (InvalidRequest, "missing Host header: send one, as HTTP/1.1 requires"),
    server.InvalidRequestLine: (InvalidRequest, _LINE),
    server.InvalidRequestMethod: (InvalidRequest, "invalid request method: send an HTTP method in uppercase"),
    server.InvalidHTTPVersion: (InvalidRequest, "unsupported HTTP version: send HTTP/1.1"),
    server.InvalidHeader: (InvalidRequest, _HEADER),
    server.InvalidHeaderName: (InvalidRequest, "invalid request header name: send letters, digits and '-'"),
    server.ObsoleteFolding: (InvalidRequest, "folded request header: send each header in one line"),
    server.InvalidChunkSize: (InvalidRequest, _FRAMING),
    server.ChunkMissingTerminator: (InvalidRequest, _FRAMING),
    server.InvalidChunkExtension: (InvalidRequest, _FRAMING),
    server.LimitRequestHeaders: (
        HeadersTooLarge,
        f"request headers too large: send at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes each, and "
        f"{MAX_HEADERS_BYTES} bytes in total",
    ),
    server.UnsupportedTransferCoding: (
        TransferCodingUnsupported,
        "unsupported transfer coding: send Content-Length or Transfer-Encoding: chunked",
    ),
    server.ExpectationFailed: (
        ExpectationUnsupported,
        "unsupported Expect header: send 100-continue, or none",
    ),
}
INVALID_RESPONSE: Final = (server.InvalidResponseHeader, server.InvalidResponseHeaderName)
"""gunicorn's exceptions for an invalid header of a response; `hdr` is the name without the value."""


def error_for(exception: Exception, max_line: int) -> AdapterError | None:
    """The error for the response; None when no response can be sent because TLS failed. `InternalError` means a defect
    of the adapter."""
    if isinstance(exception, ssl.SSLError):
        return None
    if isinstance(exception, server.LimitRequestLine):
        return RequestLineTooLong(f"request line too long: send at most {max_line} bytes")
    if isinstance(exception, server.InvalidHeader) and exception.hdr in _FRAMING_HEADERS:
        return InvalidRequest(_FRAMING)
    if not isinstance(exception, INVALID_RESPONSE):
        for kind in type(exception).__mro__:
            if kind in _MESSAGES:
                error, message = _MESSAGES[kind]
                return error(message)
    return InternalError("internal error in the adapter: search its log for this request ID and report the traceback")


def response(error: AdapterError, body: bytes, request_id: str, *, head: bool) -> bytes:
    """A whole response that ends the connection; with `head` it has no body."""
    lines = [
        f"HTTP/1.1 {error.status} {http.HTTPStatus(error.status).phrase}",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head else body)
