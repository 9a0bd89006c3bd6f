"""A clock for tests."""

from __future__ import annotations

import time


class Clock:
    """Stands still unless it is moved: a function that returns seconds, or in place of the module `time`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @staticmethod
    def time() -> float:
        """The real time: signatures and tokens need it."""
        return time.time()
