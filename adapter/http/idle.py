"""Closes connections that nobody uses any more, also when no further request comes by to find them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


class IdleCloser:
    """Calls `close_idle` every `seconds` in a thread of its own, as long as it answers that some connection is left.

    The thread begins with the first connection that is told to `watch`, so that a process may fork before, and ends
    with the last one.
    """

    def __init__(self, close_idle: Callable[[], bool], seconds: float) -> None:
        self._close_idle = close_idle
        self._seconds = seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def watch(self) -> None:
        """A connection has become idle."""
        with self._lock:
            if self._stopped.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="idle-connections", daemon=True)
            # A process that ends starts no threads any more, and keeps no connections either.
            with contextlib.suppress(RuntimeError):
                self._thread.start()

    def stop(self) -> None:
        """Ends the thread, if there is one; connections that become idle later are left alone."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            with self._lock:
                if not self._close_idle():
                    self._thread = None
                    return
