"""From environment variables and files to `Settings`."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from adapter import server_certificate
from adapter.settings.row import Row
from adapter.settings.table import PREFIX, Settings, table
from adapter.settings.values import LOOPBACK

_SERVICE_LINK: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)$")
"""What Kubernetes puts into every container for a Service whose name begins with `swr-adapter`."""


class SettingsError(Exception):
    """A setting is unknown or its value is invalid; the text is one line that contains the variable."""


def load(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment. Raises `SettingsError`."""
    _check_names(environ)
    values: dict[str, Any] = {}
    for row in table():
        text = _text(row, environ)
        if text is None:
            continue
        try:
            values[row.field] = row.parse(text)
        except ValueError as error:
            # No parser quotes the value, so its message is safe for secrets too.
            value = "" if row.secret or row.confidential else f" '{text}'"
            raise SettingsError(f"invalid {row.variable}{value}: {_reason(error)}") from None
    settings = Settings(**values)
    _check_ports(settings)
    _check_tls(settings)
    _check_regions(settings)
    return settings


def _text(row: Row, environ: Mapping[str, str]) -> str | None:
    """The text of one setting; an empty variable counts as not set, as compose files leave it."""
    value, file = environ.get(row.variable), environ.get(row.variable + "_FILE")
    if value and file:
        raise SettingsError(f"{row.variable} and {row.variable}_FILE are both set: keep one")
    if not file:
        return value or None
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not valid UTF-8 text"
        raise SettingsError(f"cannot read {file} ({row.variable}_FILE): {reason}") from None


def _reason(error: ValueError) -> str:
    return f"invalid JSON at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)


def _check_names(environ: Mapping[str, str]) -> None:
    known = [name for row in table() for name in (row.variable, row.variable + "_FILE")]
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in known and not _SERVICE_LINK.search(variable):
            # The prefix would make all names similar.
            names = [name.removeprefix(PREFIX) for name in known]
            similar = difflib.get_close_matches(variable.removeprefix(PREFIX), names, 1)
            remedy = f"did you mean {PREFIX}{similar[0]}?" if similar else "run `python -m adapter settings` for a list"
            raise SettingsError(f"unknown setting {variable}: {remedy}")


def _check_ports(settings: Settings) -> None:
    ports = [settings.contract_bind.port, settings.provider_bind.port, settings.operations_bind.port]
    if len(set(ports)) < len(ports):
        raise SettingsError(
            f"{PREFIX}CONTRACT_BIND, {PREFIX}PROVIDER_BIND and {PREFIX}OPERATIONS_BIND share a port: "
            "set three different ports"
        )


def _check_tls(settings: Settings) -> None:
    chain, key = settings.tls_certificate, settings.tls_key
    if chain is None and key is None:
        return
    if chain is None or key is None:
        present, missing = ("KEY", "CERTIFICATE") if chain is None else ("CERTIFICATE", "KEY")
        raise SettingsError(f"only {PREFIX}TLS_{present} is set: set {PREFIX}TLS_{missing} too, or neither")
    try:
        server_certificate.load(chain, key)
    except ValueError as error:
        raise SettingsError(f"invalid {PREFIX}TLS_CERTIFICATE or {PREFIX}TLS_KEY: {error}") from None
    if settings.public_url is not None and urlsplit(settings.public_url).scheme == "http":
        raise SettingsError(
            f"{PREFIX}PUBLIC_URL starts with http://, but the contract port serves TLS: start it with https://, or "
            f"remove {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY"
        )


def _check_regions(settings: Settings) -> None:
    for region, hosts in settings.regions.items():
        for origin in filter(None, (hosts.registry, hosts.api)):
            parts = urlsplit(origin)
            if parts.scheme == "http" and parts.hostname not in LOOPBACK and not settings.allow_http:
                raise SettingsError(
                    f"{PREFIX}REGIONS has plain http://{parts.hostname} in region {region}: use https://, or set "
                    f"{PREFIX}ALLOW_HTTP to true"
                )
