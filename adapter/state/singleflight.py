"""One call at a time for each key: threads that need one result at one time share it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from adapter.errors import TimedOut

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs a function once per key at a time; other callers of the key wait and get its value or exception."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[T]] = {}

    def do(self, key: Hashable, function: Callable[[], T], *, timeout: float) -> tuple[T, bool]:
        """The value, and whether this caller ran the function. Raises the exception of the function.

        A caller that waits for another one raises `TimedOut` after `timeout` seconds: the other one may have more time,
        or may never end.
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
        except BaseException as error:  # noqa: BLE001 - all waiting callers must get it
            self._end(key, future)
            future.set_exception(error)
        else:
            self._end(key, future)
            future.set_result(value)
        return future.result(), True

    def abandon(self, outdated: Callable[[Any], bool]) -> None:
        """Later callers do not share the running calls with such keys, which may predate a change."""
        with self._lock:
            self._running = {key: future for key, future in self._running.items() if not outdated(key)}

    def _end(self, key: Hashable, future: Future[T]) -> None:
        """Called before the result is set: later callers must run the function again."""
        with self._lock:
            if self._running.get(key) is future:
                del self._running[key]


def _awaited(running: Future[T], timeout: float) -> T:
    try:
        return running.result(max(0.0, timeout))
    except TimeoutError:
        if not running.done():
            raise TimedOut(f"SWR did not answer an identical request within {timeout:.0f} s: try again later") from None
    # The call has just ended, or has raised a TimeoutError itself.
    return running.result()
