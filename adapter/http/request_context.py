"""What one request of a caller cost at SWR, for its line in the log, and who the caller is."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from adapter.errors import UploadInvalid

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def is_request_id(text: str) -> bool:
    """Whether a request ID from outside may stand in a log line and in a header of a response."""
    return _REQUEST_ID.fullmatch(text) is not None


@dataclass
class RequestContext:
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


current_request: Final[ContextVar[RequestContext | None]] = ContextVar("trace", default=None)
"""The trace of the request that this thread serves, if any."""


DISCONNECT_POLL_SECONDS: Final = 1.0
"""Seconds between two looks, and before the first one: while SWR gets on, the end is near."""

_cancel_on_disconnect: Final[ContextVar[bool]] = ContextVar("tied", default=False)


@contextlib.contextmanager
def cancel_on_disconnect(yes: bool) -> Iterator[None]:
    """Whether what is asked of SWR in this block ends when the caller of this thread leaves."""
    token = _cancel_on_disconnect.set(yes)
    try:
        yield
    finally:
        _cancel_on_disconnect.reset(token)


def peer_closed(connection: socket.socket) -> bool:
    """Whether the other side will say no more, whatever of it was not read yet."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def client_disconnected() -> bool:
    """Whether the caller of this thread, if it has one, has ended its connection."""
    current = current_request.get()
    return current is not None and current.caller is not None and peer_closed(current.caller)


def raise_if_disconnected() -> None:
    """Raises `UploadInvalid` when the exchange is tied to a caller that has left."""
    if _cancel_on_disconnect.get() and client_disconnected():
        raise UploadInvalid("the client left before SWR had answered: it is not asked any further")


def interruptible_sleep(seconds: float) -> None:
    """Waits so long. Raises what `raise_if_disconnected` does."""
    until = time.monotonic() + seconds
    raise_if_disconnected()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, DISCONNECT_POLL_SECONDS))
        raise_if_disconnected()
