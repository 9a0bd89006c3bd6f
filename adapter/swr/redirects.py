"""Where SWR sends for a blob, and how far that is followed (`docs/facts/swr.md §6`)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import requests

from adapter.credentials import Credentials
from adapter.errors import AdapterError, BlobUnknown, Unavailable, Unexpected
from adapter.http.addresses import names_local
from adapter.settings import RegionHosts
from adapter.swr.failures import LOCAL_REDIRECT
from adapter.swr.retry import BLOB_DOWNLOAD
from adapter.swr.transport import LARGEST_ERROR, REMAINDER_TIMEOUT, Transport, read_document, settle
from adapter.swr.urls import resolve

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST: Final = 3
_OF_CONTENT: Final = frozenset({200, 206, 416})
_CODE: Final = re.compile(rb"<Code>\s*([A-Za-z0-9._-]{1,64})\s*</Code>")

_GONE: Final = b"NoSuchKey"
"""What S3 and OBS call an object that is not there; any other 404 may be of whoever stands in between."""


class AddressRefused(Unexpected):
    """The object store does not accept the address that SWR gave: it may have expired on the way."""

    id = "address-refused"


class Redirects:
    """Follows them without credentials; shared by all threads."""

    def __init__(self, transport: Transport, regions: Mapping[str, RegionHosts]) -> None:
        self._transport = transport
        self._regions = regions

    def followed(
        self, credentials: Credentials, url: str, response: requests.Response, byte_range: str | None
    ) -> requests.Response:
        """The answer at the end of the redirects that begin with the response of `url`, which may be none.

        From another host it is of 200, 206 or 416: what an object store refuses says nothing of the registry. Raises
        `AddressRefused` for its 403, `BlobUnknown` when it says itself that the blob has gone, `Unavailable`,
        `Unexpected`.
        """
        headers = {"Range": byte_range} if byte_range else {}
        begun = url
        for _ in range(_MOST):
            if response.status_code not in REDIRECTS:
                break
            url = self.target(credentials, url, response)
            response = self._transport.send(
                "GET",
                url,
                headers=headers,
                account=None,
                credential=credentials.fingerprint,
                policy=BLOB_DOWNLOAD,
                local_allowed=self._may_be_local(credentials, urlsplit(url).hostname),
            )
        if urlsplit(url).netloc != urlsplit(begun).netloc and response.status_code not in _OF_CONTENT:
            raise _store_error(urlsplit(url).hostname or "", response)
        return response

    def target(self, credentials: Credentials, url: str, response: requests.Response) -> str:
        """Where a redirect leads. SWR uses many buckets, so any host will do unless the region pins them; never from
        https down to http. Raises `Unexpected`."""
        settle(response)
        parts = resolve(url, response.headers.get("Location"))
        if parts.scheme != "https" and urlsplit(url).scheme == "https":
            raise Unexpected("SWR redirects a blob to an address that is not https")
        pinned = self._regions[credentials.region].objects
        if pinned and parts.hostname not in pinned:
            raise Unexpected(
                f"SWR redirects a blob to {parts.hostname}, which the region's `objects` in SWR_ADAPTER_REGIONS "
                "does not list"
            )
        host = parts.hostname or ""
        if names_local(host) and not self._may_be_local(credentials, host):
            raise Unexpected(LOCAL_REDIRECT.format(host=host))
        return parts.geturl()

    def _may_be_local(self, credentials: Credentials, host: str | None) -> bool:
        hosts = self._regions[credentials.region]
        registry = urlsplit(hosts.registry).hostname or ""
        return host == registry or host in hosts.objects or names_local(registry)


def _store_error(host: str, response: requests.Response) -> AdapterError:
    """With the store's own code, as S3 and OBS have it in their XML."""
    try:
        body = read_document(response, LARGEST_ERROR, time.monotonic() + REMAINDER_TIMEOUT)
    except AdapterError:
        body = b""
    found = _CODE.search(body)
    if response.status_code == requests.codes.not_found and found and found[1] == _GONE:
        return BlobUnknown(f"the object store {host} does not have the blob any more: push the image again")
    said = f"{response.status_code} {found[1].decode()}" if found else str(response.status_code)
    if response.status_code == requests.codes.forbidden:
        return AddressRefused(
            f"the object store {host} denies a blob at the address that SWR returned ({said}): check the clocks, and a "
            "proxy that changes addresses"
        )
    if response.status_code >= requests.codes.internal_server_error:
        return Unavailable(f"the object store {host} is not available ({said}): try again later")
    return Unexpected(f"the object store {host} does not return a blob that SWR redirects to ({said}): report this")
