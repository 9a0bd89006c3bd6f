"""The rate limit of a tenant: SWR throttles above 20 requests a second (`docs/facts/swr.md §4.13`).

One process and several replicas use one algorithm. Each request gets a turn, first come, first served: now, or one
window after the turn that was given `limit` turns before, whichever is later. A request that would wait too long is
rejected at once and uses no turn.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from cachetools import TLRUCache

from adapter.credentials import hidden
from adapter.errors import Throttled
from adapter.http.client_disconnect import interruptible_sleep
from adapter.state import RedisClient, RedisUnavailable, UnexpectedReply
from adapter.state.shared import PREFIX
from adapter.swr.tenants import Tenants

WINDOW_SECONDS: Final = 1.1
"""Window for the requests of one second. It is longer than a second, because requests can arrive closer together than
they were sent."""
MAX_KEYS: Final = 100_000
"""Tenants whose turns are in memory; beyond this, those without a turn for longest are dropped."""
MAX_WAIT_SECONDS: Final = 120.0
"""Longer than any request waits. A turn later than this plus a window is invalid."""

_SCRIPT: Final = """
local limit, window, max_wait, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if (tonumber(redis.call('LINDEX', KEYS[1], 0) or 0) or 0) > now + longest then
    redis.call('DEL', KEYS[1])
end
local turn = math.max(now, (tonumber(redis.call('LINDEX', KEYS[1], limit - 1) or 0) or 0) + window)
if turn - now > max_wait then
    return {0, turn - now}
end
redis.call('LPUSH', KEYS[1], string.format('%.0f', turn))
redis.call('LTRIM', KEYS[1], 0, limit - 1)
redis.call('PEXPIRE', KEYS[1], math.ceil((turn - now + window) / 1000))
return {1, turn - now}
"""
"""`Turns.take` on the server, in microseconds of the server's clock. The key holds the last turns, newest first. Turns
beyond `longest` date from before the clock was set back."""


class Turns:
    """The turns of one process, by key; safe for threads. At most `limit` turns are given in any `window` seconds."""

    def __init__(self, limit: int, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        # One window after its last turn, a key no longer affects the next turn.
        self._given: TLRUCache[str, deque[float]] = TLRUCache(
            MAX_KEYS, ttu=lambda _, given, __: given[-1] + window, timer=clock
        )

    def __len__(self) -> int:
        """The number of keys in memory."""
        return len(self._given)

    def take(self, key: str, max_wait: float) -> tuple[bool, float]:
        """Whether a turn was given, and the seconds until it; without one, until the turn that would be next."""
        with self._lock:
            now = self._clock()
            given = self._given.get(key)
            turn = max(now, given[0] + self._window) if given is not None and len(given) == self._limit else now
            if turn - now > max_wait:
                return False, turn - now
            if given is None:
                given = deque(maxlen=self._limit)
            given.append(turn)
            self._given[key] = given
            return True, turn - now


class RateLimit:
    """At most `per_second` requests of a tenant in any second, 0 for no limit; further requests wait for their turns.

    With `redis`, the limit is for all replicas together; while the server is unavailable, for each by itself.
    """

    def __init__(self, per_second: float, redis: RedisClient | None = None, tenants: Tenants | None = None) -> None:
        self._tenants = tenants or Tenants({})
        self._redis = redis
        self._limit = max(1, int(per_second))
        self._window = WINDOW_SECONDS * self._limit / per_second if per_second > 0 else 0.0
        self._turns = Turns(self._limit, self._window)

    def take(self, access_key: str, max_wait: float) -> None:
        """Waits for the turn of a request of an access key, `<region>/<AK>`.

        Raises `Throttled` at once if the wait is more than `max_wait` seconds, and as `interruptible_sleep` does.
        """
        if not self._window:
            return
        key = self._tenants.key_of(access_key)
        given, wait = self._take_turn(key, max(0.0, min(max_wait, MAX_WAIT_SECONDS)))
        if not given:
            raise Throttled(
                f"too many requests of this account are waiting for SWR (next turn in {wait:.0f} s): run fewer "
                "replications in parallel, or raise SWR_ADAPTER_REQUESTS_PER_SECOND if SWR allows more",
                retry_after=wait,
            )
        interruptible_sleep(wait)

    def _take_turn(self, key: str, max_wait: float) -> tuple[bool, float]:
        if self._redis is not None:
            try:
                return self._take_shared_turn(self._redis, key, max_wait)
            except RedisUnavailable:
                pass
        return self._turns.take(key, max_wait)

    def _take_shared_turn(self, redis: RedisClient, key: str, max_wait: float) -> tuple[bool, float]:
        name = f"{PREFIX}rate-limit:{self._limit}:{self._window:.3f}:{hidden(key)}"
        longest = MAX_WAIT_SECONDS + self._window
        sizes = [round(seconds * 1e6) for seconds in (self._window, max_wait, longest)]

        def command(server: Any) -> tuple[bool, float]:
            return _checked(server.eval(_SCRIPT, 1, name, self._limit, *sizes), sizes[1], round(longest * 1e6))

        return redis.do(command)


def _checked(reply: object, max_wait: int, longest: int) -> tuple[bool, float]:
    """The reply to the script, `[1, wait]` or `[0, wait]` in microseconds. Raises `UnexpectedReply` for any other,
    which might cause a sleep of an hour."""
    match reply:
        case [1, int(wait)] if 0 <= wait <= max_wait:
            return True, wait / 1e6
        case [0, int(wait)] if max_wait < wait <= longest:
            return False, wait / 1e6
    raise UnexpectedReply
