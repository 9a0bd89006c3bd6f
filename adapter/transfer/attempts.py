"""Which chunks were begun already, so that one that comes again is recognised, and which came out of order."""

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
        self._refused: OrderedDict[tuple[str, int], None] = OrderedDict()

    def again(self, session: Session) -> bool:
        """Whether this was asked before for a chunk at the same place of the same upload."""
        return self._noted(self._begun, session)

    def refuse(self, session: Session) -> None:
        """A chunk came that does not begin where the upload stands."""
        self._noted(self._refused, session)

    def refused(self, session: Session) -> bool:
        """Whether `refuse` was called for the upload as it stands."""
        with self._lock:
            return (session.id, session.offset) in self._refused

    def _noted(self, notes: OrderedDict[tuple[str, int], None], session: Session) -> bool:
        key = session.id, session.offset
        with self._lock:
            known = key in notes
            notes[key] = None
            notes.move_to_end(key)
            if len(notes) > self._most:
                notes.popitem(last=False)
        return known
