"""The upload sessions that this process has served: who writes to one, how far it is, whether its last chunk failed.

A session's token states how far the upload was when the token was made. `ActiveSessions` adds what this process has
seen since. Another replica, or a restarted process, has not seen it; there the token and SWR's own checks decide.
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
RETRY_AFTER_SECONDS: Final = 5.0
"""Harbor requests the status of the upload, and waits 2, 4, 8 and 16 seconds before it sends a chunk again."""

Key = tuple[str, str]


@dataclass(frozen=True)
class SessionState:
    """What this process has seen of an upload session.

    `latest`: the session after the last chunk that SWR accepted here, None if there was none. `sent_offset`: the offset
    of a chunk that was sent to SWR and has not been accepted (yet). `rejected_offset`: the offset of the session when a
    chunk out of order came. `ended`: the upload was finished or canceled. `writing`: a request is sending bytes of it.
    """

    latest: UploadSession | None = None
    sent_offset: int | None = None
    rejected_offset: int | None = None
    ended: bool = False
    writing: bool = False

    def newest(self, session: UploadSession) -> UploadSession:
        """`session`, or `latest` if that is further."""
        return self.latest if self.latest is not None and self.latest.offset > session.offset else session


class ActiveSessions:
    """Safe for threads. Beyond `max_sessions`, the session unused for longest is discarded."""

    def __init__(self, max_sessions: int = MAX_SESSIONS) -> None:
        self._max_sessions = max_sessions
        self._lock = threading.Lock()
        self._states: OrderedDict[Key, SessionState] = OrderedDict()
        self._writing: set[Key] = set()

    def state(self, session: UploadSession) -> SessionState:
        """What this process has seen of the session."""
        key = _key(session)
        with self._lock:
            return replace(self._states.get(key, SessionState()), writing=key in self._writing)

    @contextlib.contextmanager
    def writing(self, session: UploadSession) -> Iterator[SessionState]:
        """Makes the caller the only writer of the session.

        Raises `UploadBusy` if there is another writer, `UploadUnknown` if the upload has ended.
        """
        key = _key(session)
        with self._lock:
            state = self._states.get(key, SessionState())
            if state.ended:
                raise UploadUnknown("the upload has ended: start a new upload")
            if key in self._writing:
                raise UploadBusy(
                    "another request is writing to this upload: wait until that request has ended, then request the "
                    "status of the upload",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            self._writing.add(key)
        try:
            yield state
        finally:
            with self._lock:
                self._writing.discard(key)

    def sending(self, session: UploadSession) -> None:
        """Notes that bytes of a chunk are sent to SWR from here on."""
        self._update(session, sent_offset=session.offset)

    def accepted(self, session: UploadSession) -> None:
        """Notes the session after a chunk that SWR accepted."""
        self._update(session, latest=session, sent_offset=None, rejected_offset=None)

    def rejected(self, session: UploadSession) -> None:
        """Notes a chunk that does not start at the offset of the upload."""
        self._update(session, rejected_offset=session.offset)

    def ended(self, session: UploadSession) -> None:
        """Notes that the upload was finished or canceled."""
        self._update(session, latest=None, sent_offset=None, rejected_offset=None, ended=True)

    def _update(self, session: UploadSession, **changes: object) -> None:
        key = _key(session)
        with self._lock:
            self._states[key] = replace(self._states.get(key, SessionState()), **changes)  # type: ignore[arg-type]
            self._states.move_to_end(key)
            if len(self._states) > self._max_sessions:
                self._states.popitem(last=False)


def _key(session: UploadSession) -> Key:
    """Not the ID alone: a caller that knows the ID of another caller's session must not block it."""
    return session.repository.credentials.fingerprint, session.id
