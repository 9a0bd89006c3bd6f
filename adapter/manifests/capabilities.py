"""What SWR has turned out not to take from an account, so that it is not tried with each image again."""

from __future__ import annotations

import time
from typing import Final

from adapter.credentials import Credentials, hidden
from adapter.state import State

LIFE: Final = 3600.0
"""Seconds. Then the next image tries again: what SWR takes may change."""

ANNOTATIONS: Final = "annotations"
"""Annotations in a Docker document."""
OCI_CHILDREN: Final = "oci-children"
"""OCI manifests in a Docker list."""


class Capabilities:
    """For each region and access key apart: accounts of one SWR may be served by different versions of it.

    `what` is the key of a form (`adapter.manifests.forms.Form`), so that nothing counts as rejected that was not sent,
    or one of the constants above. Its length is bounded.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def learn(self, credentials: Credentials, what: str) -> None:
        """SWR rejected it; where it can be seen, because of that alone."""
        self._state.put(_key(credentials, what), str(int(time.time())).encode(), LIFE)

    def knows(self, credentials: Credentials, what: str) -> bool:
        """Whether SWR rejected it within the last hour."""
        return self.age(credentials, what) is not None

    def age(self, credentials: Credentials, what: str) -> float | None:
        """Seconds since SWR rejected it, at most `LIFE`; None when it did not, or longer ago than that."""
        value = self._state.get(_key(credentials, what))
        if value is None or not value.isdigit() or len(value) > 12:
            return None
        return min(max(0.0, time.time() - int(value)), LIFE)


def _key(credentials: Credentials, what: str) -> str:
    return f"refused-type:{hidden(credentials.regional_key)}:{what}"
