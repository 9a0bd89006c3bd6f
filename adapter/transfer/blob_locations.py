"""In which repository a blob was seen, so that it need not be sent again (`docs/facts/harbor.md D.4`, mount)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from adapter.credentials import Credentials
from adapter.errors import BlobUnknown, NameInvalid
from adapter.references import RepositoryName, parse_repository
from adapter.state import State
from adapter.swr.repository import Repository

LIFE: Final = 86_400.0
"""Seconds. It is only a guess all the time: SWR is asked before anything is made of it."""


class BlobLocations:
    """The repository that a blob was seen in last, for each credential: nobody learns what another one may see.

    The whole credential is the key, not the AK alone: who has only the AK would be told names without a secret.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def saw(self, repository: Repository, digest: str) -> None:
        """SWR has the blob there."""
        self._state.put(_key(repository.credentials, digest), str(repository).encode(), LIFE)

    @contextlib.contextmanager
    def asked(self, repository: Repository, digest: str) -> Iterator[None]:
        """Learns from the end of the block, in which SWR is asked for the blob."""
        try:
            yield
        except BlobUnknown:
            self.gone(repository, digest)
            raise
        self.saw(repository, digest)

    def of(self, credentials: Credentials, digest: str) -> RepositoryName | None:
        """Where the blob was, if anywhere."""
        value = self._state.get(_key(credentials, digest))
        try:
            return None if value is None else parse_repository(value.decode())
        except (NameInvalid, UnicodeDecodeError):
            return None

    def gone(self, repository: Repository, digest: str) -> None:
        """SWR has it there no more."""
        if self.of(repository.credentials, digest) == repository.name:
            self._state.drop(_key(repository.credentials, digest))


def _key(credentials: Credentials, digest: str) -> str:
    return f"blob:{credentials.fingerprint}:{digest}"
