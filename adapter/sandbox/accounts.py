"""Access keys, the login keys derived from them, and the permissions of an account in an organization."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from adapter.sandbox.options import Account
from adapter.sandbox.store import Organization


def login_key(access_key: str, secret_key: str) -> str:
    """64 hex digits: HMAC-SHA256 with the SK as key and the AK as message (docs/facts/swr.md §2.1)."""
    return hmac.new(secret_key.encode(), access_key.encode(), hashlib.sha256).hexdigest()


def basic_pair(header: str) -> tuple[str, str] | None:
    """User and password of an `Authorization: Basic` header; None for any other header."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def permission(account: Account, organization: Organization) -> int:
    """7 manage, 3 write, 1 read, 0 none: granted to the access key by the organization, else the role in the tenant."""
    if account.access_key in organization.auth:
        return organization.auth[account.access_key]
    return account.auth if account.tenant == organization.tenant else 0


class Accounts:
    """The accounts that the sandbox accepts."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = {account.access_key: account for account in accounts}

    def get(self, access_key: str) -> Account | None:
        return self._accounts.get(access_key)

    def claimed(self, header: str) -> Account | None:
        """The account in an `Authorization: Basic` header, whether or not the password is correct."""
        pair = basic_pair(header)
        return self.get(pair[0].rpartition("@")[2]) if pair else None

    def log_in(self, header: str, *, plain_secret: bool) -> Account | None:
        """The account of `<project>@<AK>` with its login key (docs/facts/swr.md §2.1); None for wrong credentials."""
        pair, account = basic_pair(header), self.claimed(header)
        if pair is None or account is None or pair[0].rpartition("@")[0] not in account.projects:
            return None
        accepted = [login_key(account.access_key, account.secret_key)]
        if plain_secret:
            accepted.append(account.secret_key)
        matches = any(hmac.compare_digest(pair[1].encode(), each.encode()) for each in accepted)
        return account if matches else None
