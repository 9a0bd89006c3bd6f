"""Lookups at Harbor core with the credentials of the caller, before a request is forwarded."""

from __future__ import annotations

import time
from typing import Any, Final

from flask import Request, Response

from adapter.errors import Unexpected
from adapter.provider import headers, proxying, routes
from adapter.provider.core_client import CoreClient, CoreResponse
from adapter.provider.json_edit import parse

TIMEOUT_SECONDS: Final = 10.0
"""Leaves time for the request itself."""
MAX_BYTES: Final = 4 << 20


class LookupFailed(Exception):
    """Core did not return the stored endpoint. `response` passes on what core returned instead."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def stored_endpoint(core: CoreClient, request: Request, endpoint: int, deadline: float) -> dict[str, Any]:
    """The stored endpoint, as the caller may see it.

    Raises `LookupFailed` with any response but 200, `Unexpected` if the response is not that endpoint, and what
    `CoreClient.send` raises.
    """
    response, body = _look_up(core, request, f"/registries/{endpoint}", deadline)
    if response.status != 200:
        raise LookupFailed(proxying.stream(response) if body is None else proxying.respond(response, body))
    response.close()
    try:
        document = parse(body or b"")
    except ValueError:
        document = None
    if not _is_endpoint(document, endpoint):
        # Handled as an endpoint of another registry, it would let the SWR URL through.
        raise Unexpected(
            "unexpected response from Harbor core to the lookup of the stored endpoint (nothing was stored): "
            "check the core log"
        )
    found: dict[str, Any] = document
    return found


def is_authorized(core: CoreClient, request: Request, deadline: float) -> bool:
    """Whether core lets the caller manage endpoints. Raises as `CoreClient.send`.

    Requests the list of provider types, which needs the same permission as all these routes
    (`docs/facts/harbor.md A.5`) and costs core the least: `/registries/0/info` makes core call its own API for the
    labels, and a list of endpoints makes it query the database.
    """
    response, _ = _look_up(core, request, "/replication/adapters", deadline)
    response.close()
    return response.status == 200


def _look_up(core: CoreClient, request: Request, path: str, deadline: float) -> tuple[CoreResponse, bytes | None]:
    """The response of core, and its body unless that is longer than `MAX_BYTES`."""
    sent = headers.for_lookup(proxying.headers_of(request))
    response = core.send("GET", routes.API + path, sent, deadline=min(deadline, time.monotonic() + TIMEOUT_SECONDS))
    try:
        return response, response.read(MAX_BYTES)
    except BaseException:
        response.close()
        raise


def _is_endpoint(document: Any, endpoint: int) -> bool:
    if not isinstance(document, dict):
        return False
    return type(document.get("id")) is int and document["id"] == endpoint and isinstance(document.get("url"), str)
