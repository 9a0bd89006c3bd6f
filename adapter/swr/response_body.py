"""Reads the short bodies of SWR's responses: documents, errors, and what is left before a connection can be reused."""

from __future__ import annotations

import contextlib
import io
import time
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from adapter.documents import WAIT_SECONDS, hold
from adapter.errors import AdapterError, TimedOut, Unexpected, Unreachable
from adapter.swr.error_response import ErrorResponse, parse_error_response
from adapter.swr.retry import retry_after

MAX_DOCUMENT_BYTES: Final = 8 << 20
"""Limit of a JSON document or a manifest."""
DOCUMENT_SECONDS: Final = 120.0
"""Time limit of a whole document."""
REMAINDER_SECONDS: Final = 5.0
"""Time limit of a body whose content matters little once the status is known."""
MAX_ERROR_BYTES: Final = 64 << 10
_BLOCK_BYTES: Final = 1 << 16
_MAYBE_TRANSIENT: Final = frozenset({403, 409})
"""Statuses that are final as a rule, and sometimes transient."""


def read_document(response: requests.Response, limit: int = MAX_DOCUMENT_BYTES, deadline: float | None = None) -> bytes:
    """The whole body, at most `limit` bytes, until the monotonic moment `deadline`, or within `DOCUMENT_SECONDS`.

    Raises `Unexpected` when there is more, `Unreachable` when there is less than announced, `TimedOut`, `Busy` when
    the process holds too many documents.
    """
    host = urlsplit(str(response.url)).hostname
    latest = time.monotonic() + DOCUMENT_SECONDS
    deadline = latest if deadline is None else min(deadline, latest)
    try:
        data = bytearray()
        # In blocks, so that a slow body cannot outlive the deadline, nor a large one be read whole.
        while block := response.raw.read1(_BLOCK_BYTES, decode_content=False):
            data += block
            if len(data) > limit:
                raise Unexpected(f"{host} returned a document of more than {limit} bytes: report this")
            hold(len(block), WAIT_SECONDS)
            if time.monotonic() > deadline:
                raise TimedOut(f"{host} did not complete its response in time: try again later")
    except (HTTPError, OSError) as error:
        raise Unreachable(f"the response of {host} was cut off: try again later") from error
    finally:
        response.close()
    return bytes(data)


def read_remainder(response: requests.Response) -> bytes:
    """A short body that matters little, within `REMAINDER_SECONDS`. Raises as `read_document` does."""
    sock = getattr(response.raw.connection, "sock", None)
    if sock is not None:
        sock.settimeout(REMAINDER_SECONDS)
    return read_document(response, MAX_ERROR_BYTES, time.monotonic() + REMAINDER_SECONDS)


def settle(response: requests.Response) -> None:
    """Reads the rest of a body, so that the connection can be reused; closing an unread response would end it.

    If the rest does not arrive soon, the connection is dropped.
    """
    with contextlib.suppress(AdapterError):
        read_remainder(response)


def error_body(response: requests.Response) -> bytes:
    """The body of a response that is not 2xx; empty if it is too large or incomplete. Closes the response."""
    try:
        return read_remainder(response)
    except AdapterError:
        return b""


def reread_body(response: requests.Response) -> bytes:
    """As `error_body`, but the body can be read from the response once more."""
    body = error_body(response)
    response.raw = HTTPResponse(io.BytesIO(body), headers=response.headers, preload_content=False)
    return body


def is_transient(response: requests.Response) -> bool:
    """Whether SWR's code in the body means that SWR may accept the request a little later, whatever the status.

    The body can be read once more afterwards.
    """
    if response.status_code not in _MAYBE_TRANSIENT:
        return False
    return parse_error_response(response.status_code, reread_body(response), response.headers).transient


def error_response_of(response: requests.Response) -> ErrorResponse:
    """Reads a response that is not 2xx, and closes it."""
    body = error_body(response)
    wait = retry_after(response.headers.get("Retry-After"), time.time())
    return parse_error_response(response.status_code, body, response.headers, wait)
