"""The provider's names in Harbor's API. Pure."""

from __future__ import annotations

from typing import Any, Final

NAME: Final = "Open Telekom Cloud SWR"
"""Type and label at once: the portal shows a type that it does not know under that very string
(`docs/facts/harbor.md B.2`)."""
ALIAS: Final = "opentelekomcloud-swr"
"""What the vendor's fork of Harbor stores (`docs/facts/harbor.md B.2`); understood, never shown."""
NAMES: Final = frozenset({NAME, ALIAS})
CARRIERS: Final = frozenset({"harbor", "docker-registry"})
"""Stock types that an endpoint at the adapter can have."""
MASK: Final = "*****"
"""What Harbor shows in place of a stored secret (`docs/facts/harbor.md A.5`)."""


def is_one_of(value: Any, names: frozenset[str]) -> bool:
    """Any JSON value may stand where a type is expected."""
    return isinstance(value, str) and value in names
