"""Endpoint URLs as entered and as stored by Harbor, and whether they belong to SWR or to the adapter. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from adapter.credentials import region_of
from adapter.errors import InvalidRequest
from adapter.settings import RegionHosts

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
MAX_URL_CHARACTERS: Final = 1024
"""Harbor stores 256. A longer URL cannot be a stored endpoint, and `urllib` would keep it in its cache."""


def stored_form(url: str) -> str | None:
    """`scheme://host[:port]/path` as Harbor stores a URL, or None if Harbor rejects it (`docs/facts/harbor.md A.4`).

    Harbor strips blanks and trailing slashes, puts `http://` before a URL without a scheme, and drops user, query and
    fragment.
    """
    text = url.strip().rstrip("/")
    parts = _split(text if "://" in text else f"http://{text}")
    return None if parts is None else f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def normalized(url: str) -> str | None:
    """The stored form for comparisons: host in lower case, without the default port of the scheme.

    None if Harbor rejects the URL, or if it is longer than `MAX_URL_CHARACTERS`.
    """
    form = stored_form(url) if len(url) <= MAX_URL_CHARACTERS else None
    if form is None:
        return None
    parts = urlsplit(form)
    host, port = _host(parts), parts.port
    authority = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        authority += f":{port}"
    return f"{parts.scheme}://{authority}{parts.path.rstrip('/')}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if usable else None


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").lower().rstrip(".")


@dataclass(frozen=True)
class Endpoints:
    """The URL of the adapter in stored form, and the regions of SWR."""

    adapter: str
    regions: Mapping[str, RegionHosts]

    @functools.cached_property
    def _adapter(self) -> str | None:
        return normalized(self.adapter)

    def is_adapter(self, url: object) -> bool:
        """Whether an endpoint with this URL is one of the adapter."""
        return isinstance(url, str) and normalized(url) == self._adapter

    def is_mentioned_in(self, body: bytes) -> bool:
        """Whether bytes that are not JSON contain a registry host of SWR."""
        text = body.lower()
        return any((urlsplit(hosts.registry).hostname or "").encode() in text for hosts in self.regions.values())

    def registry(self, region: str) -> str:
        """The Endpoint URL of a region, as it is entered and shown."""
        return self.regions[region].registry

    def region_of_access_id(self, access_id: object) -> str | None:
        """The region of the project in an Access ID, or None if the region is not configured."""
        if not isinstance(access_id, str) or "@" not in access_id:
            return None
        region = region_of(access_id.strip().rpartition("@")[0])
        return region if region in self.regions else None

    def region_of_url(self, url: str) -> str | None:
        """The region of an entered URL, or None for the URL of the adapter, which serves all regions.

        Scheme, case, default ports and trailing slashes do not matter. Raises `InvalidRequest` with the URL to enter
        if the URL is not that of a configured registry host, or if it has a path.
        """
        if not url.strip():
            raise InvalidRequest(f"the Endpoint URL is empty: enter {self._choices()}")
        form = normalized(url)
        if form is not None and self.is_adapter(form):
            return None
        parts = urlsplit(form) if form is not None else None
        region = self._region_at(parts, api=False) if parts else None
        if parts is None or region is None:
            raise InvalidRequest(self._unknown(parts))
        if parts.path:
            raise InvalidRequest(
                f"the Endpoint URL must not have a path: enter {self.registry(region)}, and set the organization as "
                "destination namespace of the replication rule"
            )
        return region

    def _unknown(self, parts: SplitResult | None) -> str:
        if parts is None:
            return f"the Endpoint URL is not a valid URL: enter {self._choices()}"
        if api := self._region_at(parts, api=True):
            host = _host(parts)
            return f"{host} is the SWR management API, not the registry: enter {self.registry(api)} as Endpoint URL"
        return (
            f"unknown SWR host {_host(parts)[:200]}: enter {self._choices()} as Endpoint URL, or add the region to "
            "SWR_ADAPTER_REGIONS"
        )

    def _choices(self) -> str:
        return " or ".join(f"{hosts.registry} ({region})" for region, hosts in self.regions.items())

    def _region_at(self, entered: SplitResult, *, api: bool) -> str | None:
        for region, hosts in self.regions.items():
            origin = hosts.api if api else hosts.registry
            if origin and _same_origin(entered, urlsplit(origin)):
                return region
        return None


def _same_origin(entered: SplitResult, known: SplitResult) -> bool:
    """Whether host and port are the same. Ports 80 and 443 count as one, because people enter `http://swr...`."""
    defaults = set(_DEFAULT_PORTS.values())
    wanted, given = (each.port or _DEFAULT_PORTS[each.scheme] for each in (known, entered))
    return _host(entered) == _host(known) and (given == wanted or (given in defaults and wanted in defaults))
