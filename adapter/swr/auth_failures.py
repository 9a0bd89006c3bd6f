"""Rejected credentials, remembered for a while: a wrong secret must not be sent to SWR with each request, and five bad
signatures lock an AK for five minutes (`docs/facts/swr.md §3.1`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from adapter.credentials import Credentials
from adapter.errors import AccountBlocked, AdapterError, ClockWrong, CredentialsRefused
from adapter.state import MemoryState, State

TTL_SECONDS: Final = 30.0
_MAX_LOCAL_ENTRIES: Final = 10_000
_MAX_TEXT_LENGTH: Final = 2000
"""Limit of a stored text, in characters."""
_KINDS: Final[Mapping[str, type[AdapterError]]] = {
    kind.__name__: kind for kind in (AccountBlocked, ClockWrong, CredentialsRefused)
}
"""The only exceptions that stored values can become."""


class AuthFailures:
    """Errors by the whole credential, so that a wrong secret does not affect a right one; `api` is the API that
    rejected it."""

    def __init__(self, state: State, api: str) -> None:
        self._state = state
        self._local = MemoryState(_MAX_LOCAL_ENTRIES)
        self._api = api

    def remember(self, credentials: Credentials, error: AdapterError) -> None:
        """Stores an error for 30 s, if it means rejected credentials."""
        name = type(error).__name__
        if _KINDS.get(name) is type(error):
            document = {"kind": name, "sentence": error.sentence, **error.of_swr()}
            self._store(name).put(self._key(credentials), json.dumps(document).encode(), TTL_SECONDS)

    def raise_cached(self, credentials: Credentials) -> None:
        """Raises a stored error of these credentials, if there is one."""
        key = self._key(credentials)
        value = self._local.get(key) or self._state.get(key)
        if value is not None and (error := _parse_error(value)) is not None:
            raise error

    def _store(self, name: str) -> State:
        """A wrong clock concerns this machine only: another replica's may be right."""
        return self._local if name == ClockWrong.__name__ else self._state

    def _key(self, credentials: Credentials) -> str:
        return f"refused:{self._api}:{credentials.fingerprint}"


def _parse_error(value: bytes) -> AdapterError | None:
    """None for a value of another program or version, which may share the store."""
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return None
    match document:
        case {"kind": str(kind), "sentence": sentence, **details} if kind in _KINDS and _is_text(sentence):
            known = {name: details.get(name) for name in ("swr_code", "swr_message", "request_id")}
            texts: dict[str, Any] = {name: text for name, text in known.items() if _is_text(text)}
            return _KINDS[kind](sentence, **texts)
    return None


def _is_text(value: object) -> bool:
    """Whether a value of unknown origin may appear in a response and a log line."""
    return isinstance(value, str) and value.isprintable() and len(value) <= _MAX_TEXT_LENGTH
