"""Connections to a Redis or Valkey server with limits on the time and size of a reply.

The client library applies its timeout to each read of a socket and has no size limit, so a slow or endless reply would
block a request and fill the memory.
"""

from __future__ import annotations

import time
from typing import Any, Final

import redis
from redis.exceptions import InvalidResponse

REPLY_SECONDS: Final = 0.5
"""Time limit for a whole reply, from the moment when the command was sent."""
MAX_REPLY_BYTES: Final = 1 << 20
"""Limit of a reply: larger than any value of the adapter, and small enough to read and discard a value of another
program."""


class BoundedSocket:
    """A connected socket; `recv` raises `TimeoutError` or `InvalidResponse` for a reply that is too slow or too large.

    A reply begins when a command is sent. A check without waiting is always allowed.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._begin()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: Any) -> None:
        self._begin()
        self._sock.sendall(data)

    def recv(self, size: int) -> bytes:
        if self._sock.gettimeout() != 0 and time.monotonic() > self._until:
            raise TimeoutError("the reply takes too long")
        data: bytes = self._sock.recv(size)
        self._left -= len(data)
        if self._left < 0:
            raise InvalidResponse("the reply is too large")
        return data

    def _begin(self) -> None:
        self._until = time.monotonic() + REPLY_SECONDS
        self._left = MAX_REPLY_BYTES


class PlainConnection(redis.Connection):
    """For `redis://`."""

    def _connect(self) -> Any:
        return BoundedSocket(super()._connect())  # type: ignore[no-untyped-call]


class TLSConnection(redis.SSLConnection):
    """For `rediss://`."""

    def _connect(self) -> Any:
        return BoundedSocket(super()._connect())  # type: ignore[no-untyped-call]
