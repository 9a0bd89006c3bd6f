"""What one request of a caller cost at SWR, for its line in the log, and who the caller is."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def is_request_id(text: str) -> bool:
    """Whether a request ID from outside may stand in a log line and in a header of a response."""
    return _REQUEST_ID.fullmatch(text) is not None


@dataclass
class Trace:
    """Filled by the transport while a request is served. `caller` is the connection that it came on, if any;
    `on_accepted` is called when SWR has accepted the request's credentials, as often as it shows."""

    caller: socket.socket | None = field(default=None, repr=False)
    on_accepted: Callable[[], None] | None = field(default=None, repr=False)
    requests: int = 0
    request_ids: list[str] = field(default_factory=list)
    account: str | None = None

    def note(self, request_id: str | None) -> None:
        """Counts a request to SWR and keeps the ID that SWR gave it, if it is one."""
        self.requests += 1
        if request_id and is_request_id(request_id) and len(self.request_ids) < 8:
            self.request_ids.append(request_id)


current: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
"""The trace of the request that this thread serves, if any."""
