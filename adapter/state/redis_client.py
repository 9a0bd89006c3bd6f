"""A client of a Redis or Valkey server that may fail at any moment: no two requests wait for a failed server."""

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

from adapter.state.redis_connection import REPLY_SECONDS, PlainConnection, TLSConnection

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT_SECONDS: Final = REPLY_SECONDS
"""Time limit for a connection, and for a reply: a request to SWR is cheaper than a longer wait."""
RETRY_SECONDS: Final = 10.0
"""Time between two attempts to reach a failed server; one request tries, and no other waits."""
_MIN_WARNING_INTERVAL_SECONDS: Final = 60.0


class RedisUnavailable(Exception):
    """The server cannot be used at the moment; the caller continues without it."""


class UnexpectedReply(ValueError):
    """An invalid reply. Raised by a command; the server then counts as unavailable."""


_PROTOCOL_ERRORS: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""Raised by the client library for a reply that breaks the protocol, or is nested too deeply."""


class RedisClient:
    """Commands to one server; safe for threads. `url` is `redis[s]://[user:password@]host[:port][/database]`."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        self._name = f"{parts.hostname}:{parts.port or 6379}"
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._unavailable_until: float | None = None
        self._warned: float | None = None
        self._client = redis.Redis(
            connection_pool=redis.ConnectionPool.from_url(
                url,
                connection_class=TLSConnection if parts.scheme == "rediss" else PlainConnection,
                protocol=2,
                driver_info=None,
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        )

    def do(self, command: Callable[[Any], T]) -> T:
        """Calls a command with a `redis.Redis` and returns its result.

        Raises `RedisUnavailable` after about a second at most, at once while the server is known to be unavailable, and
        after an invalid reply.
        """
        failures_before = self._admit()
        try:
            result = command(self._client)
        except (RedisError, OSError, *_PROTOCOL_ERRORS) as error:
            self._note_failure(error)
            raise RedisUnavailable from None
        self._note_success(failures_before)
        return result

    def _admit(self) -> int:
        """The number of failures so far. Raises `RedisUnavailable`."""
        with self._lock:
            if self._unavailable_until is not None:
                if self._clock() < self._unavailable_until:
                    raise RedisUnavailable
                self._unavailable_until = self._clock() + RETRY_SECONDS
            return self._failures

    def _note_failure(self, error: Exception) -> None:
        with self._lock:
            now = self._clock()
            known, self._unavailable_until = self._unavailable_until is not None, now + RETRY_SECONDS
            self._failures += 1
            if known:
                return
            warn = self._warned is None or now - self._warned >= _MIN_WARNING_INTERVAL_SECONDS
            if warn:
                self._warned = now
        log.log(
            logging.WARNING if warn else logging.INFO,
            "SWR_ADAPTER_STATE_URL: %s %s (%s): continuing with local state, retrying every %.0f s",
            self._name,
            _description(error),
            type(error).__name__,
            RETRY_SECONDS,
        )

    def _note_success(self, failures_before: int) -> None:
        with self._lock:
            # A command that began before the failure does not prove that the server is back.
            if self._unavailable_until is None or self._failures != failures_before:
                return
            self._unavailable_until = None
        log.info("SWR_ADAPTER_STATE_URL: reconnected to %s", self._name)


def _description(error: Exception) -> str:
    """The failure in words, without the error's own text, which may quote what was sent."""
    if isinstance(error, AuthenticationError):
        return "rejected the password"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ResponseError):
        return "rejected a command (check its ACL)"
    if isinstance(error, (InvalidResponse, *_PROTOCOL_ERRORS)):
        return "returned an unexpected reply"
    return "cannot be reached"
