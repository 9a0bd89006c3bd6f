"""The state of all replicas."""

from __future__ import annotations

from typing import Final

from adapter.state.link import Away, Link, UnexpectedReply
from adapter.state.memory import MemoryState
from adapter.state.store import MAX_VALUE_BYTES

PREFIX: Final = "harbor-swr-adapter:1:"
"""Begins every key, because the server may be Harbor's own; the number is the form of the values."""
_SMALL: Final = 4096
"""Bytes of a value that is kept in this process while the server is away."""


class SharedState:
    """A `State` on a Redis or Valkey server; while that is away, one in memory."""

    def __init__(self, link: Link, memory: MemoryState | None = None) -> None:
        self._link = link
        self._memory = MemoryState() if memory is None else memory

    def get(self, key: str) -> bytes | None:
        try:
            return self._link.do(lambda server: _checked(server.get(PREFIX + key)))
        except Away:
            return self._memory.get(key)

    def put(self, key: str, value: bytes, seconds: float) -> None:
        try:
            self._link.do(lambda server: server.set(PREFIX + key, value, px=max(1, round(seconds * 1000))))
        except Away:
            # The memory is bounded by number; what is large is only ever there to save a request.
            if len(value) <= _SMALL:
                self._memory.put(key, value, seconds)

    def drop(self, key: str) -> None:
        self._memory.drop(key)
        try:
            self._link.do(lambda server: server.delete(PREFIX + key))
        except Away:
            return


def _checked(reply: object) -> bytes | None:
    """The reply to GET. A value that is too large was written by somebody else, and is none."""
    if reply is not None and not isinstance(reply, bytes):
        raise UnexpectedReply
    return None if reply is not None and len(reply) > MAX_VALUE_BYTES else reply
