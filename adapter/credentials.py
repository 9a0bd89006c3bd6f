"""Access ID and Access Secret, as a person enters them in Harbor, parsed into credentials.

The Access ID is `<regional project name>@<AK>`; the name of a project is the name of its region, or starts with it and
`_` (`docs/facts/swr.md §1`). The secret is the plain SK, or the long-term login key that the documentation of OTC
derives from it: 64 hex digits (`docs/facts/swr.md §2.1`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from adapter.errors import AccessIdMalformed, NothingEntered, RegionUnknown
from adapter.settings import ACCESS_KEY

_PROJECT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SAFE_TO_LOG: Final = re.compile(r"[a-z][a-z0-9-]{0,30}(_[A-Za-z0-9_-]{0,40})?", re.ASCII)
_LOGIN_KEY: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)

FORM: Final = "enter <regional project name>@<AK> as Access ID (for example eu-de@AK... or eu-de_team@AK...)"
"""The form of an Access ID, for error messages."""


@dataclass(frozen=True)
class Credentials:
    """The credentials of one request. `secret_key` is None when only the login key was entered."""

    project: str
    region: str
    access_key: str
    login_key: str = field(repr=False)
    secret_key: str | None = field(repr=False)

    @property
    def access_id(self) -> str:
        """`<project>@<AK>`: the user name for the registry; not secret."""
        return f"{self.project}@{self.access_key}"

    @property
    def shown(self) -> str:
        """The Access ID for a log line, with 4 characters of the AK: some people enter a secret in its place."""
        return f"{self.project}@{self.access_key[:4]}" + ("..." if len(self.access_key) > 4 else "")

    @property
    def regional_key(self) -> str:
        """`<region>/<AK>`: the key of rate limits and caches."""
        return f"{self.region}/{self.access_key}"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all parts, as the key of a cache: a wrong secret never gets the entry of the right one."""
        parts = (self.project, self.access_key, self.login_key, "sk" if self.secret_key else "login-key")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def hidden(regional_key: str) -> str:
    """Hash of a regional key, for a store that others can read: some people enter a secret as the AK."""
    return hashlib.sha256(regional_key.encode()).hexdigest()


def login_key(access_key: str, secret_key: str) -> str:
    """The long-term login key: HMAC-SHA256(key=SK, message=AK) in lowercase hex (`docs/facts/swr.md §2.1`)."""
    return hmac.new(secret_key.encode(), access_key.encode(), hashlib.sha256).hexdigest()


def region_of(project: str) -> str:
    """The region in the name of a project: the part before the first `_` (`docs/facts/swr.md §1`)."""
    return project.partition("_")[0]


def parse_credentials(access_id: str, secret: str, regions: Collection[str]) -> Credentials:
    """Raises `NothingEntered`, `AccessIdMalformed` or `RegionUnknown`; each says what to enter."""
    access_id, secret = access_id.strip(), secret.strip()
    if not access_id and not secret:
        raise NothingEntered(f"no credentials: {FORM} and the SK, or the login key made from it, as Access Secret")
    project, at, access_key = access_id.rpartition("@")
    if not at or not _PROJECT.fullmatch(project) or not ACCESS_KEY.fullmatch(access_key):
        raise AccessIdMalformed(f"the Access ID is malformed: {FORM}")
    if not secret:
        raise AccessIdMalformed("the Access Secret is empty: enter the SK, or the login key made from it")
    region = region_of(project)
    if region not in regions:
        known = ", ".join(sorted(regions))
        if not _SAFE_TO_LOG.fullmatch(project):
            # It may be a secret in the wrong field, and the message is logged.
            raise RegionUnknown(f"no region in the Access ID: start it with a project in {known}")
        raise RegionUnknown(
            f"unknown region '{region}' in the Access ID (project '{project}'): use a project in {known}, or add the "
            "region to SWR_ADAPTER_REGIONS"
        )
    if _LOGIN_KEY.fullmatch(secret):
        return Credentials(project, region, access_key, secret.lower(), None)
    return Credentials(project, region, access_key, login_key(access_key, secret), secret)
