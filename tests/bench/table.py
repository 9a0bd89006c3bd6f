"""The result: one line for each thing measured, beside what it is compared with and what is wanted. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """`least` or `most`, in the unit of the line's value."""

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
    """A line of the table. `value` is what the bound is about; `adapter` and `beside` are shown as they are."""

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
    """The lines of one row, and a sentence on what limits it."""

    lines: tuple[Line, ...]
    limit: str


HEAD = ("row", "what", "adapter", "beside", "value", "wanted", "")


def render(outcomes: Sequence[Outcome]) -> str:
    """The table, and below it a line for each row on what limits it."""
    cells = [HEAD, *(line.cells() for outcome in outcomes for line in outcome.lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    table.insert(1, "-" * max(len(line) for line in table))
    limits = [f"{outcome.lines[0].row}: {outcome.limit}" for outcome in outcomes if outcome.lines]
    return "\n".join([*table, "", "What limits it", *limits])


def missed(outcomes: Iterable[Outcome]) -> list[Line]:
    """The lines whose bound is not met."""
    return [line for outcome in outcomes for line in outcome.lines if line.missed]


@dataclass(frozen=True)
class Sample:
    """One transfer, or several at once: bytes of bodies in all, seconds from first request to last answer, CPU seconds
    of the processes under test; the share of the machine that was busy (0 to 1), and the cores of it that work took
    which has nothing to do with the benchmark."""

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
        """Cores that the processes under test kept busy."""
        return self.cpu / self.seconds


def ratio_of_pairs(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of the ratios pair by pair: what disturbs the machine for a while disturbs both of a pair."""
    return statistics.median(upper / lower for upper, lower in zip(numerators, denominators, strict=True))
