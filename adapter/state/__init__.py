"""State that saves requests, and that replicas may share: values by key, each for a time. All of it may be lost."""

from __future__ import annotations

from adapter.state.memory import MemoryState
from adapter.state.redis_client import RedisClient, RedisUnavailable, UnexpectedReply
from adapter.state.shared import SharedState
from adapter.state.store import State

__all__ = ["MemoryState", "RedisClient", "RedisUnavailable", "SharedState", "State", "UnexpectedReply", "open_state"]


def open_state(url: str) -> tuple[State, RedisClient | None]:
    """The state of `SWR_ADAPTER_STATE_URL`, and the client of its server if there is one. Opens no connection."""
    if url.startswith("memory:"):
        return MemoryState(), None
    client = RedisClient(url)
    return SharedState(client), client
