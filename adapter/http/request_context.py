"""The request that a thread serves: its client's connection, and its requests to SWR, for the access log."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_MAX_REQUEST_IDS: Final = 8


def is_request_id(text: str) -> bool:
    """Whether a request ID from outside may appear in a log line and in a response header."""
    return _REQUEST_ID.fullmatch(text) is not None


@dataclass
class RequestContext:
    """Filled by the transport while a request is served.

    `client` is the connection of the request, if any. `on_accepted` is called whenever SWR accepts the request's
    credentials. `requests` counts the requests to SWR; `request_ids` are SWR's.
    """

    client: socket.socket | None = field(default=None, repr=False)
    on_accepted: Callable[[], None] | None = field(default=None, repr=False)
    requests: int = 0
    request_ids: list[str] = field(default_factory=list)
    account: str | None = None

    def note(self, request_id: str | None) -> None:
        """Counts a request to SWR, and keeps its ID if it is valid."""
        self.requests += 1
        if request_id and is_request_id(request_id) and len(self.request_ids) < _MAX_REQUEST_IDS:
            self.request_ids.append(request_id)


current_request: Final[ContextVar[RequestContext | None]] = ContextVar("current_request", default=None)
"""The request that this thread serves, if any."""
