"""What SWR has rejected lately, so that the adapter does not try it with each image again."""

from __future__ import annotations

import time
from typing import Final

from adapter.credentials import Credentials, hidden
from adapter.state import State

TTL_SECONDS: Final = 3600.0
"""After this time the next image is tried again, because what SWR accepts may change."""

ANNOTATIONS: Final = "annotations"
"""Annotations in a Docker document."""
OCI_CHILDREN: Final = "oci-children"
"""OCI manifests in a Docker list."""


class Capabilities:
    """What SWR has rejected, separately for each region and access key: SWR may serve them with different versions.

    `feature` is the key of a form (`adapter.manifests.forms.Form`), so that nothing counts as rejected that was not
    sent, or one of the constants above. The length of a key is bounded.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def record_rejection(self, credentials: Credentials, feature: str) -> None:
        """Notes that SWR rejected the feature: for the feature alone, as far as that can be told."""
        self._state.put(_key(credentials, feature), str(int(time.time())).encode(), TTL_SECONDS)

    def is_rejected(self, credentials: Credentials, feature: str) -> bool:
        """Whether SWR rejected the feature within the last hour."""
        return self.rejection_age(credentials, feature) is not None

    def rejection_age(self, credentials: Credentials, feature: str) -> float | None:
        """Seconds since SWR rejected the feature, at most `TTL_SECONDS`; None if it did not within that time."""
        value = self._state.get(_key(credentials, feature))
        if value is None or not value.isdigit() or len(value) > 12:
            return None
        return min(max(0.0, time.time() - int(value)), TTL_SECONDS)


def _key(credentials: Credentials, feature: str) -> str:
    return f"refused-type:{hidden(credentials.regional_key)}:{feature}"
