"""What SWR has turned out not to take from an account, so that it is not tried with each image again."""

from __future__ import annotations

from typing import Final

from adapter.identity import Identity, hidden
from adapter.state import State

LIFE: Final = 3600.0
"""Seconds. Then the next image tries again: what SWR takes may change."""

ANNOTATIONS: Final = "annotations"
"""Annotations in a Docker document."""
OCI_CHILDREN: Final = "oci-children"
"""OCI manifests in a Docker list."""


class RefusedTypes:
    """For each region and access key apart: accounts of one SWR may be served by different versions of it.

    `what` is a kind of manifest (`adapter.transfer.translate.Kind`) or one of the constants above.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def learn(self, identity: Identity, what: str) -> None:
        """SWR refused it; where it can be seen, because of that alone."""
        self._state.put(_key(identity, what), b"1", LIFE)

    def knows(self, identity: Identity, what: str) -> bool:
        """Whether SWR refused it within the last hour."""
        return self._state.get(_key(identity, what)) is not None


def _key(identity: Identity, what: str) -> str:
    return f"refused-type:{hidden(identity.account)}:{what}"
