"""Which chunks were begun already, so that one that comes again is recognised."""

from __future__ import annotations

import threading
from collections import OrderedDict

from adapter.transfer.session import Session


class Attempts:
    """Upload and offset of the chunks that this process was sent; safe for threads, the oldest are forgotten.

    It only saves a request: a chunk that came through another replica carries the doubt in its location, and where
    even that is missing SWR's check of the digest decides.
    """

    def __init__(self, most: int = 16384) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._begun: OrderedDict[tuple[str, int], None] = OrderedDict()

    def again(self, session: Session) -> bool:
        """Whether this was asked before for a chunk at the same place of the same upload."""
        key = session.id, session.offset
        with self._lock:
            known = key in self._begun
            self._begun[key] = None
            self._begun.move_to_end(key)
            if len(self._begun) > self._most:
                self._begun.popitem(last=False)
        return known
