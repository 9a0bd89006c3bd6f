"""Which credentials SWR has accepted lately: the others get a small part of the adapter, so that made-up ones do not
take the place of those that work."""

from __future__ import annotations

from typing import Final

from adapter.credentials import Credentials
from adapter.state import MemoryState, State

LIFE_SECONDS: Final = 3600.0
_RENEWED_AFTER_SECONDS: Final = 300.0
"""Each token counts, and not each is worth a write to the store that replicas share."""
_BELIEVED_SECONDS: Final = 60.0
"""For which a process does not read the same again."""
_MAX_ENTRIES: Final = 10_000
_YES: Final = b"1"


class Accepted:
    """Kept by the whole credential's fingerprint, in `state`; safe for threads."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._believed = MemoryState(_MAX_ENTRIES)
        self._written = MemoryState(_MAX_ENTRIES)

    def note(self, credentials: Credentials) -> None:
        """SWR accepted the credentials just now."""
        key = _key(credentials)
        self._believed.put(key, _YES, _BELIEVED_SECONDS)
        if self._written.get(key) is None:
            self._written.put(key, _YES, _RENEWED_AFTER_SECONDS)
            self._state.put(key, _YES, LIFE_SECONDS)

    def withdraw(self, credentials: Credentials) -> None:
        """SWR refused the credentials just now."""
        key = _key(credentials)
        self._believed.drop(key)
        if self._state.get(key) is not None:
            self._written.drop(key)
            self._state.drop(key)

    def lately(self, credentials: Credentials) -> bool:
        """Whether SWR accepted the credentials within the last hour, and has not refused them since."""
        key = _key(credentials)
        if self._believed.get(key) is not None:
            return True
        if self._state.get(key) != _YES:
            return False
        self._believed.put(key, _YES, _BELIEVED_SECONDS)
        return True


def _key(credentials: Credentials) -> str:
    return f"accepted:{credentials.fingerprint}"
