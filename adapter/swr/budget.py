"""The request budget of an account: SWR throttles above 20 requests a second (`docs/facts/swr.md §4.13`)."""

from __future__ import annotations

import time

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from adapter.errors import Throttled


class Budget:
    """At most `per_second` requests of an account in any second; who is over it waits its turn."""

    def __init__(self, per_second: float) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        # A budget below one request a second is a longer window for one request.
        self._item = None
        if per_second >= 1:
            self._item = RateLimitItemPerSecond(int(per_second))
        elif per_second > 0:
            self._item = RateLimitItemPerSecond(1, max(1, round(1 / per_second)))

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
