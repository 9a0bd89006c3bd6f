"""Tenants: access keys whose requests SWR counts together (`docs/facts/swr.md §4.13`). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Tenants:
    """Finds the tenant of an access key; `named` maps a tenant's name to its access keys (`SWR_ADAPTER_TENANTS`)."""

    def __init__(self, named: Mapping[str, Iterable[str]]) -> None:
        self._by_access_key = {key: name for name, keys in named.items() for key in keys}

    def key_of(self, access_key: str) -> str:
        """The key for SWR's limits of an access key, `<region>/<AK>`: `<region>/tenant:<name>`, or the access key if no
        tenant lists it. SWR counts in each region separately."""
        region, _, bare_key = access_key.partition("/")
        name = self._by_access_key.get(bare_key)
        # No access key has a colon.
        return access_key if name is None else f"{region}/tenant:{name}"
