"""Concurrency limits: slots for requests and for transfers. They never use all threads of the contract listener, and
no tenant or region can hold them all."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from flask import Flask, Response, g, request

from adapter.contract.auth import credentials_of
from adapter.credentials import Credentials
from adapter.errors import Busy
from adapter.http import request_context
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.tenants import Tenants

CALLS: Final = 272
"""Slots for requests with credentials, besides transfers; a request without credentials needs none, so the challenge
never waits for SWR. Any request can get the first three quarters: enough for two Harbors that list a hundred
repositories each at midnight."""
CHECKS: Final = 16
"""Slots for checks of credentials, besides `CALLS`."""
UNPROVEN_CALLS: Final = 136
"""Slots, in place of `CALLS`, for requests whose credentials SWR has not accepted lately. A hundred lists at once may
be the first that a replica sees of a credential, and one credential gets three quarters of these slots."""
UNPROVEN_CHECKS: Final = 8
"""Slots, in place of `CHECKS`, for checks of credentials that SWR has not accepted lately."""
UNPROVEN_CREDENTIALS: Final = 32
"""Limit of different credentials that hold slots of `UNPROVEN_CALLS` at once."""
RETRY_AFTER: Final = 5.0
"""Retry-After in seconds. Harbor waits 2, 4, 8 and 16 s before it sends a blob again (`docs/facts/harbor.md D.2`)."""


class Slot:
    """A reserved slot, and a context manager that releases it. `release` may be called more than once."""

    def __init__(self, on_release: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._on_release: Callable[[], None] | None = on_release

    def release(self) -> None:
        with self._lock:
            on_release, self._on_release = self._on_release, None
        if on_release is not None:
            on_release()

    def __enter__(self) -> Slot:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Slots:
    """`number` slots; `what` says in error messages what they are for and which setting limits them. Safe for threads.

    While more than a quarter of the slots is free, every request gets one. The last quarter is reserved for tenants
    that hold less than a sixteenth of the slots, and the last eighth for regions that hold less than a sixteenth. So
    neither one tenant nor one unresponsive region can hold all slots. `per_tenant` is the limit of one tenant, 0 for
    none.

    `credentials` is set for credentials that SWR may never have accepted. Then each of them counts as a tenant, because
    anybody can send the access key of another, and at most so many hold slots at once. The last eighth of these is
    reserved for regions with few of them.
    """

    def __init__(
        self,
        number: int,
        what: str,
        *,
        tenants: Tenants | None = None,
        per_tenant: int = 0,
        credentials: int = 0,
    ) -> None:
        self._number = number
        self._what = what
        self._small_share = max(1, number // 16)
        self._tenants = tenants or Tenants({})
        self._per_tenant = per_tenant
        self._max_credentials = credentials
        self._lock = threading.Lock()
        self._reserved = 0
        self._held_by: Counter[str] = Counter()
        """Slots of each tenant and of each region."""
        self._credentials_in: Counter[str] = Counter()
        """How many tenants hold slots in each region."""

    def reserve(self, credentials: Credentials) -> Slot:
        """Returns at once, because waiting would occupy a thread. Raises `Busy`."""
        # An access key can be sent with any project name, so the credentials as a whole do not identify a tenant.
        by_credentials = bool(self._max_credentials)
        owner = credentials.fingerprint if by_credentials else self._tenants.key_of(credentials.regional_key)
        tenant, region = f"tenant:{owner}", f"region:{credentials.region}"
        with self._lock:
            error = self._limit_reached(tenant, region)
            if error is None:
                self._reserved += 1
                if tenant not in self._held_by:
                    self._credentials_in[region] += 1
                self._held_by.update((tenant, region))
        if error is not None:
            raise Busy(error, retry_after=RETRY_AFTER)
        return Slot(partial(self._release, tenant, region))

    def _limit_reached(self, tenant: str, region: str) -> str | None:
        """The error message if one more slot would exceed a limit, otherwise None."""
        free = self._number - self._reserved
        if free <= 0:
            return f"all {self._number} {self._what} are in progress: try again later"
        if self._max_credentials and tenant not in self._held_by and not self._has_room_for_credentials(region):
            holders = self._credentials_in.total()
            return f"{self._reserved} {self._what} of {holders} different credentials are in progress: try again later"
        if self._per_tenant and self._held_by[tenant] >= self._per_tenant:
            return (
                f"{self._per_tenant} transfers of this tenant are in progress "
                "(limit, SWR_ADAPTER_TRANSFERS_PER_TENANT): run fewer replications at once, or raise the limit"
            )
        if free * 4 <= self._number and self._held_by[tenant] >= self._small_share:
            owner = "access key" if self._max_credentials else "tenant"
            return self._rest_is_reserved(self._held_by[tenant], owner)
        if free * 8 <= self._number and self._held_by[region] >= self._small_share:
            return self._rest_is_reserved(self._held_by[region], "region")
        return None

    def _has_room_for_credentials(self, region: str) -> bool:
        """Whether credentials that hold no slot yet may hold one."""
        limit = self._max_credentials
        free = limit - self._credentials_in.total()
        return free > 0 and (free * 8 > limit or self._credentials_in[region] < max(1, limit // 16))

    def _rest_is_reserved(self, held: int, owner: str) -> str:
        return (
            f"{self._reserved} of {self._number} {self._what} are in progress, {held} of them for this {owner}, "
            "and the remaining ones are reserved for others: try again later"
        )

    def _release(self, tenant: str, region: str) -> None:
        with self._lock:
            self._reserved -= 1
            _decrement(self._held_by, region)
            _decrement(self._held_by, tenant)
            if tenant not in self._held_by:
                _decrement(self._credentials_in, region)


def _decrement(counter: Counter[str], key: str) -> None:
    """Drops the key at 0. `Counter.__isub__` would look at every key, with a lock held that all requests share."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


_REQUEST_SLOT: Final = "adapter_request_slot"
_CHECK: Final = "system.check"
_WITHOUT_SLOT: Final = frozenset({"system.version", "system.ping", "system.health"})
"""Endpoints that send no request to SWR, and check credentials themselves if at all."""


@dataclass(frozen=True)
class RequestSlots:
    """Slots for requests with credentials that SWR has accepted lately, and fewer for all other requests."""

    accepted: Slots
    unproven: Slots


class _RequestSlot:
    """The slot of one request, until the response is sent or the request becomes a transfer."""

    def __init__(self, slots: RequestSlots, credentials: Credentials, *, accepted: bool) -> None:
        self._slots = slots
        self._credentials = credentials
        self._accepted = accepted
        self._slot: Slot | None = (slots.accepted if accepted else slots.unproven).reserve(credentials)

    def on_accepted(self) -> None:
        """SWR has accepted the credentials: the request moves out of the slots for unproven credentials, to make room
        for others. If no slot for accepted credentials is free, the request stays where it is."""
        if self._slot is None or self._accepted:
            return
        with contextlib.suppress(Busy):
            unproven, self._slot = self._slot, self._slots.accepted.reserve(self._credentials)
            self._accepted = True
            unproven.release()

    def release(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.release()


def limit_requests(app: Flask, swr: SwrClient, *, calls: RequestSlots, checks: RequestSlots) -> None:
    """Every request with credentials holds a slot of `calls` until its response is sent or it becomes a transfer: a
    client that reads responses slowly occupies threads with them.

    Harbor's health check has slots of its own, `checks`: one failed check takes a proxy cache offline for five minutes.
    Malformed credentials are rejected before they hold a slot.
    """

    @app.before_request
    def reserve() -> None:
        if "Authorization" not in request.headers or request.endpoint is None or request.endpoint in _WITHOUT_SLOT:
            return
        credentials = credentials_of(request, swr.regions)
        slots = checks if request.endpoint == _CHECK else calls
        slot = _RequestSlot(slots, credentials, accepted=swr.tokens.accepted(credentials))
        setattr(g, _REQUEST_SLOT, slot)
        if (current := request_context.current_request.get()) is not None:
            current.on_accepted = slot.on_accepted

    @app.after_request
    def release_with_response(response: Response) -> Response:
        if (slot := g.pop(_REQUEST_SLOT, None)) is not None:
            response.call_on_close(slot.release)
        return response

    @app.teardown_request
    def release_without_response(_: BaseException | None) -> None:
        release_request_slot()


@contextlib.contextmanager
def authorized_transfer(swr: SwrClient, slots: Slots, repository: Repository) -> Iterator[None]:
    """A transfer slot for an upload by a client that SWR allows to push. Raises `Busy`, or SWR's error."""
    swr.registry.authorize(repository)
    with transfer(slots, repository.credentials):
        yield


@contextlib.contextmanager
def transfer(slots: Slots, credentials: Credentials) -> Iterator[None]:
    """A transfer slot, which replaces the slot of the request. Raises `Busy`."""
    with slots.reserve(credentials):
        release_request_slot()
        yield


def release_request_slot() -> None:
    slot = g.pop(_REQUEST_SLOT, None)
    if slot is not None:
        slot.release()
