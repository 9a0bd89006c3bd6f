"""The regions of Open Telekom Cloud and their hosts (`docs/facts/swr.md §1`).

Hosts come from this table and the setting REGIONS only, never from a request; a pattern would be wrong for eu-ch2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapter.values import RegionHosts

BUILT_IN: Final[Mapping[str, RegionHosts]] = {
    "eu-de": RegionHosts("https://swr.eu-de.otc.t-systems.com", "https://swr-api.eu-de.otc.t-systems.com"),
    "eu-nl": RegionHosts("https://swr.eu-nl.otc.t-systems.com", "https://swr-api.eu-nl.otc.t-systems.com"),
    # No source names the management host of the Swiss cloud: unknown, so the registry host's own API is used.
    "eu-ch2": RegionHosts("https://swr.eu-ch2.sc.otc.t-systems.com", None),
}


def region_table(overrides: Mapping[str, RegionHosts]) -> Mapping[str, RegionHosts]:
    """The built-in regions with those of the setting REGIONS in place of, or beside, them."""
    return {**BUILT_IN, **overrides}
