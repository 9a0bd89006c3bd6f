"""Stored endpoints, as core tells them to whoever asks."""

from __future__ import annotations

import time
from typing import Any, Final

from flask import Request, Response

from adapter.errors import Unexpected
from adapter.provider import headers, relay, routes
from adapter.provider.core import Core
from adapter.provider.documents import parsed

LONGEST: Final = 10.0
"""Seconds: there has to be time left for what was asked."""
LARGEST: Final = 4 << 20


class NotTold(Exception):
    """Core did not tell the stored endpoint; the response is its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def looked_up(core: Core, request: Request, endpoint: int, until: float) -> dict[str, Any]:
    """The stored endpoint, as the caller may see it, with the caller's own Cookie and Authorization.

    Raises `NotTold` with core's answer when it is none, and what `Core.send` raises.
    """
    sent = headers.look_up(relay.headers_of(request))
    until = min(until, time.monotonic() + LONGEST)
    answer = core.send("GET", f"{routes.API}/registries/{endpoint}", sent, until=until)
    try:
        body = answer.whole(LARGEST)
    except BaseException:
        answer.close()
        raise
    if answer.status != 200:
        raise NotTold(relay.streamed(answer) if body is None else relay.whole(answer, body))
    answer.close()
    found = parsed(body) if body is not None else None
    if found is None or not isinstance(found[1], dict):
        raise Unexpected("Harbor's core was asked for the stored endpoint and its answer makes no sense")
    document: dict[str, Any] = found[1]
    return document
