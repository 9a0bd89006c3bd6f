"""Connections to a Redis or Valkey server, whose replies are bounded in time and in bytes.

The client library gives each read of a socket its timeout, however many reads a reply takes, and keeps whatever comes:
a server that sends a byte now and then, or without end, would hold the caller and its memory.
"""

from __future__ import annotations

import time
from typing import Any, Final

import redis
from redis.exceptions import InvalidResponse

REPLY_SECONDS: Final = 0.5
"""For a whole reply, from the moment the command was sent."""
MAX_REPLY_BYTES: Final = 1 << 20
"""Beyond what any value of ours takes, and small enough to read and throw away one that others wrote."""


class BoundedSocket:
    """A connected socket; `recv` raises `TimeoutError` or `InvalidResponse` where a reply takes too long or too much.

    A reply begins when a command is sent. Looking whether something came, without waiting, is always allowed.
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
