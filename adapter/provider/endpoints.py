"""Endpoint URLs: what a person types, what Harbor makes of it, and which of them are SWR's or the adapter's. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from adapter.credentials import region_of
from adapter.errors import InvalidRequest
from adapter.settings import RegionHosts

_DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_URL: Final = 1024
"""Characters of a URL that is parsed; Harbor stores 256. A longer URL cannot be a stored endpoint, and would stay in
the caches of parsed URLs, here and in urllib, however long it is."""


def stored_form(url: str) -> str | None:
    """`scheme://host[:port]/path` as Harbor stores it, or None where Harbor refuses it (`docs/facts/harbor.md A.4`).

    Blanks around it and slashes at its end go, `http://` comes where no scheme is, and user, query and fragment are
    dropped.
    """
    text = url.strip().rstrip("/")
    parts = _split(text if "://" in text else f"http://{text}")
    return None if parts is None else f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def normalised(url: str) -> str | None:
    """Harbor's form in which URLs can be compared: host in lower case, the scheme's own port left out.

    None where Harbor rejects it, and beyond `LONGEST_URL`.
    """
    return _normalised(url) if len(url) <= LONGEST_URL else None


@functools.lru_cache(maxsize=1024)
def _normalised(url: str) -> str | None:
    form = stored_form(url)
    if form is None:
        return None
    parts = urlsplit(form)
    host, port = _host(parts), parts.port
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        shown += f":{port}"
    return f"{parts.scheme}://{shown}{parts.path.rstrip('/')}"


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
    """The adapter's own URL, as Harbor stores it, and the regions of SWR."""

    adapter: str
    regions: Mapping[str, RegionHosts]

    def is_adapter(self, url: object) -> bool:
        """Whether an endpoint with this URL is one of ours."""
        return isinstance(url, str) and normalised(url) == normalised(self.adapter)

    def is_named_in(self, body: bytes) -> bool:
        """Whether bytes that are no document name a registry host of SWR's all the same."""
        text = body.lower()
        return any((urlsplit(hosts.registry).hostname or "").encode() in text for hosts in self.regions.values())

    def registry(self, region: str) -> str:
        """What is shown, and typed, for a region."""
        return self.regions[region].registry

    def region_of_access_id(self, access_id: object) -> str | None:
        """The region whose project the Access ID names, if the table has it."""
        if not isinstance(access_id, str) or "@" not in access_id:
            return None
        region = region_of(access_id.strip().rpartition("@")[0])
        return region if region in self.regions else None

    def region_of_url(self, url: str) -> str | None:
        """The region of a typed URL; None for the adapter's own, which serves them all.

        Scheme, case, a port that is a scheme's own and slashes at the end do not matter. Raises `InvalidRequest` with
        what to type instead for everything that is not a registry host of the table, and for an organization behind it.
        """
        if not url.strip():
            raise InvalidRequest(f"the Endpoint URL is empty: enter {self._choice()}")
        found = normalised(url)
        if found is not None and self.is_adapter(found):
            return None
        parts = urlsplit(found) if found is not None else None
        region = self._at(parts, api=False) if parts else None
        if parts is None or region is None:
            raise InvalidRequest(self._unknown(parts))
        if parts.path:
            raise InvalidRequest(
                f"the Endpoint URL must end with the host's name: enter {self.registry(region)}, and name the "
                "organization in the replication rule as destination namespace"
            )
        return region

    def _unknown(self, parts: SplitResult | None) -> str:
        if parts is None:
            return f"the Endpoint URL is no URL: enter {self._choice()}"
        if api := self._at(parts, api=True):
            return f"{_host(parts)} is SWR's management API: enter {self.registry(api)} as Endpoint URL"
        return f"{_host(parts)[:200]} is no SWR host that is known here: enter {self._choice()} as Endpoint URL"

    def _choice(self) -> str:
        return " or ".join(f"{hosts.registry} ({region})" for region, hosts in self.regions.items())

    def _at(self, typed: SplitResult, *, api: bool) -> str | None:
        for region, hosts in self.regions.items():
            origin = hosts.api if api else hosts.registry
            if origin and _same_place(typed, urlsplit(origin)):
                return region
        return None


def _same_place(typed: SplitResult, known: SplitResult) -> bool:
    """The same host, and the same port; all schemes' own ports count as one, as people type `http://swr…`."""
    usual = set(_DEFAULT_PORTS.values())
    wanted, given = (each.port or _DEFAULT_PORTS[each.scheme] for each in (known, typed))
    return _host(typed) == _host(known) and (given == wanted or (given in usual and wanted in usual))
