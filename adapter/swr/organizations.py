"""Organizations: looked up and created through the management API, dockyard, or errors of the token endpoint."""

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
from adapter.swr.management import Management
from adapter.swr.models import Organization
from adapter.swr.repository import Repository
from adapter.swr.retry import CREATE, IDEMPOTENT, READ, max_duration
from adapter.swr.tokens import PULL, Tokens

_CREATED_TTL_SECONDS: Final = 60.0
"""How long an organization counts as just created: another request for it costs a look-up, not a second POST."""

_CREATION_TIMEOUT_SECONDS: Final = max_duration(IDEMPOTENT) + max_duration(CREATE)
"""Time limit of a creation with one look-up before or after it: other threads wait no longer for the result."""


class Organizations:
    """Looks up and creates organizations. Confirms credentials before it signs anything with them. Thread-safe."""

    def __init__(self, tokens: Tokens, management: Management, dockyard: Dockyard, *, may_create: bool) -> None:
        self._tokens = tokens
        self._management = management
        self._dockyard = dockyard
        self._may_create = may_create
        self._flights: SingleFlight[None] = SingleFlight()
        self._created: dict[tuple[str, str], float] = {}
        self._lock = Lock()

    def all(self, credentials: Credentials) -> list[Organization]:
        """All that these credentials may see. Raises `Denied` if these credentials cannot list organizations."""
        self._tokens.confirm(credentials, READ)
        if self._management.serves(credentials):
            return self._management.organizations(credentials, READ)
        try:
            return self._dockyard.organizations(credentials)
        except NotFound:
            return []
        except DockyardAbsent:
            raise Denied("cannot list organizations with the login key alone: enter the SK as Access Secret") from None

    def named(self, credentials: Credentials, names: Collection[str]) -> list[Organization]:
        """The existing and visible ones of `names`, in one request if these credentials can list organizations."""
        try:
            found = {organization.name: organization for organization in self.all(credentials)}
        except AccountBlocked:
            raise
        except Denied:
            # Some accounts may not list organizations, but may look up one by its name.
            each = (self._without_list(credentials, name) for name in names)
            return [organization for organization in each if organization is not None]
        return [found[name] for name in names if name in found]

    def _without_list(self, credentials: Credentials, name: str) -> Organization | None:
        if self._management.serves(credentials):
            with contextlib.suppress(Denied):
                return self._management.organization(credentials, name)
        return Organization(name) if self._token_endpoint_finds(credentials, name) else None

    def exists(self, credentials: Credentials, name: str) -> bool:
        """Whether the organization is visible; True if the look-up fails. Use it only to choose an error message."""
        try:
            return bool(self.named(credentials, [name]))
        except AdapterError:
            return True

    def is_missing(self, credentials: Credentials, name: str, error: AdapterError) -> bool:
        """Whether SWR itself reports the organization as missing; False if the look-up fails.

        The management API has a code for this (`docs/facts/swr.md §4.12`). With only the login key, `error` of the
        token endpoint decides: its message for another account's organization is different (§5).
        """
        if not self._management.serves(credentials):
            return isinstance(error, OrganizationUnknown)
        try:
            self._tokens.confirm(credentials)
            return self._management.organization(credentials, name, certain=True) is None
        except AdapterError:
            return False

    def create(self, credentials: Credentials, name: str) -> None:
        """Creates an organization. Several threads that create one at the same time send one POST together.

        Raises `OrganizationExists` if it exists and may be used, `OrganizationTaken` if another account owns it,
        `OrganizationQuota`, `OrganizationReserved`, `NameInvalid`, `CreationRefused`.
        """
        check_organization(name)
        self._tokens.confirm(credentials)
        _, first = self._flights.do(
            (credentials.regional_key, name),
            lambda: self._create_if_missing(credentials, name),
            timeout=_CREATION_TIMEOUT_SECONDS,
        )
        if not first:
            raise OrganizationExists(f"organization '{name}' was created a moment ago")

    def _create_if_missing(self, credentials: Credentials, name: str) -> None:
        """Looks up the organization first only if that can save a POST, or if creation is disabled."""
        key = (credentials.regional_key, name)
        if (not self._may_create or self._was_just_created(key)) and self._find(credentials, name) is not None:
            raise OrganizationExists(f"organization '{name}' already exists")
        if not self._may_create:
            raise CreationRefused(
                f"organization '{name}' does not exist in SWR, and this adapter may not create it "
                "(SWR_ADAPTER_CREATE_NAMESPACES=false): create it in the SWR console, then run the replication again"
            )
        try:
            self._create(credentials, name)
        finally:
            self._tokens.begin_anew(credentials, name)
        with self._lock:
            self._created[key] = time.monotonic() + _CREATED_TTL_SECONDS

    def _was_just_created(self, key: tuple[str, str]) -> bool:
        with self._lock:
            now = time.monotonic()
            self._created = {created: expiry for created, expiry in self._created.items() if expiry > now}
            return key in self._created

    def _create(self, credentials: Credentials, name: str) -> None:
        try:
            if self._management.serves(credentials):
                self._management.create_organization(credentials, name)
            else:
                self._dockyard.create_organization(credentials, name)
        except DockyardAbsent:
            raise CreationRefused(
                f"organization '{name}' does not exist, and cannot be created with the login key alone: enter the SK "
                "as Access Secret, or create it in the SWR console"
            ) from None
        except OrganizationExists as conflict:
            self._raise_for_conflict(credentials, name, conflict)

    def _raise_for_conflict(self, credentials: Credentials, name: str, conflict: OrganizationExists) -> None:
        """After a 409: names are unique in a region, so another account may own the organization."""
        try:
            found = self._find(credentials, name)
        except (Denied, NotFound):
            found = None
        if found is None:
            raise OrganizationTaken(
                f"organization name '{name}' belongs to another account (names are unique in a region): choose another "
                "destination namespace in the replication rule",
                **conflict.of_swr(),
            ) from conflict
        self.check_writable(found)
        raise conflict

    def _find(self, credentials: Credentials, name: str) -> Organization | None:
        if self._management.serves(credentials):
            return self._management.organization(credentials, name)
        return next(iter(self.named(credentials, [name])), None)

    @staticmethod
    def check_writable(organization: Organization) -> None:
        """Raises `Denied` for a read-only organization."""
        if not organization.writable:
            raise Denied(
                f"read-only access to SWR organization '{organization.name}': ask its owner for edit permission, or "
                "choose another destination namespace in the replication rule"
            )

    def _token_endpoint_finds(self, credentials: Credentials, name: str) -> bool:
        """The token endpoint returns an error for a scope with a missing organization."""
        try:
            self._tokens.bearer(Repository(credentials, RepositoryName(name, "adapter-probe")), PULL)
        except NotFound:
            return False
        except Denied as error:
            return "not exist" not in (error.swr_message or "").lower()
        return True
