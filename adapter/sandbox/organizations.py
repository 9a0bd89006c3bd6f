"""Rules of organizations: names, owners, the quota (docs/facts/swr.md §4.2, §4.13). Both APIs use them."""

from __future__ import annotations

import json
import re

from adapter.sandbox.accounts import permission
from adapter.sandbox.context import Context
from adapter.sandbox.options import Account
from adapter.sandbox.store import Organization

NAME = re.compile(r"[a-z][a-z0-9]*(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*")


class RefusedError(Exception):
    """`code` is SWR's error code; the HTTP status is in it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Organizations:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def visible(self, account: Account) -> list[Organization]:
        return [each for each in self._store.organizations() if permission(account, each)]

    def get(self, name: str, account: Account, needed: int = 1) -> Organization:
        """Raises RefusedError: 404 if there is none, 403 if it is another tenant's or the permission is too low."""
        organization = self._store.organization(name)
        if organization is None:
            raise RefusedError("SVCSTG.SWR.4040058")
        may = permission(account, organization)
        if not may:
            raise RefusedError("SVCSTG.SWR.4039001")
        if may < needed:
            raise RefusedError("SVCSTG.SWR.4039002")
        return organization

    def create(self, body: bytes, account: Account) -> Organization:
        """From `{"namespace": name}`. A name that is taken is refused alike, whoever has it. Raises RefusedError."""
        try:
            name = json.loads(body)["namespace"]
        except (ValueError, KeyError, TypeError):
            raise RefusedError("SVCSTG.SWR.4001018") from None
        knobs = self._context.knobs
        fits = isinstance(name, str) and len(name) <= 64 and NAME.fullmatch(name)
        if not fits or ("." in name and not knobs.on("dots")):
            raise RefusedError("SVCSTG.SWR.4001028")
        if account.auth < 7:
            raise RefusedError("SVCSTG.SWR.4039002")
        with self._store.locked():
            if name in knobs.text("reserved").split(",") or self._store.organization(name):
                raise RefusedError("SVCSTG.SWR.4090060")
            quota = knobs.number("organizations")
            if quota and self.used(account) >= quota:
                raise RefusedError("SVCSTG.SWR.4000097")
            return self._store.create_organization(name, account.tenant, account.access_key)

    def used(self, account: Account) -> int:
        """How many of its quota the tenant has used."""
        return sum(each.tenant == account.tenant for each in self._store.organizations())

    def delete(self, name: str, account: Account) -> None:
        """Raises RefusedError; 406 while it has images."""
        self.get(name, account, needed=7)
        if any(repository.partition("/")[0] == name for repository in self._store.repositories()):
            raise RefusedError("SVCSTG.SWR.4060074")
        self._store.delete_organization(name)
