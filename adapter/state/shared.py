"""The state that replicas share."""

from __future__ import annotations

from typing import Final

from adapter.state.memory import MemoryState
from adapter.state.redis_client import RedisClient, RedisUnavailable, UnexpectedReply
from adapter.state.store import MAX_VALUE_BYTES

PREFIX: Final = "harbor-swr-adapter:1:"
"""Prefix of every key, because the server may be Harbor's own; the number is the format version of the values."""
_MAX_LOCAL_VALUE_BYTES: Final = 4096
"""Limit of a value that is stored in this process while the server is unavailable."""


class SharedState:
    """A `State` on a Redis or Valkey server; while the server is unavailable, in memory."""

    def __init__(self, redis: RedisClient, memory: MemoryState | None = None) -> None:
        self._redis = redis
        self._memory = MemoryState() if memory is None else memory

    def get(self, key: str) -> bytes | None:
        try:
            return self._redis.do(lambda server: _checked(server.get(PREFIX + key)))
        except RedisUnavailable:
            return self._memory.get(key)

    def put(self, key: str, value: bytes, seconds: float) -> None:
        try:
            self._redis.do(lambda server: server.set(PREFIX + key, value, px=max(1, round(seconds * 1000))))
        except RedisUnavailable:
            # The memory limits the number of values only. A large value merely saves a request.
            if len(value) <= _MAX_LOCAL_VALUE_BYTES:
                self._memory.put(key, value, seconds)

    def drop(self, key: str) -> None:
        self._memory.drop(key)
        try:
            self._redis.do(lambda server: server.delete(PREFIX + key))
        except RedisUnavailable:
            return


def _checked(reply: object) -> bytes | None:
    """The reply to GET. A value that is too large is from another program, and counts as missing."""
    if reply is not None and not isinstance(reply, bytes):
        raise UnexpectedReply
    return None if reply is not None and len(reply) > MAX_VALUE_BYTES else reply
