"""Slots for transfers and for other requests: they never take the last threads of the contract door, and none of those
who hold many takes the last slots."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

from adapter.credentials import Credentials
from adapter.errors import Busy
from adapter.swr.tenants import Tenants

RETRY_AFTER: Final = 5.0
"""Seconds; Harbor waits 2, 4, 8 and 16 before it sends a blob again (`docs/facts/harbor.md D.2`)."""


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
        whose = credentials.fingerprint if self._credentials else self._tenants.key_of(credentials.account)
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
