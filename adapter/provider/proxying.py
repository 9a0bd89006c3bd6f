"""A request of Flask's to core, and core's answer back, as they are."""

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
from adapter.provider.core_client import Answer, Body, CoreClient
from adapter.provider.core_responses import BLOCK
from adapter.provider.headers import Headers
from adapter.provider.incoming import Incoming
from adapter.provider.routes import is_brought, origin_form
from adapter.provider.threads import Threads, has_body
from adapter.transfer.request_body import announced_length

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 60.0
"""Seconds that an answer may take on its way to the client, and more for a long one."""
SLOWEST: Final = 16 << 10
"""Bytes a second, on average, of an answer that takes longer."""


class CoreResponse(Response):
    """Says no more than core did: Flask would add a Content-Type."""

    default_mimetype = None


def target_of(request: Request) -> str:
    """The target as it was on the wire; werkzeug's own views of it are decoded."""
    return origin_form(str(request.environ["RAW_URI"]))


def headers_of(request: Request) -> Headers:
    """As the server gave them: names in any case, the values of repeated ones in one."""
    return list(request.headers.items())


def incoming(request: Request, threads: Threads) -> Body | None:
    """The body as it arrives, None for a request without a body. Raises `Busy`."""
    if not has_body(request.environ):
        return None if request.content_length is None else b""
    return Incoming(request.environ, threads.take_body(request.environ)), announced_length(request.environ)


def asked(core: CoreClient, request: Request, target: str, body: Body | None, until: float | None = None) -> Answer:
    """Core's answer to the request, which must be read or closed. `until` does not count for a body as it comes."""
    sent = headers.to_core(headers_of(request), plain=is_brought(target))
    with contextlib.ExitStack() as place:
        if isinstance(body, tuple):
            until = None
            if isinstance(body[0], Incoming):
                place.callback(body[0].close)
        answer = core.send(request.method, target, sent, body, until=until)
    if answer.early:
        drop_rest(request)
    return answer


def passed(core: CoreClient, request: Request, target: str, body: Body | None, until: float | None = None) -> Response:
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
    response = _response(answer, _paced(answer.blocks()), headers.to_client(answer.headers))
    response.call_on_close(answer.close)
    return response


def rewritten(answer: Answer, blocks: Iterator[bytes]) -> Response:
    """The answer with another body, as that comes. Raises what `blocks` raises before anything of it is there."""
    with answer.told():
        first = next(blocks, b"")
    shown = [each for each in headers.to_client(answer.headers) if each[0].lower() != "content-length"]
    response = _response(answer, _paced(_going_on(first, blocks)), shown)
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
    parts = body if len(body) <= BLOCK else _paced(body[at : at + BLOCK] for at in range(0, len(body), BLOCK))
    return _response(answer, parts, headers.to_client(answer.headers, len(body)))


def _paced(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks, as long as core gives them and the client takes them fast enough; else both connections end."""
    begun, sent = time.monotonic(), 0
    for block in blocks:
        yield block
        sent += len(block)
        if time.monotonic() - begun > ANSWER_SECONDS + sent / SLOWEST:
            log.warning("an answer was cut after %d bytes: it came or was taken too slowly", sent)
            raise ConnectionResetError(errno.ECONNRESET, "the answer was cut")


def _response(answer: Answer, body: Any, shown: Headers) -> Response:
    return CoreResponse(body, f"{answer.status} {answer.reason}".strip(), shown)
