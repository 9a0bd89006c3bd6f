"""The repository in which a blob was last seen, from which SWR can mount the blob (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from adapter.credentials import Credentials
from adapter.errors import BlobUnknown, NameInvalid
from adapter.references import RepositoryName, parse_repository
from adapter.state import State
from adapter.swr.repository import Repository

TTL_SECONDS: Final = 86_400.0
"""A location is only a hint at any age: check with SWR before using it."""


class BlobLocations:
    """The repository in which each blob was last seen, kept apart for each set of credentials.

    The key is made of the whole credentials. With the access key alone, a caller without the secret could learn names
    of repositories.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def record(self, repository: Repository, digest: str) -> None:
        """Notes that the repository has the blob."""
        self._state.put(_key(repository.credentials, digest), str(repository).encode(), TTL_SECONDS)

    @contextlib.contextmanager
    def recording(self, repository: Repository, digest: str) -> Iterator[None]:
        """Notes the outcome of the block, which requests the blob from SWR: success, or `BlobUnknown`."""
        try:
            yield
        except BlobUnknown:
            self.discard(repository, digest)
            raise
        self.record(repository, digest)

    def find(self, credentials: Credentials, digest: str) -> RepositoryName | None:
        """The repository in which the blob was last seen, if any."""
        value = self._state.get(_key(credentials, digest))
        try:
            return None if value is None else parse_repository(value.decode())
        except (NameInvalid, UnicodeDecodeError):
            return None

    def discard(self, repository: Repository, digest: str) -> None:
        """Notes that the repository no longer has the blob."""
        if self.find(repository.credentials, digest) == repository.name:
            self._state.drop(_key(repository.credentials, digest))


def _key(credentials: Credentials, digest: str) -> str:
    return f"blob:{credentials.fingerprint}:{digest}"
