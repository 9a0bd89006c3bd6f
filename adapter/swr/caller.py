"""The caller that bytes are moved for: when it leaves, nobody waits for SWR any longer."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

from adapter.errors import UploadInvalid
from adapter.swr import trace

GLANCES: Final = 1.0
"""Seconds between two looks, and before the first one: while SWR gets on, the end is near."""

_tied: Final[ContextVar[bool]] = ContextVar("tied", default=False)


@contextlib.contextmanager
def tied(yes: bool) -> Iterator[None]:
    """Whether what is asked of SWR in this block ends when the caller of this thread leaves."""
    token = _tied.set(yes)
    try:
        yield
    finally:
        _tied.reset(token)


def has_ended(connection: socket.socket) -> bool:
    """Whether the other side will say no more, whatever of it was not read yet."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def has_left() -> bool:
    """Whether the caller of this thread, if it has one, has ended its connection."""
    current = trace.current.get()
    return current is not None and current.caller is not None and has_ended(current.caller)


def refuse_if_gone() -> None:
    """Raises `UploadInvalid` when the exchange is tied to a caller that has left."""
    if _tied.get() and has_left():
        raise UploadInvalid("the client left before SWR had answered: it is not asked any further")


def rest(seconds: float) -> None:
    """Waits so long. Raises what `refuse_if_gone` does."""
    until = time.monotonic() + seconds
    refuse_if_gone()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, GLANCES))
        refuse_if_gone()
