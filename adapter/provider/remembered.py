"""Which endpoints are ours and in which region, learnt from answers that told it.

A project's summary shows its endpoint without the Access ID, and an endpoint's capabilities come without its URL
(`docs/facts/harbor.md A.5`). Only what is shown comes from here; what is stored is asked of core each time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict


class Remembered:
    """Endpoint id → region, None where the Access ID names none. Safe for threads; the oldest go first."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._regions: OrderedDict[int, str | None] = OrderedDict()

    def note(self, endpoint: int, region: str | None) -> None:
        with self._lock:
            self._regions[endpoint] = region
            self._regions.move_to_end(endpoint)
            if len(self._regions) > self._most:
                self._regions.popitem(last=False)

    def forget(self, endpoint: int) -> None:
        with self._lock:
            self._regions.pop(endpoint, None)

    def region(self, endpoint: int) -> str | None:
        with self._lock:
            return self._regions.get(endpoint)

    def __contains__(self, endpoint: int) -> bool:
        with self._lock:
            return endpoint in self._regions
