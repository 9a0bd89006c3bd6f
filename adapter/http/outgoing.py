"""One request on its way to SWR: what the connection tells of it, and where it may go."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from adapter.http.addresses import is_local


class LocalAddress(http.client.HTTPException):
    """The other side is this machine, or on its link; nothing was sent there."""


@dataclass
class Outgoing:
    """`local_allowed`: whether it may go to an address of this machine or its link. `sent`: whether its head went out,
    on whatever connection; `on_sent` is called then."""

    local_allowed: bool = True
    on_sent: Callable[[], None] | None = None
    sent: bool = False

    def went_out(self) -> None:
        """Its head did."""
        self.sent = True
        if self.on_sent is not None:
            self.on_sent()

    def check_peer(self, connection: socket.socket) -> None:
        """Before anything is sent. Raises `LocalAddress`.

        The address that is connected is looked at, not the name again, which may resolve to another one by then.
        """
        if not self.local_allowed and is_local(str(connection.getpeername()[0])):
            raise LocalAddress


_current: Final[ContextVar[Outgoing | None]] = ContextVar("outgoing", default=None)


@contextlib.contextmanager
def sending(outgoing: Outgoing) -> Iterator[None]:
    """In this block, requests of this thread are this one."""
    token = _current.set(outgoing)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Outgoing:
    """That of this thread; one that nobody looks at outside of `sending`."""
    return _current.get() or Outgoing()
