"""CPU seconds and memory of a process and all its children, as counted by the kernel."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS_WITHOUT_WORK = (3, 4)
"""Columns of the line `cpu` in /proc/stat (proc(5)): idle and iowait."""


def tree(pid: int) -> Iterator[int]:
    """The process and all its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, including threads that have ended.

    Equal to utime + stime of /proc/<pid>/stat, but read from the CPU clock of the process (clock_getcpuclockid(3)),
    because the file has a resolution of 10 ms.
    """
    return sum(time.clock_gettime((~each << 3) | 2) for each in tree(pid))


@dataclass(frozen=True)
class Ticks:
    """Ticks of all processors since boot."""

    all: int
    idle: int

    @classmethod
    def now(cls) -> Ticks:
        columns = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return cls(sum(columns), sum(columns[each] for each in TICKS_WITHOUT_WORK))

    def busy_since(self, before: Ticks) -> float:
        """The share of processor time used since `before`, 0 to 1."""
        passed = self.all - before.all
        return 1 - (self.idle - before.idle) / passed if passed else 0.0

    def used_since(self, before: Ticks) -> float:
        """CPU seconds used on the whole machine since `before`."""
        return (self.all - self.idle - before.all + before.idle) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """CPU seconds of this process and of all processes that it started, including ended ones."""
    return cpu_seconds(os.getpid()) + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def resident(pid: int) -> int:
    """Current resident memory of the tree in bytes."""
    return sum(_status(each, "VmRSS") for each in tree(pid))


def peak(pid: int) -> int:
    """Sum of the peak resident memory (VmHWM) of each process since `reset_peak`, in bytes."""
    return sum(_status(each, "VmHWM") for each in tree(pid))


def reset_peak(pid: int) -> None:
    """Resets the peak to the current value (proc(5), clear_refs)."""
    for each in tree(pid):
        Path(f"/proc/{each}/clear_refs").write_text("5")
