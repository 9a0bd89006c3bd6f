"""The rate limit of a tenant: SWR throttles above 20 requests a second (`docs/facts/swr.md §4.13`).

There is one algorithm, for one process and for replicas alike. Each request gets a turn, first come, first served: now,
or one window after the turn that was given `limit` turns before, whichever is later. Who would have to wait longer than
it may is refused at once, and uses no turn.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

from adapter.credentials import hidden
from adapter.errors import Throttled
from adapter.http.request_context import interruptible_sleep
from adapter.state import Away, Link, UnexpectedReply
from adapter.state.shared import PREFIX
from adapter.swr.tenants import Tenants

WINDOW_SECONDS: Final = 1.1
"""In which the requests of one second may go: on their way some catch up with others, and SWR counts arrivals."""
MAX_KEYS: Final = 100_000
"""Tenants whose turns are kept in memory; beyond, those that had no turn for longest are dropped."""
MAX_WAIT_SECONDS: Final = 120.0
"""More than any caller waits. A turn further ahead than this and a window is not one of ours."""

_SCRIPT: Final = """
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
"""`Turns.take` on the server, in microseconds of the server's clock. The key holds the last turns, newest first; turns
beyond `longest` are from a clock that was set back since."""


class Turns:
    """The turns of one process, by key; safe for threads. At most `limit` turns are given in any `window` seconds."""

    def __init__(self, limit: int, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._given: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        """Keys that are kept."""
        return len(self._given)

    def take(self, key: str, policy: float) -> tuple[bool, float]:
        """Whether a turn was given, and the seconds until it; without one, until the turn that would be next."""
        with self._lock:
            now = self._clock()
            self._expire(now)
            given = self._given.get(key)
            turn = max(now, given[0] + self._window) if given is not None and len(given) == self._limit else now
            if turn - now > policy:
                return False, turn - now
            if given is None:
                given = self._given[key] = deque(maxlen=self._limit)
            given.append(turn)
            self._given.move_to_end(key)
            while len(self._given) > MAX_KEYS:
                self._given.popitem(last=False)
            return True, turn - now

    def _expire(self, now: float) -> None:
        """Drops keys whose last turn says nothing about the next one. Those that were used last are at the end, so each
        is looked at once more when it goes, and no other."""
        while self._given:
            key, given = next(iter(self._given.items()))
            if given[-1] + self._window > now:
                return
            del self._given[key]


class RateLimit:
    """At most `per_second` requests of a tenant in any second, 0 for no limit; who is over it waits for its turn.

    With a `link` all replicas together keep to it; while the server is away, each of them does by itself.
    """

    def __init__(self, per_second: float, link: Link | None = None, tenants: Tenants | None = None) -> None:
        self._tenants = tenants or Tenants({})
        self._link = link
        self._limit = max(1, int(per_second))
        self._window = WINDOW_SECONDS * self._limit / per_second if per_second > 0 else 0.0
        self._turns = Turns(self._limit, self._window)

    def take(self, account: str, policy: float) -> None:
        """Waits until a request of the account, `<region>/<AK>`, may go.

        Raises `Throttled` at once when that takes more than `policy` seconds, and what `rest` raises.
        """
        if not self._window:
            return
        key = self._tenants.key_of(account)
        given, wait = self._taken(key, max(0.0, min(policy, MAX_WAIT_SECONDS)))
        if not given:
            raise Throttled(
                f"too many requests of this account wait for SWR (the next turn is in {wait:.0f} s): run fewer "
                "replications at once, or raise SWR_ADAPTER_REQUESTS_PER_SECOND if SWR allows this account more",
                retry_after=wait,
            )
        interruptible_sleep(wait)

    def _taken(self, key: str, policy: float) -> tuple[bool, float]:
        if self._link is not None:
            try:
                return self._taken_of_all(self._link, key, policy)
            except Away:
                pass
        return self._turns.take(key, policy)

    def _taken_of_all(self, link: Link, key: str, policy: float) -> tuple[bool, float]:
        name = f"{PREFIX}rate-limit:{self._limit}:{self._window:.3f}:{hidden(key)}"
        longest = MAX_WAIT_SECONDS + self._window
        sizes = [round(seconds * 1e6) for seconds in (self._window, policy, longest)]

        def command(server: Any) -> tuple[bool, float]:
            return _checked(server.eval(_SCRIPT, 1, name, self._limit, *sizes), sizes[1], round(longest * 1e6))

        return link.do(command)


def _checked(reply: object, policy: int, longest: int) -> tuple[bool, float]:
    """The reply to the script, `[1, wait]` or `[0, wait]` in microseconds. Raises `UnexpectedReply` for any other: who
    believed it might sleep for an hour."""
    match reply:
        case [1, int(wait)] if 0 <= wait <= policy:
            return True, wait / 1e6
        case [0, int(wait)] if policy < wait <= longest:
            return False, wait / 1e6
    raise UnexpectedReply
