"""Writes log lines to standard error in a thread of its own, so that no request waits for the reader of the log.

A pipe that nobody reads accepts 64 KiB and then blocks its writer. Lines wait in memory up to a limit; further lines
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
"""Limit for the lines that wait."""
FLUSH_SECONDS: Final = 2.0
"""How long `flush`, also at the end of the process, waits for the reader."""
_FORK_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.2
_BLOCK_BYTES: Final = select.PIPE_BUF
"""Bytes that a ready pipe accepts at once."""


class Output(logging.Handler):
    """Writes formatted records to a file descriptor. `emit` never waits; `flush` waits for `FLUSH_SECONDS` at most.

    The first line in each process starts the writer thread, because a forked process does not inherit threads.
    """

    def __init__(self, descriptor: int = STDERR, max_bytes: int = MAX_BYTES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._reset()
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._reset)

    def _reset(self) -> None:
        """Drops all lines. Also called in a forked child: the parent writes the lines that wait."""
        self._changed = threading.Condition()
        self._lines: collections.deque[bytes] = collections.deque()
        self._waiting = 0
        self._dropped = 0
        self._writer: threading.Thread | None = None
        self._ended = False

    def _before_fork(self) -> None:
        """Stops the writer thread, so that it holds no lock during the fork."""
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
        except Exception:  # noqa: BLE001 - an error of the log must not fail the request
            return f"a log record of {record.module} line {record.lineno} cannot be formatted\n".encode()

    def flush(self) -> None:
        self._wait(FLUSH_SECONDS)

    def close(self) -> None:
        """Ends the writer thread and drops the lines that wait."""
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
            writer.join(2 * _POLL_SECONDS)

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
        """The next line to write; empty at the end. Once half of the limit is free again, the number of dropped lines
        is written first."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or bool(self._lines))
            if self._ended:
                return b""
            if self._dropped and self._waiting <= self._max_bytes // 2:
                self._report_dropped()
            return self._lines.popleft()

    def _report_dropped(self) -> None:
        message = "%d log lines were dropped: check that the container runtime reads standard error"
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (self._dropped,), None)
        line = self._formatted(record)
        self._lines.appendleft(line)
        self._waiting += len(line)
        self._dropped = 0

    def _put(self, line: bytes) -> bytes:
        """Writes the line. Returns the unwritten rest when the writer thread ends."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        # When the reader is gone for good, the line is lost.
        with contextlib.suppress(OSError):
            while line and not self._ended:
                if poll.poll(_POLL_SECONDS * 1000):
                    line = line[os.write(self._descriptor, line[:_BLOCK_BYTES]) :]
            return line
        return b""
