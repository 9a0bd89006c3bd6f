"""The caller that an upload is for: when it leaves, nobody waits for SWR any longer."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

from adapter.errors import UploadInvalid
from adapter.swr import trace

GLANCES: Final = 1.0
"""Seconds between two looks, and before the first one: while SWR gets on, the end of the upload is near."""

_tied: Final[ContextVar[bool]] = ContextVar("tied", default=False)


@contextlib.contextmanager
def tied(yes: bool) -> Iterator[None]:
    """Whether the exchange with SWR in this block ends when the caller of this thread leaves."""
    token = _tied.set(yes)
    try:
        yield
    finally:
        _tied.reset(token)


def refuse_if_gone() -> None:
    """Raises `UploadInvalid` when the exchange is tied to a caller that has ended its connection."""
    current = trace.current.get()
    if not _tied.get() or current is None or current.caller is None:
        return
    poll = select.poll()
    poll.register(current.caller, select.POLLRDHUP)
    if poll.poll(0):
        raise UploadInvalid("the client left before SWR had answered: the upload was given up")
