"""A request of Flask's to core, and core's answer back, as they are."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from typing import Any

from flask import Request, Response

from adapter.errors import AdapterError, InvalidRequest
from adapter.provider import headers
from adapter.provider.core import Answer, Body, Core
from adapter.provider.headers import Headers
from adapter.provider.responses import BLOCK
from adapter.provider.routes import is_brought, origin_form

log = logging.getLogger(__name__)


class CoreResponse(Response):
    """Says no more than core did: Flask would add a Content-Type."""

    default_mimetype = None


def target_of(request: Request) -> str:
    """The target as it was on the wire; werkzeug's own views of it are decoded."""
    return origin_form(str(request.environ["RAW_URI"]))


def headers_of(request: Request) -> Headers:
    """As the server gave them: names in any case, the values of repeated ones in one."""
    return list(request.headers.items())


def incoming(request: Request) -> Body | None:
    """The body as it comes; None where there is none."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return _blocks(request, None), None
    if request.content_length is None:
        return None
    return (_blocks(request, request.content_length), request.content_length) if request.content_length else b""


def _blocks(request: Request, length: int | None) -> Iterator[bytes]:
    """Raises `InvalidRequest` when the client stops before its end: the server shows that as an end like any other."""
    stream, left = request.environ["wsgi.input"], length
    while left is None or left > 0:
        block: bytes = stream.read(BLOCK if left is None else min(BLOCK, left))
        if not block:
            break
        left = None if left is None else left - len(block)
        yield block
    if left:
        raise InvalidRequest("the request's body ends too early")


def asked(core: Core, request: Request, target: str, body: Body | None, until: float | None = None) -> Answer:
    """Core's answer to the request, which must be read or closed."""
    sent = headers.to_core(headers_of(request), plain=is_brought(target))
    answer = core.send(request.method, target, sent, body, until=until)
    if answer.early:
        drop_rest(request)
    return answer


def passed(core: Core, request: Request, target: str, body: Body | None, until: float | None = None) -> Response:
    """Core's answer to the request, without a look into either."""
    return streamed(asked(core, request, target, body, until))


def drop_rest(request: Request) -> None:
    """Ends the connection after the answer: a body nobody reads would be taken for the next request."""
    if "adapter.force_close" in request.environ:
        request.environ["adapter.force_close"]()


def streamed(answer: Answer) -> Response:
    """The answer as it comes. Raises `Unreachable` or `Unexpected` when not even its beginning does."""
    try:
        answer.begin()
    except BaseException:
        answer.close()
        raise
    response = _response(answer, answer.blocks(), headers.to_client(answer.headers))
    response.call_on_close(answer.close)
    return response


def rewritten(answer: Answer, blocks: Iterator[bytes]) -> Response:
    """The answer with another body, as that comes. Raises what `blocks` raises before anything of it is there."""
    with answer.told():
        first = next(blocks, b"")
    shown = [each for each in headers.to_client(answer.headers) if each[0].lower() != "content-length"]
    response = _response(answer, _going_on(first, blocks), shown)
    response.call_on_close(answer.close)
    return response


def _going_on(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """A refusal comes too late here: it ends the client's connection, so that nothing short looks complete."""
    yield first
    try:
        yield from blocks
    except AdapterError as error:
        log.warning("an answer was cut: %s", error.sentence)
        raise ConnectionResetError(errno.ECONNRESET, "the answer was cut") from error


def whole(answer: Answer, body: bytes) -> Response:
    """The answer with a body that was read, and perhaps changed."""
    answer.close()
    return _response(answer, body, headers.to_client(answer.headers, len(body)))


def _response(answer: Answer, body: Any, shown: Headers) -> Response:
    return CoreResponse(body, f"{answer.status} {answer.reason}".strip(), shown)
