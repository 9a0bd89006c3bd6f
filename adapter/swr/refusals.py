"""Refused credentials, remembered: a wrong secret must not cost SWR a try each time, and five bad signatures
lock an AK for five minutes (`docs/facts/swr.md §3.1`)."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Final

from adapter.errors import AdapterError
from adapter.identity import Identity

LIFE: Final = 30.0
"""Seconds."""
_MOST: Final = 10_000


class Refusals:
    """Errors by the whole credential, so that no wrong secret hides a right one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: OrderedDict[str, tuple[float, AdapterError]] = OrderedDict()

    def remember(self, identity: Identity, error: AdapterError) -> None:
        """For the next 30 s."""
        with self._lock:
            self._errors[identity.fingerprint] = (time.monotonic() + LIFE, error)
            self._errors.move_to_end(identity.fingerprint)
            while len(self._errors) > _MOST:
                self._errors.popitem(last=False)

    def raise_remembered(self, identity: Identity) -> None:
        """Raises an error of the same kind, with the same words, if there is one."""
        with self._lock:
            until, error = self._errors.get(identity.fingerprint, (0.0, None))
        if error is not None and until > time.monotonic():
            raise type(error)(
                error.sentence,
                **error.of_swr(),
            )
