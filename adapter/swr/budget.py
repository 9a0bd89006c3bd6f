"""The request budget of an account: SWR throttles above 20 requests a second (`docs/facts/swr.md §4.13`)."""

from __future__ import annotations

import time
from typing import Any, Final

from limits import RateLimitItem
from limits.limits import Granularity
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from adapter.errors import Throttled
from adapter.identity import hidden
from adapter.state import Away, Link
from adapter.state.shared import PREFIX
from adapter.swr.caller import rest

_WINDOW: Final = 1.1
"""Seconds in which the requests of one second may go: on their way some catch up with others; SWR counts arrivals."""

_TURN: Final = """
local limit, window, patience, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if tonumber(redis.call('LINDEX', KEYS[1], 0) or 0) > now + longest then
    redis.call('DEL', KEYS[1])
end
local turn = math.max(now, tonumber(redis.call('LINDEX', KEYS[1], limit - 1) or 0) + window)
if turn - now > patience then
    return {0, turn - now}
end
redis.call('LPUSH', KEYS[1], string.format('%.0f', turn))
redis.call('LTRIM', KEYS[1], 0, limit - 1)
redis.call('PEXPIRE', KEYS[1], math.ceil((turn - now + window) / 1000))
return {1, turn - now}
"""
"""Gives the next turn away, in microseconds from now, if it comes within the patience. The key holds the turns given
last, newest first, by the server's own clock; turns beyond `longest` are from a clock that was set back since."""

_LONGEST: Final = 120.0


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
    """At most `per_second` requests of an account in any second; who is over it waits its turn.

    With a `link` all replicas together keep to it; while the server is away, each of them does.
    """

    def __init__(self, per_second: float, link: Link | None = None) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._item = None
        self._link = link
        if per_second > 0:
            amount = max(1, int(per_second))
            self._item = _PerWindow(amount, _WINDOW * amount / per_second)

    def take(self, account: str, patience: float) -> None:
        """Waits until a request may go. Raises `Throttled` after `patience` seconds at most."""
        if self._item is None:
            return
        if self._link is not None:
            try:
                granted, wait = self._turn(self._link, self._item, account, patience)
            except Away:
                pass
            else:
                if not granted:
                    raise _throttled(patience)
                rest(wait)
                return
        self._take_here(self._item, account, patience)

    @staticmethod
    def _turn(link: Link, item: _PerWindow, account: str, patience: float) -> tuple[bool, float]:
        """Whether a turn was given, and in how many seconds it is."""
        key = f"{PREFIX}budget:{item.amount}:{item.get_expiry():.3f}:{hidden(account)}"
        sizes = [round(seconds * 1e6) for seconds in (item.get_expiry(), patience, max(_LONGEST, item.get_expiry()))]

        def take(server: Any) -> tuple[bool, float]:
            granted, wait = server.eval(_TURN, 1, key, item.amount, *sizes)
            return granted == 1, wait / 1e6

        return link.do(take)

    def _take_here(self, item: _PerWindow, account: str, patience: float) -> None:
        until = time.monotonic() + patience
        while not self._limiter.hit(item, account):
            reset = self._limiter.get_window_stats(item, account).reset_time
            wait = min(max(reset - time.time(), 0.01), 0.25)
            if time.monotonic() + wait > until:
                raise _throttled(patience)
            rest(wait)


def _throttled(patience: float) -> Throttled:
    return Throttled(
        "too many requests of this account wait for SWR: run fewer replications at once, "
        "or raise SWR_ADAPTER_REQUESTS_PER_SECOND if SWR allows this account more",
        retry_after=patience,
    )
