"""The request that a thread serves: its client's connection, and its requests to SWR, for the access log."""

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
DISCONNECT_POLL_SECONDS: Final = 1.0
"""Between two checks, and before the first: most exchanges end sooner."""

_cancel_on_disconnect: Final[ContextVar[bool]] = ContextVar("cancel_on_disconnect", default=False)


@contextlib.contextmanager
def cancel_on_disconnect(enabled: bool) -> Iterator[None]:
    """If enabled, requests to SWR in this block end when the client disconnects."""
    token = _cancel_on_disconnect.set(enabled)
    try:
        yield
    finally:
        _cancel_on_disconnect.reset(token)


def peer_closed(connection: socket.socket) -> bool:
    """Whether the peer has ended its side of the connection, even if data is still unread."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def client_disconnected() -> bool:
    """Whether the client whose request this thread serves, if any, has ended its connection."""
    current = current_request.get()
    return current is not None and current.client is not None and peer_closed(current.client)


def raise_if_disconnected() -> None:
    """Raises `UploadInvalid` if the client has disconnected and that cancels the exchange."""
    if _cancel_on_disconnect.get() and client_disconnected():
        raise UploadInvalid("the client disconnected before SWR responded: start the upload again")


def interruptible_sleep(seconds: float) -> None:
    """Sleeps for so many seconds. Raises as `raise_if_disconnected` does."""
    until = time.monotonic() + seconds
    raise_if_disconnected()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, DISCONNECT_POLL_SECONDS))
        raise_if_disconnected()
