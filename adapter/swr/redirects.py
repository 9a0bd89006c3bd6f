"""Where SWR sends for a blob, and how far that is followed (`docs/facts/swr.md §6`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import requests

from adapter.errors import Unexpected
from adapter.identity import Identity
from adapter.swr.addresses import names_local
from adapter.swr.failures import LOCAL_REDIRECT
from adapter.swr.locations import resolve
from adapter.swr.patience import FETCH
from adapter.swr.transport import Transport, settle
from adapter.values import RegionHosts

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST: Final = 3


class Redirects:
    """Follows them without credentials; shared by all threads."""

    def __init__(self, transport: Transport, regions: Mapping[str, RegionHosts]) -> None:
        self._transport = transport
        self._regions = regions

    def followed(
        self, identity: Identity, url: str, response: requests.Response, byte_range: str | None
    ) -> requests.Response:
        """The answer at the end of the redirects that begin with the response of `url`, which may be none."""
        headers = {"Range": byte_range} if byte_range else {}
        for _ in range(_MOST):
            if response.status_code not in REDIRECTS:
                break
            url = self.target(identity, url, response)
            response = self._transport.send(
                "GET",
                url,
                headers=headers,
                account=None,
                patience=FETCH,
                local_allowed=self._may_be_local(identity, urlsplit(url).hostname),
            )
        return response

    def target(self, identity: Identity, url: str, response: requests.Response) -> str:
        """Where a redirect leads. SWR uses many buckets, so any host will do unless the region pins them; never from
        https down to http. Raises `Unexpected`."""
        settle(response)
        parts = resolve(url, response.headers.get("Location"))
        if parts.scheme != "https" and urlsplit(url).scheme == "https":
            raise Unexpected("SWR redirects a blob to an address that is not https")
        pinned = self._regions[identity.region].objects
        if pinned and parts.hostname not in pinned:
            raise Unexpected(
                f"SWR redirects a blob to {parts.hostname}, which the region's `objects` in SWR_ADAPTER_REGIONS "
                "does not list"
            )
        host = parts.hostname or ""
        if names_local(host) and not self._may_be_local(identity, host):
            raise Unexpected(LOCAL_REDIRECT.format(host=host))
        return parts.geturl()

    def _may_be_local(self, identity: Identity, host: str | None) -> bool:
        hosts = self._regions[identity.region]
        registry = urlsplit(hosts.registry).hostname or ""
        return host == registry or host in hosts.objects or names_local(registry)
