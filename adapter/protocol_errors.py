"""What the server itself answers: to a head that it cannot read, and when an application's response cannot be sent.

The kinds are gunicorn's. Nothing of a head is quoted: it can hold credentials.
"""

from __future__ import annotations

import http
import ssl
from collections.abc import Mapping
from typing import Final

from gunicorn.http import errors as server

from adapter.errors import AdapterError, InternalError, InvalidRequest
from adapter.heads import MAX_HEADER_BYTES, MAX_HEADERS, MAX_HEADERS_BYTES, HostMissing


class RequestLineTooLong(InvalidRequest):
    """The request line is longer than the listener accepts."""

    id = "request-line-too-long"
    status = 414


class ExpectationUnsupported(InvalidRequest):
    """The request has an `Expect` other than `100-continue`."""

    id = "expectation-unsupported"
    status = 417


class HeadersTooLarge(InvalidRequest):
    """There are more headers than the server accepts, or longer ones."""

    id = "headers-too-large"
    status = 431


class TransferCodingUnsupported(InvalidRequest):
    """The request body has a transfer coding other than `chunked` (RFC 9112 section 6.1)."""

    id = "transfer-coding-unsupported"
    status = 501


_LINE: Final = "the request line is invalid: send METHOD /path HTTP/1.1, printable ASCII, ended with CRLF"
_HEADER: Final = (
    "a request header is invalid: send 'Name: value' lines without control characters, ended with CRLF, and Host and "
    "Content-Type once"
)
_FRAMING: Final = "the framing of the request body is invalid: send either Content-Length or Transfer-Encoding: chunked"
_FRAMING_HEADERS: Final = frozenset({"CONTENT-LENGTH", "TRANSFER-ENCODING"})

_SENTENCES: Final[Mapping[type[Exception], tuple[type[AdapterError], str]]] = {
    HostMissing: (InvalidRequest, "the Host header is missing: HTTP/1.1 requires one"),
    server.InvalidRequestLine: (InvalidRequest, _LINE),
    server.InvalidRequestMethod: (InvalidRequest, "the request method is invalid: send an uppercase method of HTTP"),
    server.InvalidHTTPVersion: (InvalidRequest, "the HTTP version is not supported: send HTTP/1.1"),
    server.InvalidHeader: (InvalidRequest, _HEADER),
    server.InvalidHeaderName: (InvalidRequest, "the name of a request header is invalid: send letters, digits and '-'"),
    server.ObsoleteFolding: (InvalidRequest, "a request header is folded: send each header in one line"),
    server.InvalidChunkSize: (InvalidRequest, _FRAMING),
    server.ChunkMissingTerminator: (InvalidRequest, _FRAMING),
    server.InvalidChunkExtension: (InvalidRequest, _FRAMING),
    server.LimitRequestHeaders: (
        HeadersTooLarge,
        f"the request headers are too large: send {MAX_HEADERS} headers or fewer, {MAX_HEADER_BYTES} bytes each, "
        f"{MAX_HEADERS_BYTES} bytes in all (limit)",
    ),
    server.UnsupportedTransferCoding: (
        TransferCodingUnsupported,
        "the transfer coding is not supported: send Content-Length or Transfer-Encoding: chunked",
    ),
    server.ExpectationFailed: (ExpectationUnsupported, "the expectation is not supported: send 100-continue or none"),
}
INVALID_RESPONSE: Final = (server.InvalidResponseHeader, server.InvalidResponseHeaderName)
"""gunicorn's invalid headers that are not the client's; `hdr` is the name alone."""


def error_for(exception: Exception, max_line: int) -> AdapterError | None:
    """What a client is told; None where it cannot be told anything, since TLS failed. `InternalError` is a defect."""
    if isinstance(exception, ssl.SSLError):
        return None
    if isinstance(exception, server.LimitRequestLine):
        return RequestLineTooLong(f"the request line is too long: send {max_line} bytes or fewer (limit)")
    if isinstance(exception, server.InvalidHeader) and exception.hdr in _FRAMING_HEADERS:
        return InvalidRequest(_FRAMING)
    if not isinstance(exception, INVALID_RESPONSE):
        for kind in type(exception).__mro__:
            if kind in _SENTENCES:
                error, sentence = _SENTENCES[kind]
                return error(sentence)
    return InternalError("the adapter failed; its log has the details under the id of this request")


def response(error: AdapterError, body: bytes, request_id: str, *, head: bool) -> bytes:
    """All of a response that ends the connection; `head`: without its body."""
    lines = [
        f"HTTP/1.1 {error.status} {http.HTTPStatus(error.status).phrase}",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head else body)
