"""Credentials that SWR has accepted lately. All others get a small share of the adapter, so that made-up credentials do
not displace valid ones."""

from __future__ import annotations

from typing import Final

from adapter.credentials import Credentials
from adapter.state import MemoryState, State

TTL_SECONDS: Final = 3600.0
_RENEWAL_SECONDS: Final = 300.0
"""Time between two writes to the shared state for one credential."""
_LOCAL_TTL_SECONDS: Final = 60.0
"""Time between two reads from the shared state for one credential."""
_MAX_ENTRIES: Final = 10_000
_YES: Final = b"1"


class Accepted:
    """By the fingerprint of the whole credential, in `state`; safe for threads."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._local = MemoryState(_MAX_ENTRIES)
        self._written = MemoryState(_MAX_ENTRIES)

    def note(self, credentials: Credentials) -> None:
        """Notes that SWR accepted the credentials just now."""
        key = _key(credentials)
        self._local.put(key, _YES, _LOCAL_TTL_SECONDS)
        if self._written.get(key) is None:
            self._written.put(key, _YES, _RENEWAL_SECONDS)
            self._state.put(key, _YES, TTL_SECONDS)

    def withdraw(self, credentials: Credentials) -> None:
        """Notes that SWR rejected the credentials just now."""
        key = _key(credentials)
        self._local.drop(key)
        if self._state.get(key) is not None:
            self._written.drop(key)
            self._state.drop(key)

    def includes(self, credentials: Credentials) -> bool:
        """Whether SWR accepted the credentials within the last hour, and has not rejected them since."""
        key = _key(credentials)
        if self._local.get(key) is not None:
            return True
        if self._state.get(key) != _YES:
            return False
        self._local.put(key, _YES, _LOCAL_TTL_SECONDS)
        return True


def _key(credentials: Credentials) -> str:
    return f"accepted:{credentials.fingerprint}"
