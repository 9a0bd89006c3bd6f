"""Names of the SWR provider in Harbor's API. Pure."""

from __future__ import annotations

from typing import Any, Final

NAME: Final = "Open Telekom Cloud SWR"
"""Type and label: the portal shows an unknown type as it is (`docs/facts/harbor.md B.2`)."""
ALIAS: Final = "opentelekomcloud-swr"
"""The type that the vendor's fork of Harbor stores (`docs/facts/harbor.md B.2`). Accepted in requests, never shown."""
NAMES: Final = frozenset({NAME, ALIAS})
CARRIERS: Final = frozenset({"harbor", "docker-registry"})
"""Stock types that Harbor can store for an endpoint with the adapter's URL."""
MASK: Final = "*****"
"""Harbor shows this in place of a stored secret (`docs/facts/harbor.md A.5`)."""


def is_one_of(value: Any, names: frozenset[str]) -> bool:
    """Whether a JSON value of any type is one of the names."""
    return isinstance(value, str) and value in names
