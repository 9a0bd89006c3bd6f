"""Requests of Flask passed on to Harbor core, and responses of core passed on to the client."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from flask import Request, Response

from adapter.errors import AdapterError
from adapter.provider import headers
from adapter.provider.core_client import Body, CoreClient, CoreResponse, mapped_errors
from adapter.provider.core_responses import BLOCK_BYTES
from adapter.provider.headers import Headers
from adapter.provider.request_bodies import Incoming
from adapter.provider.routes import is_routed_to_adapter, origin_form
from adapter.provider.threads import ThreadLimits, has_body
from adapter.transfer.request_body import announced_length

log = logging.getLogger(__name__)

RESPONSE_SECONDS: Final = 60.0
"""Time limit for sending a response to the client, plus one second for each `MIN_BYTES_PER_SECOND`."""
MIN_BYTES_PER_SECOND: Final = 16 << 10


class _BareResponse(Response):
    """Has no Content-Type unless core sent one. Flask would add its default."""

    default_mimetype = None


def target_of(request: Request) -> str:
    """The request target as the client sent it. The views of werkzeug are decoded."""
    return origin_form(str(request.environ["RAW_URI"]))


def headers_of(request: Request) -> Headers:
    """The headers as gunicorn passes them: names in any case, repeated headers joined into one."""
    return list(request.headers.items())


def request_body(request: Request, limits: ThreadLimits) -> Body | None:
    """The body as it comes, or None for a request without a body. Raises `Busy`."""
    if not has_body(request.environ):
        return None if request.content_length is None else b""
    return Incoming(request.environ, limits.acquire_body_slot(request.environ)), announced_length(request.environ)


def forward(
    core: CoreClient, request: Request, target: str, body: Body | None, deadline: float | None = None
) -> CoreResponse:
    """Sends the request to core. The response must be read or closed. `deadline` does not apply to a streamed body."""
    sent = headers.to_core(headers_of(request), uncompressed=is_routed_to_adapter(target))
    with contextlib.ExitStack() as stack:
        if isinstance(body, tuple):
            deadline = None
            if isinstance(body[0], Incoming):
                stack.callback(body[0].close)
        response = core.send(request.method, target, sent, body, deadline=deadline)
    if response.early:
        close_after_response(request)
    return response


def pass_through(
    core: CoreClient, request: Request, target: str, body: Body | None, deadline: float | None = None
) -> Response:
    """The response of core to the request, both unchanged."""
    return stream(forward(core, request, target, body, deadline))


def close_after_response(request: Request) -> None:
    """Ends the connection after the response, because the rest of an unread body would look like the next request."""
    if "adapter.force_close" in request.environ:
        request.environ["adapter.force_close"]()


def stream(response: CoreResponse) -> Response:
    """The response as it comes. Raises `Unreachable` or `Unexpected` if the first block does not come."""
    try:
        response.read_first()
    except BaseException:
        response.close()
        raise
    flask_response = _response(response, _limited(response.blocks()), headers.to_client(response.headers))
    flask_response.call_on_close(response.close)
    return flask_response


def stream_edited(response: CoreResponse, blocks: Iterator[bytes]) -> Response:
    """The response with `blocks` as its body. Raises what `blocks` raises before the first block."""
    with mapped_errors():
        first = next(blocks, b"")
    kept = [each for each in headers.to_client(response.headers) if each[0].lower() != "content-length"]
    flask_response = _response(response, _limited(_continued(first, blocks)), kept)
    flask_response.call_on_close(response.close)
    return flask_response


def _continued(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """An error after the first block ends the client's connection, so that no short body looks complete."""
    yield first
    try:
        yield from blocks
    except AdapterError as error:
        log.warning("response from Harbor core aborted midway: %s", error.sentence)
        raise ConnectionResetError(errno.ECONNRESET, "response aborted") from error


def respond(response: CoreResponse, body: bytes) -> Response:
    """The response with a body that was read, and perhaps changed."""
    response.close()
    if len(body) <= BLOCK_BYTES:
        blocks: bytes | Iterator[bytes] = body
    else:
        blocks = _limited(body[at : at + BLOCK_BYTES] for at in range(0, len(body), BLOCK_BYTES))
    return _response(response, blocks, headers.to_client(response.headers, len(body)))


def _limited(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks, until they take longer than allowed. Then the connections to core and client end."""
    begun, sent = time.monotonic(), 0
    for block in blocks:
        yield block
        sent += len(block)
        if time.monotonic() - begun > RESPONSE_SECONDS + sent / MIN_BYTES_PER_SECOND:
            log.warning("response aborted after %d bytes: Harbor core or the client was too slow", sent)
            raise ConnectionResetError(errno.ECONNRESET, "response aborted")


def _response(response: CoreResponse, body: Any, sent: Headers) -> Response:
    return _BareResponse(body, f"{response.status} {response.reason}".strip(), sent)
