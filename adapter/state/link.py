"""The way to a Redis or Valkey server that may be gone at any moment: nobody waits for it twice."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
)
from redis.retry import Retry

from adapter.state.connection import REPLY_SECONDS, PlainConnection, TLSConnection

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT: Final = REPLY_SECONDS
"""Seconds for a connection, and for an answer: asking SWR costs less than waiting longer for what saves a question."""
PAUSE: Final = 10.0
"""Seconds for which a server that failed is left alone; then one request tries it, and no other waits with it."""
_QUIET: Final = 60.0
"""Seconds between two warnings at least, whatever comes and goes."""


class Away(Exception):
    """The server is not to be had at the moment. The caller does without it."""


class UnexpectedReply(ValueError):
    """A reply that the command cannot have. Raised by a command; a server that sends it is away."""


_ODD: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What the client library raises for a reply that breaks the protocol, or is nested too deeply."""


class Link:
    """Commands to one server; safe for threads. `url` is `redis[s]://[user:password@]host[:port][/database]`."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        self._name = f"{parts.hostname}:{parts.port or 6379}"
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._away_until: float | None = None
        self._warned: float | None = None
        self._client = redis.Redis(
            connection_pool=redis.ConnectionPool.from_url(
                url,
                connection_class=TLSConnection if parts.scheme == "rediss" else PlainConnection,
                protocol=2,
                driver_info=None,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                retry=Retry(NoBackoff(), 0),
            )
        )

    def do(self, command: Callable[[Any], T]) -> T:
        """What a command gives, called with a `redis.Redis`. Raises `Away` after about a second at most, and at once
        while the server is known to be gone. A reply of the wrong form counts as none."""
        before = self._admitted()
        try:
            result = command(self._client)
        except (RedisError, OSError, *_ODD) as error:
            self._failed(error)
            raise Away from None
        self._worked(before)
        return result

    def _admitted(self) -> int:
        """How many failures there were before this command."""
        with self._lock:
            if self._away_until is not None:
                if self._clock() < self._away_until:
                    raise Away
                self._away_until = self._clock() + PAUSE
            return self._failures

    def _failed(self, error: Exception) -> None:
        with self._lock:
            now = self._clock()
            known, self._away_until = self._away_until is not None, now + PAUSE
            self._failures += 1
            if known:
                return
            loud = self._warned is None or now - self._warned >= _QUIET
            if loud:
                self._warned = now
        log.log(
            logging.WARNING if loud else logging.INFO,
            "STATE_URL: %s %s (%s): this replica goes on alone, and tries it again every %.0f s",
            self._name,
            _words(error),
            type(error).__name__,
            PAUSE,
        )

    def _worked(self, before: int) -> None:
        with self._lock:
            # What was under way when the server failed says nothing about now.
            if self._away_until is None or self._failures != before:
                return
            self._away_until = None
        log.info("STATE_URL: %s is there again", self._name)


def _words(error: Exception) -> str:
    """What went wrong; the error's own text is left out, because it may quote what was sent."""
    if isinstance(error, AuthenticationError):
        return "refuses the password"
    if isinstance(error, TimeoutError):
        return "does not answer"
    if isinstance(error, ResponseError):
        return "refuses a command"
    if isinstance(error, (InvalidResponse, *_ODD)):
        return "returned an unexpected reply"
    return "cannot be reached"
