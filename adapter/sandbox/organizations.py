"""Organizations: names, owners and quota (docs/facts/swr.md §4.2, §4.13), for both APIs."""

from __future__ import annotations

import json
import re

from adapter.sandbox.accounts import permission
from adapter.sandbox.context import Context
from adapter.sandbox.options import Account
from adapter.sandbox.store import Organization

NAME = re.compile(r"[a-z][a-z0-9]*(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*")


class RejectedError(Exception):
    """SWR rejects the request. `code` is the SWR error code, which contains the HTTP status."""

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
        """The organization.

        :raises RejectedError: 404 when it does not exist; 403 when it belongs to another tenant or the account has no
            sufficient permission.
        """
        organization = self._store.organization(name)
        if organization is None:
            raise RejectedError("SVCSTG.SWR.4040058")
        granted = permission(account, organization)
        if not granted:
            raise RejectedError("SVCSTG.SWR.4039001")
        if granted < needed:
            raise RejectedError("SVCSTG.SWR.4039002")
        return organization

    def create(self, body: bytes, account: Account) -> Organization:
        """Creates the organization of `{"namespace": name}`. The error for a used name does not depend on the owner.

        :raises RejectedError: when the body, the name, the permission or the quota does not allow it.
        """
        try:
            name = json.loads(body)["namespace"]
        except (ValueError, KeyError, TypeError):
            raise RejectedError("SVCSTG.SWR.4001018") from None
        knobs = self._context.knobs
        valid = isinstance(name, str) and len(name) <= 64 and NAME.fullmatch(name)
        if not valid or ("." in name and not knobs.on("dots")):
            raise RejectedError("SVCSTG.SWR.4001028")
        if account.auth < 7:
            raise RejectedError("SVCSTG.SWR.4039002")
        with self._store.locked():
            if name in knobs.text("reserved").split(",") or self._store.organization(name):
                raise RejectedError("SVCSTG.SWR.4090060")
            quota = knobs.number("organizations")
            if quota and self.used(account) >= quota:
                raise RejectedError("SVCSTG.SWR.4000097")
            return self._store.create_organization(name, account.tenant, account.access_key)

    def used(self, account: Account) -> int:
        """Number of organizations that the tenant has."""
        return sum(each.tenant == account.tenant for each in self._store.organizations())

    def delete(self, name: str, account: Account) -> None:
        """Deletes the organization.

        :raises RejectedError: 406 while the organization has images; else as `get`.
        """
        self.get(name, account, needed=7)
        if any(repository.partition("/")[0] == name for repository in self._store.repositories()):
            raise RejectedError("SVCSTG.SWR.4060074")
        self._store.delete_organization(name)
