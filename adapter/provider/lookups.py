"""What the door asks core about, as core tells it to whoever asks."""

from __future__ import annotations

import time
from typing import Any, Final

from flask import Request, Response

from adapter.errors import Unexpected
from adapter.provider import headers, proxying, routes
from adapter.provider.core_client import Answer, CoreClient
from adapter.provider.json_edit import parsed

LONGEST: Final = 10.0
"""Seconds: there has to be time left for what was asked."""
LARGEST: Final = 4 << 20


class NotTold(Exception):
    """Core did not tell the stored endpoint; the response is its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def looked_up(core: CoreClient, request: Request, endpoint: int, until: float) -> dict[str, Any]:
    """The stored endpoint, as the caller may see it, with the caller's own Cookie and Authorization.

    Raises `NotTold` with core's answer when it is none, and what `CoreClient.send` raises.
    """
    answer, body = _asked(core, request, f"/registries/{endpoint}", until)
    if answer.status != 200:
        raise NotTold(proxying.streamed(answer) if body is None else proxying.whole(answer, body))
    answer.close()
    found = parsed(body) if body is not None else None
    if found is None or not _is_endpoint(found[1], endpoint):
        # Taken for somebody else's endpoint it would let SWR's own URL through.
        raise Unexpected("Harbor's core was asked for the stored endpoint and its answer makes no sense")
    document: dict[str, Any] = found[1]
    return document


def admitted(core: CoreClient, request: Request, until: float) -> bool:
    """Whether core lets the caller near endpoints; whoever is not, core refuses by itself. Raises as `CoreClient.send`.

    Asked is the list of provider types. It needs the system's rights as all these routes do
    (`docs/facts/harbor.md A.5`), and costs core the least: `/registries/0/info` has core call its own API for the
    labels, and a list of endpoints has it ask the database.
    """
    answer, _ = _asked(core, request, "/replication/adapters", until)
    answer.close()
    return answer.status == 200


def _asked(core: CoreClient, request: Request, path: str, until: float) -> tuple[Answer, bytes | None]:
    """Core's answer to a question of the door's own, and its body if that is not too long."""
    sent = headers.look_up(proxying.headers_of(request))
    answer = core.send("GET", routes.API + path, sent, until=min(until, time.monotonic() + LONGEST))
    try:
        return answer, answer.whole(LARGEST)
    except BaseException:
        answer.close()
        raise


def _is_endpoint(document: Any, endpoint: int) -> bool:
    if not isinstance(document, dict):
        return False
    return type(document.get("id")) is int and document["id"] == endpoint and isinstance(document.get("url"), str)
