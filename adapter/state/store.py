"""The interface of a store."""

from __future__ import annotations

from typing import Final, Protocol

MAX_VALUE_BYTES: Final = 64 << 10


class State(Protocol):
    """Values by key, each for a time; safe for threads. A value may be gone at any moment, and nothing breaks.

    Keys hold no secret and begin with what they are for and whose they are: `blob:<account>:…`. Values are 64 KiB at
    most, and may have been written by others: whoever reads one checks it. No method raises: a store that cannot be
    reached forgets.
    """

    def get(self, key: str) -> bytes | None:
        """The value, None when there is none (any more)."""
        ...

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keeps a value for so long."""
        ...

    def drop(self, key: str) -> None:
        """Forgets a value."""
        ...
