"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Bytes of a transfer that goes alone, of each of several at once, and of each in the row on memory; samples of
    each transfer; requests whose latency is taken."""

    alone: int = 1 << 30
    of_several: int = 256 << 20
    of_crowd: int = 1 << 30
    rounds: int = 7
    requests: int = 500


QUICK = Scale(64 << 20, 16 << 20, 32 << 20, 1, 50)
"""For a look whether it runs at all: its numbers say little."""
