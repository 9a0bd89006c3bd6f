"""Refused credentials, remembered: a wrong secret must not cost SWR a try each time, and five bad signatures
lock an AK for five minutes (`docs/facts/swr.md §3.1`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from adapter.credentials import Credentials
from adapter.errors import AccountBlocked, AdapterError, ClockWrong, CredentialsRefused
from adapter.state import MemoryState, State

LIFE: Final = 30.0
"""Seconds."""

_MAX_TEXT_LENGTH: Final = 2000
"""Characters."""
_KINDS: Final[Mapping[str, type[AdapterError]]] = {
    kind.__name__: kind for kind in (AccountBlocked, ClockWrong, CredentialsRefused)
}
"""All that is ever made of what a store holds."""


class AuthFailures:
    """Errors by the whole credential, so that no wrong secret hides a right one; `door` names who refused."""

    def __init__(self, state: State, door: str) -> None:
        self._state = state
        self._here = MemoryState(10_000)
        self._door = door

    def remember(self, credentials: Credentials, error: AdapterError) -> None:
        """For the next 30 s. What is no refusal of credentials is not kept."""
        name = type(error).__name__
        if _KINDS.get(name) is type(error):
            document = {"kind": name, "sentence": error.sentence, **error.of_swr()}
            self._store(name).put(self._key(credentials), json.dumps(document).encode(), LIFE)

    def raise_cached(self, credentials: Credentials) -> None:
        """Raises an error of the same kind, with the same words, if there is one."""
        key = self._key(credentials)
        value = self._here.get(key) or self._state.get(key)
        if value is not None and (error := _revived(value)) is not None:
            raise error

    def _store(self, name: str) -> State:
        """A wrong clock is this machine's: another replica's may be right."""
        return self._here if name == ClockWrong.__name__ else self._state

    def _key(self, credentials: Credentials) -> str:
        return f"refused:{self._door}:{credentials.fingerprint}"


def _revived(value: bytes) -> AdapterError | None:
    """None for what this version did not write: the store is others' too."""
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
    """Whether it may go into an answer and a log line: others may have written it."""
    return isinstance(value, str) and value.isprintable() and len(value) <= _MAX_TEXT_LENGTH
