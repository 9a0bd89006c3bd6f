"""What processes cost, as the kernel counts it: CPU seconds and memory of a process with all its children."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS_WITHOUT_WORK = (3, 4)
"""Columns of the line `cpu` in /proc/stat (proc(5)): idle, and waiting for a disk."""


def tree(pid: int) -> Iterator[int]:
    """The process and its children, theirs too."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree so far, threads that ended included.

    It is what /proc/<pid>/stat has as utime + stime, asked of the process's CPU clock (clock_getcpuclockid(3)), because
    the file counts in steps of 10 ms and a transfer of 1 GiB takes a few hundred.
    """
    return sum(time.clock_gettime((~each << 3) | 2) for each in tree(pid))


@dataclass(frozen=True)
class Ticks:
    """What the processors did so far, in ticks of all of them."""

    all: int
    idle: int

    @classmethod
    def now(cls) -> Ticks:
        columns = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return cls(sum(columns), sum(columns[each] for each in TICKS_WITHOUT_WORK))

    def busy_since(self, before: Ticks) -> float:
        """The share of the machine's time that was used since, 0 to 1."""
        passed = self.all - before.all
        return 1 - (self.idle - before.idle) / passed if passed else 0.0

    def used_since(self, before: Ticks) -> float:
        """CPU seconds that anything on the machine took since."""
        return (self.all - self.idle - before.all + before.idle) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """CPU seconds of this process and all that it started, those that ended included."""
    return cpu_seconds(os.getpid()) + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def resident(pid: int) -> int:
    """Bytes of resident memory of the tree now."""
    return sum(_status(each, "VmRSS") for each in tree(pid))


def peak(pid: int) -> int:
    """Bytes of resident memory of the tree, each process at its own highest since `reset_peak`: VmHWM, exact."""
    return sum(_status(each, "VmHWM") for each in tree(pid))


def reset_peak(pid: int) -> None:
    """The highest is the present from here on (proc(5), clear_refs)."""
    for each in tree(pid):
        Path(f"/proc/{each}/clear_refs").write_text("5")
