"""What the table holds of one setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Group(StrEnum):
    """A heading of docs/settings.md."""

    ADDRESSES = "Addresses and TLS"
    SWR = "Connection to SWR"
    IMAGES = "Images and organizations"
    PROVIDER = "Provider proxy"
    LIMITS = "Limits and replicas"
    PROCESS = "Process and log"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One setting, for help, documentation and loading.

    `help` is one sentence, `note` has further details. `common`: most people need the setting. `later`: the setting is
    accepted, so that a deployment can be written once, but has no effect in this version. A `secret` value is never
    shown; a `confidential` one is not quoted in an error.
    """

    field: str
    variable: str
    default: Any
    parse: Callable[[str], Any]
    help: str
    note: str
    form: str
    group: Group
    common: bool
    secret: bool
    confidential: bool
    later: bool

    def shown(self, value: Any) -> str:
        """A value as a person may see it."""
        if value is None or (isinstance(value, Mapping) and not value):
            return "(not set)"
        if self.secret and value != self.default:
            return "(set, hidden)"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            return f"{value:g}"
        return ", ".join(sorted(value)) if isinstance(value, Mapping) else str(value)


def setting(default: Any, parse: Callable[[str], Any], text: str, note: str = "", **row: Any) -> Any:
    """One row of the table; `row` holds the fields of `Row` that are not given here."""
    row = {"common": False, "secret": False, "confidential": False, "later": False, **row}
    row |= {"parse": parse, "help": text, "note": note}
    return dataclasses.field(default_factory=lambda: default, metadata=row, repr=not row["secret"])
