"""The table of results: one line per value, with comparison and target. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """A target: `least` or `most`, in the unit of the value."""

    least: float | None = None
    most: float | None = None
    unit: str = ""

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        parts = [f"≥ {self.least:g}"] if self.least is not None else []
        parts += [f"≤ {self.most:g}"] if self.most is not None else []
        return " ".join([*parts, self.unit]).strip()


@dataclass(frozen=True)
class Line:
    """A line of the table. The bound applies to `value`; `adapter` and `beside` are printed unchanged."""

    row: str
    what: str
    adapter: str
    beside: str
    value: float
    bound: Bound | None = None
    unit: str = ""

    @property
    def missed(self) -> bool:
        return self.bound is not None and not self.bound.met(self.value)

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return ""
        return "MISS" if self.missed else "pass"

    def cells(self) -> tuple[str, ...]:
        value = f"{self.value:.2f} {self.unit}".strip()
        bound = str(self.bound) if self.bound else "–"
        return (self.row, self.what, self.adapter, self.beside, value, bound, self.verdict)


@dataclass(frozen=True)
class Outcome:
    """The lines of one row, and what limits the result."""

    lines: tuple[Line, ...]
    limit: str


HEAD = ("row", "what", "adapter", "beside", "value", "wanted", "")


def render(outcomes: Sequence[Outcome]) -> str:
    """The table, and for each row what limits its result."""
    cells = [HEAD, *(line.cells() for outcome in outcomes for line in outcome.lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    table.insert(1, "-" * max(len(line) for line in table))
    limits = [f"{outcome.lines[0].row}: {outcome.limit}" for outcome in outcomes if outcome.lines]
    return "\n".join([*table, "", "What limits it", *limits])


def missed(outcomes: Iterable[Outcome]) -> list[Line]:
    """The lines that miss their target."""
    return [line for outcome in outcomes for line in outcome.lines if line.missed]


@dataclass(frozen=True)
class Sample:
    """One measurement of concurrent transfers: bytes of all bodies, seconds from first request to last response, CPU
    seconds of the processes under test, load of the machine (`busy`, 0 to 1), cores used by `others`."""

    size: int
    seconds: float
    cpu: float
    busy: float = 0.0
    others: float = 0.0

    @property
    def gigabytes_per_second(self) -> float:
        return self.size / self.seconds / 1e9

    @property
    def cpu_per_gib(self) -> float:
        return self.cpu / self.size * 2**30

    @property
    def cores(self) -> float:
        """Cores used by the processes under test."""
        return self.cpu / self.seconds


def ratio_of_pairs(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of the ratios of all pairs: a temporary load affects both values of a pair."""
    return statistics.median(upper / lower for upper, lower in zip(numerators, denominators, strict=True))
