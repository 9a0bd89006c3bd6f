"""Retry policies: how long, and after which failures, a request to SWR is repeated. Pure."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Final


@dataclass(frozen=True)
class RetryPolicy:
    """When to repeat a request. `total_seconds` counts from the first attempt, waits included."""

    total_seconds: float
    statuses: frozenset[int]
    retry_broken: bool
    """Whether to repeat after a lost connection or a timeout: only for requests that do no harm when repeated."""
    response_seconds: float = 60.0
    """Time limit for the first byte of a response."""
    rate_limited: bool = True
    queue_seconds: float = 60.0
    """Time limit for a turn in the rate limit."""
    cancel_on_disconnect: bool = False
    """Whether to stop when the client disconnects, because only the client needs the response."""
    connect_seconds: float | None = None
    """For reads: time limit for a connection, retries included. The circuit breaker applies: a host that a moment ago
    could not be reached, or returned only 5xx, is not tried repeatedly. None: no such limit.
    """
    deadline: float | None = field(default=None, compare=False)
    """The monotonic moment at which several requests, and their bodies, end, whatever `total_seconds` is."""

    def within(self, seconds: float) -> RetryPolicy:
        """This policy, limited to so many seconds."""
        return replace(
            self,
            total_seconds=max(0.0, min(self.total_seconds, seconds)),
            response_seconds=max(1.0, min(self.response_seconds, seconds)),
        )


_MAX_RETRY_AFTER_SECONDS: Final = 86_400.0
_MAX_DATE_LENGTH: Final = 64
"""Characters of a date in any HTTP format."""
MAX_BACKOFF_SECONDS: Final = 4.0
"""Longest wait between two attempts: twenty rejections in a row still fit into a minute."""
_BUSY: Final = frozenset({429, 502, 503, 504})

IDEMPOTENT: Final = RetryPolicy(total_seconds=60, statuses=_BUSY | {500}, retry_broken=True)
"""For a PUT of a whole document, and other requests of an upload that do no harm when repeated."""

READ: Final = replace(IDEMPOTENT, connect_seconds=5.0)
"""For GET and HEAD of a client that can do without SWR for a while, as Harbor's proxy cache can."""

READ_MANIFEST: Final = replace(READ, total_seconds=20)
"""For a manifest, or the token for one: Harbor serves its cached copy only after this. If the host is out of reach, the
circuit breaker ends the following requests at once, so all of them together take little longer."""

UPLOAD_START: Final = RetryPolicy(total_seconds=90, statuses=_BUSY | {500}, retry_broken=True)
"""For the start of an upload: Harbor's own retry fails (`docs/facts/harbor.md D.2`), and a second start is harmless."""

MOUNT: Final = RetryPolicy(total_seconds=30, statuses=_BUSY, retry_broken=True)
"""For a mount: without one, the blob is uploaded."""

CREATE: Final = RetryPolicy(total_seconds=30, statuses=frozenset({429, 503}), retry_broken=False)
"""For a creation: repeated only if SWR did not process the request."""

HEALTH_CHECK: Final = RetryPolicy(
    total_seconds=10, statuses=_BUSY, retry_broken=True, response_seconds=5.0, rate_limited=False
)
"""For the health check: outside the rate limit. One failed check disables a proxy cache for minutes."""

BLOB_DOWNLOAD: Final = replace(READ, cancel_on_disconnect=True)
"""For the download of a blob."""

BUFFERED_UPLOAD: Final = RetryPolicy(
    total_seconds=60,
    statuses=frozenset({429, 503}),
    retry_broken=False,
    response_seconds=600.0,
    cancel_on_disconnect=True,
)
"""For a small part of an upload, in memory: repeated only if SWR did not process it."""

BEST_EFFORT: Final = RetryPolicy(
    total_seconds=3, statuses=_BUSY, retry_broken=True, response_seconds=4.0, queue_seconds=3.0
)
"""For an optional request. The rate limit applies, because any number of clients may cause one each."""

STREAMED_UPLOAD: Final = RetryPolicy(
    total_seconds=0, statuses=frozenset(), retry_broken=False, response_seconds=600.0, cancel_on_disconnect=True
)
"""For a streamed body, which cannot be sent twice; SWR may take long to process a large layer."""


_for_upload: Final[ContextVar[bool]] = ContextVar("for_upload", default=False)


@contextlib.contextmanager
def for_upload() -> Iterator[None]:
    """Reads in this block, or in the decorated function, belong to an upload: they are retried for as long as the
    upload."""
    token = _for_upload.set(True)
    try:
        yield
    finally:
        _for_upload.reset(token)


def policy_of(policy: RetryPolicy) -> RetryPolicy:
    """The retry policy that applies in this thread: within `for_upload`, a read is retried like other requests."""
    if policy.connect_seconds is None or not _for_upload.get():
        return policy
    return replace(policy, connect_seconds=None, total_seconds=max(policy.total_seconds, IDEMPOTENT.total_seconds))


def backoff(attempt: int, retry_after: float | None, *, spread: float | None = None) -> float:
    """Seconds to wait after an attempt (from 0): doubled each time up to 4 s, with jitter; or as long as the server
    requested."""
    jitter = random.random() if spread is None else spread  # noqa: S311 - spreads load, guards nothing
    wait = min(MAX_BACKOFF_SECONDS, 0.25 * 2.0**attempt) * (0.5 + jitter / 2)
    return wait if retry_after is None else max(retry_after, wait / 4)


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds in a `Retry-After` header; `now` is in seconds since the epoch."""
    if not value:
        return None
    digits = value.strip()
    if digits.isascii() and digits.isdecimal():
        # A number with more digits is above the maximum anyway.
        return min(float(digits[:9]), _MAX_RETRY_AFTER_SECONDS)
    try:
        return min(
            max(0.0, parsedate_to_datetime(value[:_MAX_DATE_LENGTH]).timestamp() - now), _MAX_RETRY_AFTER_SECONDS
        )
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def max_duration(policy: RetryPolicy) -> float:
    """Seconds that a request with this policy takes at most."""
    if policy.deadline is not None:
        return policy.deadline - time.monotonic()
    return policy.total_seconds + (policy.queue_seconds if policy.rate_limited else 0.0)
