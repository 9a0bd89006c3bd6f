"""How long, and after what, a request to SWR is tried again. Pure."""

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
    """A policy. Times are in seconds; `total` counts from the first attempt, waits included."""

    total: float
    statuses: frozenset[int]
    broken: bool
    """Whether a request whose connection broke, or that timed out, may be repeated: only if that does no harm."""
    answer: float = 60.0
    """How long to wait for the first byte of an answer."""
    budgeted: bool = True
    queue: float = 60.0
    """How long to wait for a place in the request budget."""
    cancel_on_disconnect: bool = False
    """Whether it is over when the caller leaves, because only the caller has a use for it."""
    connect: float | None = None
    """For reads: seconds in which a connection must be made, repeats included. A host that could not be reached, or
    answered nothing but 5xx, a moment ago is then not tried repeatedly (`CircuitBreaker`). None: tried like any other.
    """
    deadline: float | None = field(default=None, compare=False)
    """The monotonic moment at which all is over, whatever `total` says: for several requests, and their bodies too."""

    def within(self, seconds: float) -> RetryPolicy:
        """The same, to be over in so many seconds."""
        return replace(self, total=max(0.0, min(self.total, seconds)), answer=max(1.0, min(self.answer, seconds)))


_LONGEST_RETRY_AFTER: Final = 86_400.0
_MAX_DATE: Final = 64
"""Characters of a date in any of HTTP's forms."""
MAX_BACKOFF_SECONDS: Final = 4.0
"""Between two attempts: twenty refusals in a row still fit into a minute."""
_BUSY: Final = frozenset({429, 502, 503, 504})

IDEMPOTENT: Final = RetryPolicy(total=60, statuses=_BUSY | {500}, broken=True)
"""A PUT of a whole document, and what else an upload needs: repeating changes nothing."""

READ: Final = replace(IDEMPOTENT, connect=5.0)
"""GET and HEAD for a caller that can do without SWR for a while, as Harbor's proxy cache can."""

READ_MANIFEST: Final = replace(READ, total=20)
"""A manifest, or the token for one: until this is over, Harbor does not serve the copy that it has. What the first of
several requests learns of the host counts for the next, so that all of them together take little longer."""

UPLOAD_START: Final = RetryPolicy(total=90, statuses=_BUSY | {500}, broken=True)
"""The start of an upload: Harbor never retries it rightly (`docs/facts/harbor.md D.2`); one too many is harmless."""

MOUNT: Final = RetryPolicy(total=30, statuses=_BUSY, broken=True)
"""A request for a mount: one that SWR fails is done without."""

CREATE: Final = RetryPolicy(total=30, statuses=frozenset({429, 503}), broken=False)
"""Creation: repeated only when SWR says that it did not look at the request."""

HEALTH_CHECK: Final = RetryPolicy(total=10, statuses=_BUSY, broken=True, answer=5.0, budgeted=False)
"""The health check: past the budget, and over within 10 s. One failed check takes a proxy cache away for minutes."""

BLOB_DOWNLOAD: Final = replace(READ, cancel_on_disconnect=True)
"""A blob for one caller."""

BUFFERED_UPLOAD: Final = RetryPolicy(
    total=60, statuses=frozenset({429, 503}), broken=False, answer=600.0, cancel_on_disconnect=True
)
"""A small part of an upload, kept in memory: repeated only when SWR says that it did not look at it."""

BEST_EFFORT: Final = RetryPolicy(total=3, statuses=_BUSY, broken=True, answer=4.0, queue=3.0)
"""A question whose answer can be done without. Within the rate limit: any number of callers may cause one each."""

STREAMED_UPLOAD: Final = RetryPolicy(
    total=0, statuses=frozenset(), broken=False, answer=600.0, cancel_on_disconnect=True
)
"""A streamed body is never sent twice; SWR may think long about a large layer before it answers."""


_for_upload: Final[ContextVar[bool]] = ContextVar("for_upload", default=False)


@contextlib.contextmanager
def for_upload() -> Iterator[None]:
    """Reads in this block, or in the function that this decorates, are for an upload: they are tried as long."""
    token = _for_upload.set(True)
    try:
        yield
    finally:
        _for_upload.reset(token)


def policy_of(policy: RetryPolicy) -> RetryPolicy:
    """The retry policy of a request of this thread: within `for_upload`, a read is tried as long as other requests."""
    if policy.connect is None or not _for_upload.get():
        return policy
    return replace(policy, connect=None, total=max(policy.total, IDEMPOTENT.total))


def backoff(attempt: int, retry_after: float | None, *, spread: float | None = None) -> float:
    """Seconds to wait after an attempt (from 0): doubling with jitter up to 4 s, or what the server asked for."""
    jitter = random.random() if spread is None else spread  # noqa: S311 - spreads load, guards nothing
    wait = min(MAX_BACKOFF_SECONDS, 0.25 * 2.0**attempt) * (0.5 + jitter / 2)
    return wait if retry_after is None else max(retry_after, wait / 4)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for; `now` is the time in seconds since the epoch."""
    if not value:
        return None
    digits = value.strip()
    if digits.isascii() and digits.isdecimal():
        # Of more digits than any wait has, the first ones will do.
        return min(float(digits[:9]), _LONGEST_RETRY_AFTER)
    try:
        return min(max(0.0, parsedate_to_datetime(value[:_MAX_DATE]).timestamp() - now), _LONGEST_RETRY_AFTER)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def longest(policy: RetryPolicy) -> float:
    """Seconds that a caller with this patience waits for what another one asks with the same."""
    if policy.deadline is not None:
        return policy.deadline - time.monotonic()
    return policy.total + (policy.queue if policy.budgeted else 0.0)
