"""Peak memory of many large concurrent transfers, as counted by the kernel."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench.environment import Environment, Setting
from tests.bench.load import Target
from tests.bench.processes import peak, reset_peak, resident
from tests.bench.scale import Scale
from tests.bench.table import Bound, Line, Outcome
from tests.bench.transfers import digest_of_zeros

TRANSFERS = 16
GROWTH = Bound(most=6, unit="MiB")
MIB = 1 << 20


def growth(upload: bool) -> Callable[[Environment, Scale], Outcome]:
    """The row: memory growth of the adapter per transfer, with TLS to SWR and verification, as by default."""
    name = "memory-upload" if upload else "memory-download"

    def measured(environment: Environment, scale: Scale) -> Outcome:
        with environment.fresh(Setting(upstream_tls=True, verify=True)) as adapter:
            pid = adapter.service.process.pid
            move = environment.ends.send if upload else environment.ends.fetch
            target = Target(int(adapter.contract.rpartition(":")[2]))
            move(target, digest_of_zeros(MIB), MIB, 1)  # warm-up
            before = resident(pid)
            reset_peak(pid)
            move(target, digest_of_zeros(scale.memory_bytes), scale.memory_bytes, TRANSFERS)
            highest = peak(pid)
        shown = f"{before / MIB:.0f} MiB before, {highest / MIB:.0f} at most"
        what = f"{TRANSFERS} × {scale.memory_bytes / 2**30:g} GiB at once"
        line = Line(name, what, shown, "–", (highest - before) / TRANSFERS / MIB, GROWTH, "MiB each")
        return Outcome((line,), "the blocks in flight of each transfer, and the stack and heap of its threads")

    return measured
