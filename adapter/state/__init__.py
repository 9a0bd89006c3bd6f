"""What only saves work, and what replicas may tell each other: values under keys, for a time. Nothing is needed."""

from __future__ import annotations

from adapter.state.link import Away, Link, UnexpectedReply
from adapter.state.memory import MemoryState
from adapter.state.shared import SharedState
from adapter.state.store import State

__all__ = ["Away", "Link", "MemoryState", "SharedState", "State", "UnexpectedReply", "open_state"]


def open_state(url: str) -> tuple[State, Link | None]:
    """The state that `SWR_ADAPTER_STATE_URL` names, and the way to its server if there is one. Connects to nothing."""
    if url.startswith("memory:"):
        return MemoryState(), None
    link = Link(url)
    return SharedState(link), link
