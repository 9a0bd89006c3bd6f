"""Tenants: access keys whose requests SWR counts together (`docs/facts/swr.md §4.13`). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Tenants:
    """Finds the tenant of an access key; `named` is the setting: name of a tenant → its access keys."""

    def __init__(self, named: Mapping[str, Iterable[str]]) -> None:
        self._by_access_key = {key: name for name, keys in named.items() for key in keys}

    def key_of(self, account: str) -> str:
        """What the limits of SWR are kept by for an account, `<region>/<AK>`: `<region>/tenant:<name>`, or the account
        itself when no tenant lists the access key. SWR counts in each region by itself."""
        region, _, access_key = account.partition("/")
        name = self._by_access_key.get(access_key)
        # No access key has a colon.
        return account if name is None else f"{region}/tenant:{name}"
