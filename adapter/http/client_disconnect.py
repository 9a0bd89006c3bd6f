"""Notices when the client of the request that a thread serves has disconnected, and ends its requests to SWR."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

from adapter.errors import UploadInvalid
from adapter.http.request_context import current_request

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
