"""What one request of a caller cost at SWR, for its line in the log, and who the caller is."""

from __future__ import annotations

import socket
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final


@dataclass
class Trace:
    """Filled by the transport while a request is served. `caller` is the connection that it came on, if any."""

    caller: socket.socket | None = field(default=None, repr=False)
    requests: int = 0
    request_ids: list[str] = field(default_factory=list)
    account: str | None = None

    def note(self, request_id: str | None) -> None:
        """Counts a request to SWR and keeps the id that SWR gave it."""
        self.requests += 1
        if request_id and len(self.request_ids) < 8:
            self.request_ids.append(request_id)


current: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
"""The trace of the request that this thread serves, if any."""
