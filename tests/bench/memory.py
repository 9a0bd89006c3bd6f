"""Memory while many large transfers run at once: the highest that the kernel saw, not what a look happened to meet."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench.load import Target
from tests.bench.processes import peak, reset_peak, resident
from tests.bench.scale import Scale
from tests.bench.stage import Setting, Stage
from tests.bench.table import Bound, Line, Outcome
from tests.bench.transfers import digest_of_zeros

CROWD = 16
GROWTH = Bound(most=6, unit="MiB")
MIB = 1 << 20


def growth(upload: bool) -> Callable[[Stage, Scale], Outcome]:
    """The row: by how much the adapter grows for each transfer; TLS towards SWR and the check on, as in life."""
    name = "memory-upload" if upload else "memory-download"

    def measured(stage: Stage, scale: Scale) -> Outcome:
        with stage.fresh(Setting(upstream_tls=True, verify=True)) as adapter:
            pid = adapter.service.process.pid
            move = stage.ends.send if upload else stage.ends.fetch
            target = Target(int(adapter.contract.rpartition(":")[2]))
            move(target, digest_of_zeros(MIB), MIB, 1)  # loads what is loaded late
            before = resident(pid)
            reset_peak(pid)
            move(target, digest_of_zeros(scale.of_crowd), scale.of_crowd, CROWD)
            highest = peak(pid)
        shown = f"{before / MIB:.0f} MiB before, {highest / MIB:.0f} at most"
        what = f"{CROWD} × {scale.of_crowd / 2**30:g} GiB at once"
        line = Line(name, what, shown, "–", (highest - before) / CROWD / MIB, GROWTH, "MiB each")
        return Outcome((line,), "the blocks in flight of each transfer, and the stack and heap of its threads")

    return measured
