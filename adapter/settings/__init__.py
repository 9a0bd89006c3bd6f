"""The settings: one table, and how an environment becomes its values.

A setting `NAME` comes from the environment variable `SWR_ADAPTER_NAME`, or from the file whose path is in
`SWR_ADAPTER_NAME_FILE`. An unknown variable with the prefix, or an invalid value, raises `SettingsError` with one line
that contains the variable.
"""

from adapter.settings.loading import SettingsError, load
from adapter.settings.row import Group, Row
from adapter.settings.table import PREFIX, SPARE_THREADS, Settings, table
from adapter.settings.values import ACCESS_KEY, LOOPBACK, Bind, RegionHosts

__all__ = [
    "ACCESS_KEY",
    "LOOPBACK",
    "PREFIX",
    "SPARE_THREADS",
    "Bind",
    "Group",
    "RegionHosts",
    "Row",
    "Settings",
    "SettingsError",
    "load",
    "table",
]
