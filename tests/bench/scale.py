"""Sizes and numbers of samples."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Bytes of a single transfer, of each concurrent transfer, and of each transfer of the memory rows; samples of each
    transfer; requests of the latency rows."""

    single_bytes: int = 1 << 30
    concurrent_bytes: int = 256 << 20
    memory_bytes: int = 1 << 30
    rounds: int = 7
    requests: int = 500


QUICK = Scale(64 << 20, 16 << 20, 32 << 20, 1, 50)
"""For a smoke test; its numbers mean little."""
