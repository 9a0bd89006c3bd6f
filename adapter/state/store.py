"""The interface of a store."""

from __future__ import annotations

from typing import Final, Protocol

MAX_VALUE_BYTES: Final = 64 << 10


class State(Protocol):
    """Values by key, each for a time; safe for threads. A value may be lost at any moment.

    Keys contain no secret and begin with their purpose and owner: `blob:<fingerprint of the credentials>:…`. Values are
    64 KiB at most. Other programs may have written them, so a reader checks each value. No method raises: while a store
    cannot be reached, it has no values.
    """

    def get(self, key: str) -> bytes | None:
        """The value, or None if it is missing or has expired."""
        ...

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Stores a value for so many seconds."""
        ...

    def drop(self, key: str) -> None:
        """Removes a value."""
        ...
