"""One call for many askers: threads that want the same thing at the same time share one result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from adapter.errors import TimedOut

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs a function once per key at a time; who comes meanwhile waits and gets the same value or exception."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[T]] = {}

    def do(self, key: Hashable, function: Callable[[], T], *, timeout: float) -> tuple[T, bool]:
        """The value, and whether this call made it. Raises what the function raised.

        Who waits for another's call does so for `timeout` seconds and then raises `TimedOut`: that call may have begun
        with more time, or may never end.
        """
        with self._lock:
            running = self._running.get(key)
            if running is None:
                future: Future[T] = Future()
                self._running[key] = future
        if running is not None:
            return _awaited(running, timeout), False
        try:
            value = function()
        except BaseException as error:  # noqa: BLE001 - whoever waits must get it too
            self._end(key, future)
            future.set_exception(error)
        else:
            self._end(key, future)
            future.set_result(value)
        return future.result(), True

    def leave(self, outdated: Callable[[Any], bool]) -> None:
        """Nobody joins the calls with such keys that run now: they may have looked before something changed."""
        with self._lock:
            self._running = {key: future for key, future in self._running.items() if not outdated(key)}

    def _end(self, key: Hashable, future: Future[T]) -> None:
        """Before anybody hears of it: who asks after that must begin anew."""
        with self._lock:
            if self._running.get(key) is future:
                del self._running[key]


def _awaited(running: Future[T], timeout: float) -> T:
    try:
        return running.result(max(0.0, timeout))
    except TimeoutError:
        if not running.done():
            raise TimedOut(
                f"SWR did not answer the same question of another request within {timeout:.0f} s: try again later"
            ) from None
    # It ended just now, or with an error of that kind.
    return running.result()
