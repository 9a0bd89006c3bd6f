"""Slots for transfers and for other requests: they never take the last threads of the contract door, and none of those
who hold many takes the last slots."""

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

RETRY_AFTER: Final = 5.0
"""Seconds; Harbor waits 2, 4, 8 and 16 before it sends a blob again (`docs/facts/harbor.md D.2`)."""
CALLS: Final = 272
"""Slots for requests with credentials, besides transfers; a request without credentials needs none, so the challenge
never waits for SWR. Three quarters are for anybody: enough for two Harbors that list a hundred repositories each at
midnight."""
CHECKS: Final = 16
"""Slots for checks of credentials, besides `CALLS`."""
UNPROVEN_CALLS: Final = 136
"""Slots, in place of `CALLS`, for requests whose credentials SWR has not accepted lately. A hundred lists at once may
be the first that a replica sees of a credential, and one credential gets three quarters of these slots."""
UNPROVEN_CHECKS: Final = 8
"""Slots, in place of `CHECKS`, for checks of credentials that SWR has not accepted lately."""
UNPROVEN_CREDENTIALS: Final = 32
"""Different credentials that hold `UNPROVEN_CALLS` at once."""


class Slot:
    """One slot; a context manager. `release` may be called more than once."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        with self._lock:
            give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()

    def __enter__(self) -> Slot:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Slots:
    """`number` slots; `what` they are for, and the setting, stand in the sentence of a refusal. Safe for threads.

    While more than a quarter is free, anybody gets one. The last quarter is for tenants that hold few, and the last
    eighth of these for regions that hold few as well: so neither one tenant nor one region that does not answer takes
    all of them. With `per_tenant`, a tenant holds that many at most. With `credentials`, the slots are for credentials
    that SWR may never have accepted: each counts as a tenant, since anybody can name an access key, and that many hold
    slots at once, the last eighth of them for regions that have few.
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
        self._few = max(1, number // 16)
        self._tenants = tenants or Tenants({})
        self._per_tenant = per_tenant
        self._credentials = credentials
        self._lock = threading.Lock()
        self._taken = 0
        self._held: Counter[str] = Counter()
        self._holders: Counter[str] = Counter()
        """How many of the credentials of each region hold slots."""

    def take(self, credentials: Credentials) -> Slot:
        """Never waits, because waiting would need a thread. Raises `Busy`."""
        # One access key has as many credentials as there are names of projects, so they do not tell tenants apart.
        whose = credentials.fingerprint if self._credentials else self._tenants.key_of(credentials.regional_key)
        tenant, region = f"tenant:{whose}", f"region:{credentials.region}"
        with self._lock:
            refusal = self._refusal(tenant, region)
            if refusal is None:
                self._taken += 1
                if tenant not in self._held:
                    self._holders[region] += 1
                self._held.update((tenant, region))
        if refusal is not None:
            raise Busy(refusal, retry_after=RETRY_AFTER)
        return Slot(partial(self._give_back, (tenant, region)))

    def _refusal(self, tenant: str, region: str) -> str | None:
        free = self._number - self._taken
        if free <= 0:
            return f"all {self._number} {self._what} are in progress: try again later"
        if self._credentials and tenant not in self._held and (refusal := self._credentials_refusal(region)):
            return refusal
        if self._per_tenant and self._held[tenant] >= self._per_tenant:
            return (
                f"{self._per_tenant} transfers of this tenant are in progress "
                "(limit, SWR_ADAPTER_TRANSFERS_PER_TENANT): run fewer replications at once, or raise the limit"
            )
        if free * 4 <= self._number and self._held[tenant] >= self._few:
            return self._reserved(self._held[tenant], "access key" if self._credentials else "tenant")
        if free * 8 <= self._number and self._held[region] >= self._few:
            return self._reserved(self._held[region], "region")
        return None

    def _credentials_refusal(self, region: str) -> str | None:
        """Why credentials that hold no slot yet get none."""
        held, most = self._holders.total(), self._credentials
        free = most - held
        if free > 0 and (free * 8 > most or self._holders[region] < max(1, most // 16)):
            return None
        return f"{self._taken} {self._what} of {held} different credentials are in progress: try again later"

    def _reserved(self, held: int, whose: str) -> str:
        return (
            f"{self._taken} of {self._number} {self._what} are in progress, {held} of them for this {whose}, "
            "and the remaining ones are reserved for others: try again later"
        )

    def _give_back(self, holders: tuple[str, ...]) -> None:
        tenant, region = holders
        with self._lock:
            self._taken -= 1
            self._held -= Counter(holders)
            if tenant not in self._held:
                self._holders -= Counter((region,))


_CALL: Final = "adapter_call"
_CHECK: Final = "registry.check"
_NEVER_WAIT: Final = frozenset({"ping.version", "ping.ping", "ping.health"})
"""Endpoints that do not ask SWR, and look at credentials by themselves if at all."""


@dataclass(frozen=True)
class Pair:
    """Slots for credentials that SWR has accepted lately, and a few for all others together."""

    proven: Slots
    unproven: Slots


class _Call:
    """The slot of one request, until its answer has gone or it has become a transfer."""

    def __init__(self, pair: Pair, credentials: Credentials, *, accepted: bool) -> None:
        self._pair = pair
        self._credentials = credentials
        self._proven = accepted
        self._slot: Slot | None = (pair.proven if accepted else pair.unproven).take(credentials)

    def accepted(self) -> None:
        """SWR accepts the credentials: the request leaves the slots for unproven ones, where another may be waiting to
        prove itself. Where no other slot is free it keeps the one that it has."""
        if self._slot is None or self._proven:
            return
        with contextlib.suppress(Busy):
            unproven, self._slot = self._slot, self._pair.proven.take(self._credentials)
            self._proven = True
            unproven.release()

    def release(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.release()


def admit(app: Flask, swr: SwrClient, *, calls: Pair, checks: Pair) -> None:
    """Every request with credentials takes one of `calls` until its answer has gone, or it is a transfer: a client that
    takes its answers slowly holds threads with them.

    Harbor's health check has slots of its own: one that fails takes a proxy cache away for five minutes. Credentials
    of the wrong form are refused before they take anything.
    """

    @app.before_request
    def enter() -> None:
        if "Authorization" not in request.headers or request.endpoint is None or request.endpoint in _NEVER_WAIT:
            return
        credentials = credentials_of(request, swr.regions)
        pair = checks if request.endpoint == _CHECK else calls
        call = _Call(pair, credentials, accepted=swr.tokens.accepted(credentials))
        setattr(g, _CALL, call)
        if (current := request_context.current_request.get()) is not None:
            current.on_accepted = call.accepted

    @app.after_request
    def answer(response: Response) -> Response:
        if (call := g.pop(_CALL, None)) is not None:
            response.call_on_close(call.release)
        return response

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        """There is no answer."""
        become_transfer()


@contextlib.contextmanager
def transferring(swr: SwrClient, slots: Slots, repository: Repository) -> Iterator[None]:
    """A slot for an upload's bytes; only for those whom SWR lets push. Raises `Busy`, or what SWR's refusal means."""
    swr.registry.authorize(repository)
    with moving(slots, repository.credentials):
        yield


@contextlib.contextmanager
def moving(slots: Slots, credentials: Credentials) -> Iterator[None]:
    """A slot for the bytes of an upload that SWR has let start; the request gives its call slot back."""
    with slots.take(credentials):
        become_transfer()
        yield


def become_transfer() -> None:
    """The request gives its call slot back."""
    call = g.pop(_CALL, None)
    if call is not None:
        call.release()
