"""Limits on how long and by how many requests the threads of the provider port are used.

Request bodies that have not arrived use at most half of the threads. Beyond three quarters of the threads, a request
with a body is rejected, and any other has seconds instead of a minute. A client that neither sends nor reads is
disconnected soon.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from adapter.errors import Busy
from adapter.provider.request_bodies import has_arrived
from adapter.transfer.request_body import announced_length

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

THREADS: Final = 16
"""Threads of the provider port."""
MAX_BODIES: Final = THREADS // 2
"""Request bodies that are received at once."""
MAX_FULL_TIME: Final = THREADS * 3 // 4
"""Requests at once that have the full time."""
CLIENT_SECONDS: Final = 10.0
"""How long a client may neither send nor read."""
SHORT_SECONDS: Final = 5.0
"""Time limit beyond `MAX_FULL_TIME`, for core and for a client that does not read."""
RETRY_SECONDS: Final = 5.0
"""After this time a rejected client may try again."""
BODY_WAIT_SECONDS: Final = 0.25
"""How long a request waits for its body, or for one of `MAX_BODIES` slots. Most bodies come with their headers."""
_POLL_SECONDS: Final = 0.01
_CROWDED: Final = "adapter.provider.crowded"
_RELEASE_BODY: Final = "adapter.provider.release_body"


class ThreadLimits:
    """Counts the requests and bodies of the port. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = 0
        self._bodies = threading.BoundedSemaphore(MAX_BODIES)

    def enter(self) -> bool:
        """Counts a request until `leave`. Returns whether it is beyond `MAX_FULL_TIME`."""
        with self._lock:
            self._requests += 1
            return self._requests > MAX_FULL_TIME

    def leave(self, environ: dict[str, Any]) -> None:
        """Called when the response was sent, or failed."""
        if (release := environ.get(_RELEASE_BODY)) is not None:
            release()
        with self._lock:
            self._requests -= 1

    def acquire_body_slot(self, environ: dict[str, Any]) -> Callable[[], None]:
        """A slot for the body of a request. A body that has arrived needs none. Raises `Busy`.

        Returns a function that releases the slot and may be called repeatedly. `leave` calls it too.
        """
        slot = contextlib.ExitStack()
        deadline = time.monotonic() + BODY_WAIT_SECONDS
        while not has_arrived(environ):
            if self._bodies.acquire(timeout=_POLL_SECONDS):
                slot.callback(self._bodies.release)
                break
            if time.monotonic() > deadline:
                raise Busy(
                    f"{MAX_BODIES} requests are still sending their bodies (limit): try again in a few seconds",
                    retry_after=RETRY_SECONDS,
                )
        environ[_RELEASE_BODY] = slot.close
        return slot.close


class CountingMiddleware:
    """WSGI middleware that counts each request until its response has ended."""

    def __init__(self, app: WsgiApp, limits: ThreadLimits) -> None:
        self._app, self._limits = app, limits

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        crowded = environ[_CROWDED] = self._limits.enter()
        try:
            _limit_client(environ, SHORT_SECONDS if crowded else CLIENT_SECONDS)
            return _CountedBlocks(self._app(environ, start_response), functools.partial(self._limits.leave, environ))
        except BaseException:
            # gunicorn does not call `close` if it cannot send the response.
            self._limits.leave(environ)
            raise


class _CountedBlocks:
    """The blocks of a response. gunicorn calls `close` however the response ends."""

    def __init__(self, blocks: Iterable[bytes], leave: Callable[[], None]) -> None:
        self._blocks, self._leave = blocks, leave

    def __iter__(self) -> Iterator[bytes]:
        yield from self._blocks

    def close(self) -> None:
        try:
            if callable(close := getattr(self._blocks, "close", None)):
                close()
        finally:
            self._leave()


def is_crowded(environ: dict[str, Any]) -> bool:
    """Whether the request came beyond `MAX_FULL_TIME`."""
    return bool(environ.get(_CROWDED))


def has_body(environ: dict[str, Any]) -> bool:
    """Whether a request announces a body."""
    return announced_length(environ) != 0


def deadline_of(environ: dict[str, Any], usual: float) -> float:
    """When the request must be answered, on the monotonic clock: `usual`, or sooner beyond `MAX_FULL_TIME`."""
    return min(usual, time.monotonic() + SHORT_SECONDS) if is_crowded(environ) else usual


def _limit_client(environ: dict[str, Any], seconds: float) -> None:
    """Applies to each wait of this request. The worker sets its own timeout for the next request."""
    if (connection := environ.get("gunicorn.socket")) is not None:
        usual = connection.gettimeout()
        connection.settimeout(seconds if usual is None else min(seconds, usual))
