"""The request budget of an account: SWR throttles above 20 requests a second (`docs/facts/swr.md §4.13`)."""

from __future__ import annotations

import time
from typing import Final

from limits import RateLimitItem
from limits.limits import Granularity
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from adapter.errors import Throttled

_WINDOW: Final = 1.1
"""Seconds in which the requests of one second may go: on their way some catch up with others; SWR counts arrivals."""


class _PerWindow(RateLimitItem):
    """A limit whose window is not a whole number of seconds."""

    __slots__ = ("_seconds",)
    GRANULARITY = Granularity(1, "window")

    def __init__(self, amount: int, seconds: float) -> None:
        super().__init__(amount)
        self._seconds = seconds

    def get_expiry(self) -> float:  # type: ignore[override]
        return self._seconds


class Budget:
    """At most `per_second` requests of an account in any second; who is over it waits its turn."""

    def __init__(self, per_second: float) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._item = None
        if per_second > 0:
            amount = max(1, int(per_second))
            self._item = _PerWindow(amount, _WINDOW * amount / per_second)

    def take(self, account: str, patience: float) -> None:
        """Waits until a request may go. Raises `Throttled` after `patience` seconds."""
        if self._item is None:
            return
        until = time.monotonic() + patience
        while not self._limiter.hit(self._item, account):
            reset = self._limiter.get_window_stats(self._item, account).reset_time
            wait = min(max(reset - time.time(), 0.01), 0.25)
            if time.monotonic() + wait > until:
                raise Throttled(
                    "too many requests of this account wait for SWR: run fewer replications at once, "
                    "or raise SWR_ADAPTER_REQUESTS_PER_SECOND if SWR allows this account more",
                    retry_after=patience,
                )
            time.sleep(wait)
