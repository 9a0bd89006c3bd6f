"""Who may hold the door's threads, and for how long: whoever is slow or many leaves some to all others.

Three limits: request bodies that have not come yet hold at most half of the threads; beyond three quarters a
request with a body is rejected and any other one gets seconds instead of a minute; no client may neither send nor
take anything for long.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from adapter.errors import Busy
from adapter.provider.incoming import has_arrived
from adapter.transfer.request_body import announced_length

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

THREADS: Final = 16
"""Threads of the door's listener."""
MAX_BODIES: Final = THREADS // 2
"""Requests at once whose bodies are being received."""
MAX_SLOW: Final = THREADS * 3 // 4
"""Requests at once, whatever they wait for, that get the full time."""
CLIENT_SECONDS: Final = 10.0
"""Seconds in which a client must send or take something."""
SHORT_SECONDS: Final = 5.0
"""Seconds for core, and for a client that takes nothing, beyond `MAX_SLOW`."""
RETRY_SECONDS: Final = 5.0
"""Seconds after which a rejected client may try again."""
BODY_WAIT_SECONDS: Final = 0.25
"""Seconds that a request waits for its body, or for a place among `MAX_BODIES`: most bodies come with their head."""
_GLANCE_SECONDS: Final = 0.01
_CROWDED: Final = "adapter.provider.crowded"
_BODY: Final = "adapter.provider.body"


class Threads:
    """Counts what the door's threads do; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = 0
        self._bodies = threading.BoundedSemaphore(MAX_BODIES)

    def enter(self) -> bool:
        """Counts a request until `leave`. Returns whether it came beyond `MAX_SLOW`."""
        with self._lock:
            self._held += 1
            return self._held > MAX_SLOW

    def leave(self, environ: dict[str, Any]) -> None:
        """The request's answer has gone, or failed."""
        if (give_back := environ.get(_BODY)) is not None:
            give_back()
        with self._lock:
            self._held -= 1

    def take_body(self, environ: dict[str, Any]) -> Callable[[], None]:
        """A place for the body of a request; one that is here already needs none. Returns what gives it back, any
        number of times; the end of the request does so too. Raises `Busy`.
        """
        place = contextlib.ExitStack()
        until = time.monotonic() + BODY_WAIT_SECONDS
        while not has_arrived(environ):
            if self._bodies.acquire(timeout=_GLANCE_SECONDS):
                place.callback(self._bodies.release)
                break
            if time.monotonic() > until:
                raise Busy(
                    f"{MAX_BODIES} requests are still sending their bodies (limit): try again in some seconds",
                    retry_after=RETRY_SECONDS,
                )
        environ[_BODY] = place.close
        return place.close


class Counted:
    """WSGI middleware that counts each request of the door from its head to the end of its answer."""

    def __init__(self, app: WsgiApp, threads: Threads) -> None:
        self._app, self._threads = app, threads

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        crowded = environ[_CROWDED] = self._threads.enter()
        try:
            _limit_client(environ, SHORT_SECONDS if crowded else CLIENT_SECONDS)
            return _Answer(self._app(environ, start_response), functools.partial(self._threads.leave, environ))
        except BaseException:
            # The server rejects an answer that it cannot send before anybody could close it.
            self._threads.leave(environ)
            raise


class _Answer:
    """The blocks of an answer; `close` is called by the server however the answer ends."""

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
    """Whether the request came beyond `MAX_SLOW`."""
    return bool(environ.get(_CROWDED))


def has_body(environ: dict[str, Any]) -> bool:
    """Whether a request announces a body."""
    return announced_length(environ) != 0


def until_of(environ: dict[str, Any], usual: float) -> float:
    """When the request has to be answered, on the monotonic clock: `usual`, or sooner beyond `MAX_SLOW`."""
    return min(usual, time.monotonic() + SHORT_SECONDS) if is_crowded(environ) else usual


def _limit_client(environ: dict[str, Any], seconds: float) -> None:
    """For each wait of this request; the worker sets its own limit for the next one."""
    if (connection := environ.get("gunicorn.socket")) is not None:
        usual = connection.gettimeout()
        connection.settimeout(seconds if usual is None else min(seconds, usual))
