"""Organizations, by whichever way the credentials open: signed API, dockyard, or the token endpoint's refusals."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from threading import Lock
from typing import Final

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    CreationRefused,
    Denied,
    NotFound,
    OrganizationExists,
    OrganizationTaken,
    OrganizationUnknown,
)
from adapter.references import RepositoryName, check_organization
from adapter.state.singleflight import SingleFlight
from adapter.swr.dockyard import Dockyard, DockyardAbsent
from adapter.swr.management import Management, Organization
from adapter.swr.repository import Repository
from adapter.swr.retry import CREATE, IDEMPOTENT, READ, longest
from adapter.swr.tokens import PULL, Tokens

_REMEMBERED: Final = 60.0
"""Seconds in which whoever asks for an organization that was just made is answered by a look, not by a second POST."""

_LONGEST: Final = longest(IDEMPOTENT) + longest(CREATE)
"""Seconds that a creation may take, with a look before or after it; nobody waits longer for another's."""


class Organizations:
    """Looks up and creates organizations; the credentials are confirmed before anything is signed."""

    def __init__(self, tokens: Tokens, management: Management, dockyard: Dockyard, *, may_create: bool) -> None:
        self._tokens = tokens
        self._management = management
        self._dockyard = dockyard
        self._may_create = may_create
        self._flights: SingleFlight[None] = SingleFlight()
        self._made: dict[tuple[str, str], float] = {}
        self._lock = Lock()

    def all(self, credentials: Credentials) -> list[Organization]:
        """All that the account is authorised for. Raises `Denied` when these credentials open no way to list them."""
        self._tokens.confirm(credentials, READ)
        if self._management.serves(credentials):
            return self._management.organizations(credentials, READ)
        try:
            return self._dockyard.organizations(credentials)
        except NotFound:
            return []
        except DockyardAbsent:
            raise Denied(
                "organizations cannot be listed with the login key alone on this SWR: enter the SK as Access Secret"
            ) from None

    def named(self, credentials: Credentials, names: Collection[str]) -> list[Organization]:
        """Those of the named ones that exist and can be seen; one request however many names, where SWR can list."""
        try:
            found = {organization.name: organization for organization in self.all(credentials)}
        except AccountBlocked:
            raise
        except Denied:
            # Not every account may list; each name by itself then.
            each = (self._alone(credentials, name) for name in names)
            return [organization for organization in each if organization is not None]
        return [found[name] for name in names if name in found]

    def _alone(self, credentials: Credentials, name: str) -> Organization | None:
        if self._management.serves(credentials):
            with contextlib.suppress(Denied):
                return self._management.organization(credentials, name)
        return Organization(name) if self._answers_for(credentials, name) else None

    def exists(self, credentials: Credentials, name: str) -> bool:
        """Whether the account can see the organization. Only words depend on it: a failed look-up counts as yes."""
        try:
            return bool(self.named(credentials, [name]))
        except AdapterError:
            return True

    def is_missing(self, credentials: Credentials, name: str, error: AdapterError) -> bool:
        """Whether SWR itself says that there is no such organization; a failed look-up is not that.

        The management API has a code for it (`docs/facts/swr.md §4.12`). With the login key alone there are only the
        words of the token endpoint, in `error`, which for another account's organization are others (§5).
        """
        if not self._management.serves(credentials):
            return isinstance(error, OrganizationUnknown)
        try:
            self._tokens.confirm(credentials)
            return self._management.organization(credentials, name, certain=True) is None
        except AdapterError:
            return False

    def create(self, credentials: Credentials, name: str) -> None:
        """Makes an organization with one POST, however many threads ask.

        Raises `OrganizationExists` when it is there and the account may use it, `OrganizationTaken` when it is
        another account's, `OrganizationQuota`, `OrganizationReserved`, `NameInvalid`, `CreationRefused`.
        """
        check_organization(name)
        self._tokens.confirm(credentials)
        _, ours = self._flights.do(
            (credentials.regional_key, name),
            lambda: self._create_if_missing(credentials, name),
            timeout=_LONGEST,
        )
        if not ours:
            raise OrganizationExists(f"the organization '{name}' was created a moment ago")

    def _create_if_missing(self, credentials: Credentials, name: str) -> None:
        """Looks first only where that is likely to save a POST, or where a POST is not allowed."""
        key = (credentials.regional_key, name)
        if (not self._may_create or self._recently_made(key)) and self._look(credentials, name) is not None:
            raise OrganizationExists(f"the organization '{name}' exists")
        if not self._may_create:
            raise CreationRefused(
                f"the organization '{name}' does not exist in SWR and this adapter may not create it "
                "(SWR_ADAPTER_CREATE_NAMESPACES=false): create it in the SWR console, then run the replication again"
            )
        try:
            self._create(credentials, name)
        finally:
            self._tokens.begin_anew(credentials, name)
        with self._lock:
            self._made[key] = time.monotonic() + _REMEMBERED

    def _recently_made(self, key: tuple[str, str]) -> bool:
        with self._lock:
            now = time.monotonic()
            self._made = {made: until for made, until in self._made.items() if until > now}
            return key in self._made

    def _create(self, credentials: Credentials, name: str) -> None:
        try:
            if self._management.serves(credentials):
                self._management.create_organization(credentials, name)
            else:
                self._dockyard.create_organization(credentials, name)
        except DockyardAbsent:
            raise CreationRefused(
                f"the organization '{name}' does not exist, and this SWR creates none with the login key alone: "
                "enter the SK as Access Secret, or create it in the SWR console"
            ) from None
        except OrganizationExists as conflict:
            self._raise_whose(credentials, name, conflict)

    def _raise_whose(self, credentials: Credentials, name: str, conflict: OrganizationExists) -> None:
        """409 on creation: names are unique in a region, so it need not be the account's own."""
        try:
            seen = self._look(credentials, name)
        except (Denied, NotFound):
            seen = None
        if seen is None:
            raise OrganizationTaken(
                f"the organization name '{name}' belongs to another account (names are unique in a region): "
                "choose another destination namespace in the replication rule",
                **conflict.of_swr(),
            ) from conflict
        self.refuse_unwritable(seen)
        raise conflict

    def _look(self, credentials: Credentials, name: str) -> Organization | None:
        if self._management.serves(credentials):
            return self._management.organization(credentials, name)
        return next(iter(self.named(credentials, [name])), None)

    @staticmethod
    def refuse_unwritable(organization: Organization) -> None:
        """Raises `Denied` for an organization that the account may only read."""
        if not organization.writable:
            raise Denied(
                f"the account may only read the SWR organization '{organization.name}': have its owner grant the "
                "permission to edit, or choose another destination namespace in the replication rule"
            )

    def _answers_for(self, credentials: Credentials, name: str) -> bool:
        """Existence as the token endpoint tells it: it refuses a scope whose organization is missing."""
        try:
            self._tokens.bearer(Repository(credentials, RepositoryName(name, "adapter-probe")), PULL)
        except NotFound:
            return False
        except Denied as error:
            return not _missing(error)
        return True


def _missing(error: AdapterError) -> bool:
    return "not exist" in (error.swr_message or "").lower()
