"""What this process knows of upload sessions: who writes to one, how far it is, and whether its last chunk broke.

A session's token says where the upload stood when the token was made. Here is what came after that, as far as this
process saw it; another replica, or a restart, knows nothing of it. There the token and SWR's own checks decide.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from adapter.errors import UploadBusy, UploadUnknown
from adapter.transfer.upload_session import UploadSession

MAX_SESSIONS: Final = 16384
RETRY_AFTER: Final = 5.0
"""Seconds; Harbor asks where the upload stands, and waits 2, 4, 8 and 16 before it sends a chunk again."""

Key = tuple[str, str]


@dataclass(frozen=True)
class Known:
    """`latest`: the session as far as SWR accepted it, None when nothing was accepted here. `begun`: the offset of a
    chunk that went to SWR and was not accepted (yet). `refused`: that of one that came out of order. `ended`: the
    upload was finished or cancelled. `writing`: a request is sending bytes of it now."""

    latest: UploadSession | None = None
    begun: int | None = None
    refused: int | None = None
    ended: bool = False
    writing: bool = False

    def of(self, session: UploadSession) -> UploadSession:
        """The session, or where it stands by now."""
        return self.latest if self.latest is not None and self.latest.offset > session.offset else session


class UploadSessions:
    """Bounded, safe for threads; those unused for longest are forgotten."""

    def __init__(self, most: int = MAX_SESSIONS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, Known] = OrderedDict()
        self._writing: set[Key] = set()

    def known(self, session: UploadSession) -> Known:
        """What is known of the session now."""
        key = _key(session)
        with self._lock:
            return replace(self._known.get(key, Known()), writing=key in self._writing)

    @contextlib.contextmanager
    def writing(self, session: UploadSession) -> Iterator[Known]:
        """The only request that writes to the session. Raises `UploadBusy`, and `UploadUnknown` when it has ended."""
        key = _key(session)
        with self._lock:
            known = self._known.get(key, Known())
            if known.ended:
                raise UploadUnknown("the upload has ended: start a new upload")
            if key in self._writing:
                raise UploadBusy(
                    "another request is writing to this upload: wait until that request has ended, then ask where the "
                    "upload stands",
                    retry_after=RETRY_AFTER,
                )
            self._writing.add(key)
        try:
            yield known
        finally:
            with self._lock:
                self._writing.discard(key)

    def begin(self, session: UploadSession) -> None:
        """Bytes of a chunk go to SWR from here on."""
        self._note(session, begun=session.offset)

    def accept(self, session: UploadSession) -> None:
        """SWR has taken the chunk: the session as it is now."""
        self._note(session, latest=session, begun=None, refused=None)

    def refuse(self, session: UploadSession) -> None:
        """A chunk came that does not begin where the upload stands."""
        self._note(session, refused=session.offset)

    def end(self, session: UploadSession) -> None:
        """The upload was finished or cancelled."""
        self._note(session, latest=None, begun=None, refused=None, ended=True)

    def _note(self, session: UploadSession, **changes: object) -> None:
        key = _key(session)
        with self._lock:
            self._known[key] = replace(self._known.get(key, Known()), **changes)  # type: ignore[arg-type]
            self._known.move_to_end(key)
            if len(self._known) > self._most:
                self._known.popitem(last=False)


def _key(session: UploadSession) -> Key:
    """Not the id alone: whoever knows the id of another caller's session must not block it."""
    return session.repository.credentials.fingerprint, session.id
