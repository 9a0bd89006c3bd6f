"""Which endpoints are ours and in which region, learnt from answers that told it.

A project's summary shows its endpoint without the Access ID, and an endpoint's capabilities come without its URL
(`docs/facts/harbor.md A.5`). Only what is shown comes from here; what is stored is asked of core each time.
"""

from __future__ import annotations

import math

from adapter.state import MemoryState


class Remembered:
    """Endpoint id → region, None where the Access ID names none. Safe for threads; the oldest go first."""

    def __init__(self, most: int = 4096) -> None:
        self._regions = MemoryState(most)

    def note(self, endpoint: int, region: str | None) -> None:
        self._regions.put(str(endpoint), (region or "").encode(), math.inf)

    def forget(self, endpoint: int) -> None:
        self._regions.drop(str(endpoint))

    def region(self, endpoint: int) -> str | None:
        return (self._regions.get(str(endpoint)) or b"").decode() or None

    def __contains__(self, endpoint: int) -> bool:
        return self._regions.get(str(endpoint)) is not None
