"""Follows SWR's redirects to the object store (`docs/facts/swr.md §6`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import requests

from adapter.credentials import Credentials
from adapter.errors import AdapterError, BlobUnknown, Unavailable, Unexpected
from adapter.http.addresses import is_local_host
from adapter.settings import RegionHosts
from adapter.swr.network_errors import LOCAL_REDIRECT
from adapter.swr.response_body import error_body, settle
from adapter.swr.retry import BLOB_DOWNLOAD
from adapter.swr.transport import Transport
from adapter.swr.urls import resolve

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS: Final = 3
_CONTENT_STATUSES: Final = frozenset({200, 206, 416})
_CODE: Final = re.compile(rb"<Code>\s*([A-Za-z0-9._-]{1,64})\s*</Code>")

_MISSING_OBJECT: Final = b"NoSuchKey"
"""The code of S3 and OBS for a missing object; any other 404 may come from a proxy."""


class UrlRejected(Unexpected):
    """The object store rejected the URL that SWR returned, which may have expired."""

    id = "object-denied"


class Redirects:
    """Follows redirects without credentials; shared by all threads."""

    def __init__(self, transport: Transport, regions: Mapping[str, RegionHosts]) -> None:
        self._transport = transport
        self._regions = regions

    def followed(
        self, credentials: Credentials, url: str, response: requests.Response, byte_range: str | None
    ) -> requests.Response:
        """The response after all redirects, if any, that start with the response of `url`.

        From another host its status is 200, 206 or 416: an error of the object store tells nothing about the registry.
        Raises `UrlRejected` for a 403, `BlobUnknown` if the object store reports a missing object, `Unavailable`,
        `Unexpected`.
        """
        headers = {"Range": byte_range} if byte_range else {}
        first_url = url
        for _ in range(_MAX_REDIRECTS):
            if response.status_code not in REDIRECTS:
                break
            url = self.target(credentials, url, response)
            response = self._transport.send(
                "GET",
                url,
                headers=headers,
                access_key=None,
                credential=credentials.fingerprint,
                policy=BLOB_DOWNLOAD,
                local_allowed=self._may_be_local(credentials, urlsplit(url).hostname),
            )
        if urlsplit(url).netloc != urlsplit(first_url).netloc and response.status_code not in _CONTENT_STATUSES:
            raise _store_error(urlsplit(url).hostname or "", response)
        return response

    def target(self, credentials: Credentials, url: str, response: requests.Response) -> str:
        """The URL of a redirect. SWR uses many buckets, so any host is allowed unless the region lists its hosts. https
        must not lead to http. Raises `Unexpected`."""
        settle(response)
        parts = resolve(url, response.headers.get("Location"))
        if parts.scheme != "https" and urlsplit(url).scheme == "https":
            raise Unexpected(
                "SWR redirected a blob download to a URL that is not https: check `objects` in SWR_ADAPTER_REGIONS"
            )
        allowed = self._regions[credentials.region].objects
        if allowed and parts.hostname not in allowed:
            raise Unexpected(
                f"SWR redirected a blob download to {parts.hostname}, which is not allowed: add it to `objects` of the "
                "region in SWR_ADAPTER_REGIONS"
            )
        host = parts.hostname or ""
        if is_local_host(host) and not self._may_be_local(credentials, host):
            raise Unexpected(LOCAL_REDIRECT.format(host=host))
        return parts.geturl()

    def _may_be_local(self, credentials: Credentials, host: str | None) -> bool:
        hosts = self._regions[credentials.region]
        registry = urlsplit(hosts.registry).hostname or ""
        return host == registry or host in hosts.objects or is_local_host(registry)


def _store_error(host: str, response: requests.Response) -> AdapterError:
    """The error for a response of the object store, with the code in its XML, as S3 and OBS send it."""
    found = _CODE.search(error_body(response))
    if response.status_code == requests.codes.not_found and found and found[1] == _MISSING_OBJECT:
        return BlobUnknown(f"blob not found in the object store {host}: push the image again")
    said = f"{response.status_code} {found[1].decode()}" if found else str(response.status_code)
    if response.status_code == requests.codes.forbidden:
        return UrlRejected(
            f"the object store {host} rejected the URL that SWR returned ({said}): check the clock of the adapter's "
            "host, and any proxy that changes URLs"
        )
    if response.status_code >= requests.codes.internal_server_error:
        return Unavailable(f"the object store {host} is not available ({said}): try again later")
    return Unexpected(f"unexpected response from the object store {host} ({said}): report this")
