"""Places for transfers and for other requests, so that they never take the last threads of the contract door."""

from __future__ import annotations

import threading
from typing import Final

from adapter.errors import Busy

RETRY_AFTER: Final = 5.0
"""Seconds; Harbor waits 2, 4, 8 and 16 before it sends a blob again (`docs/facts/harbor.md D.2`)."""


class Slot:
    """One place; a context manager. `release` may be called more than once."""

    def __init__(self, free: threading.Semaphore) -> None:
        self._free: threading.Semaphore | None = free

    def release(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            free.release()

    def __enter__(self) -> Slot:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Slots:
    """So many of something at once, `what` in a sentence; safe for threads."""

    def __init__(self, number: int, what: str) -> None:
        self._number = number
        self._what = what
        self._free = threading.Semaphore(number)

    def take(self) -> Slot:
        """Never waits, because waiting would need a thread. Raises `Busy`."""
        if not self._free.acquire(blocking=False):
            raise Busy(
                f"{self._number} {self._what} are under way, and no more are taken at once: it will be tried again",
                retry_after=RETRY_AFTER,
            )
        return Slot(self._free)
