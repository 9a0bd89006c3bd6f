"""Log lines on their way to standard error, by a thread of their own: nobody who logs waits for whoever reads.

A pipe that nobody reads takes 64 KiB and then blocks its writer. Here lines wait in memory up to a bound; beyond, they
are dropped and counted.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import select
import threading
from typing import Final

STDERR: Final = 2
MAX_BYTES: Final = 4 << 20
"""Of lines that wait."""
FLUSH_SECONDS: Final = 2.0
"""How long the end of the process waits for a reader."""
_FORK_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.2
_PIECE: Final = select.PIPE_BUF
"""Bytes that a pipe takes at once when it is ready."""


class Output(logging.Handler):
    """Writes formatted records to a file descriptor. `emit` never waits for it; `flush` does, `FLUSH_SECONDS` at most.

    The writer is started by the first line, in each process: a fork leaves threads behind.
    """

    def __init__(self, descriptor: int = STDERR, max_bytes: int = MAX_BYTES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._reset()
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._reset)

    def _reset(self) -> None:
        """Empty; in a forked child too, since the parent writes what was waiting."""
        self._changed = threading.Condition()
        self._lines: collections.deque[bytes] = collections.deque()
        self._waiting = 0
        self._dropped = 0
        self._writer: threading.Thread | None = None
        self._ended = False

    def _before_fork(self) -> None:
        """No thread runs and no lock is held while the process forks."""
        self._wait(_FORK_SECONDS)
        self._stop()

    def _after_fork(self) -> None:
        with self._changed:
            if self._lines:
                self._start()

    def emit(self, record: logging.LogRecord) -> None:
        line = self._formatted(record)
        with self._changed:
            if self._waiting + len(line) > self._max_bytes:
                self._dropped += 1
                return
            self._lines.append(line)
            self._waiting += len(line)
            self._start()
            self._changed.notify_all()

    def _formatted(self, record: logging.LogRecord) -> bytes:
        try:
            return (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not fail the request that logs it
            return f"a log record of {record.module} line {record.lineno} cannot be formatted\n".encode()

    def flush(self) -> None:
        self._wait(FLUSH_SECONDS)

    def close(self) -> None:
        """Ends the writer. Lines that nobody has read by now are lost."""
        self._stop()
        self._reset()
        super().close()

    def _start(self) -> None:
        if self._writer is None:
            self._ended = False
            self._writer = threading.Thread(target=self._write, name="log", daemon=True)
            self._writer.start()

    def _stop(self) -> None:
        with self._changed:
            writer, self._writer = self._writer, None
            self._ended = True
            self._changed.notify_all()
        if writer is not None:
            writer.join(2 * _LOOK_SECONDS)

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting == 0 or self._writer is None, seconds)

    def _write(self) -> None:
        while line := self._next():
            left = self._put(line)
            with self._changed:
                self._waiting -= len(line) - len(left)
                if left:
                    self._lines.appendleft(left)
                self._changed.notify_all()

    def _next(self) -> bytes:
        """The next line to write; nothing at the end. Once there is room again, the number of lines that were dropped
        comes first."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or bool(self._lines))
            if self._ended:
                return b""
            if self._dropped and self._waiting <= self._max_bytes // 2:
                self._tell_dropped()
            return self._lines.popleft()

    def _tell_dropped(self) -> None:
        sentence = "%d log lines were dropped: have the container runtime read standard error"
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, sentence, (self._dropped,), None)
        line = self._formatted(record)
        self._lines.appendleft(line)
        self._waiting += len(line)
        self._dropped = 0

    def _put(self, line: bytes) -> bytes:
        """Writes the line; what is left of it when the writer ends before."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        # A reader that is gone for good takes nothing: the line is lost.
        with contextlib.suppress(OSError):
            while line and not self._ended:
                if poll.poll(_LOOK_SECONDS * 1000):
                    line = line[os.write(self._descriptor, line[:_PIECE]) :]
            return line
        return b""
