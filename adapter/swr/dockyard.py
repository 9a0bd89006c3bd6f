"""The API `dockyard/v2` on the registry host: organizations and repositories with only the login key.

OTC does not document it; Harbor's own Huawei adapter and a fork of it use it (`docs/facts/swr.md §5`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

import requests

from adapter.credentials import Credentials
from adapter.errors import AdapterError, Unexpected
from adapter.settings import RegionHosts
from adapter.swr.error_codes import error_for
from adapter.swr.management import raise_unless_created
from adapter.swr.models import Organization, parse_organizations
from adapter.swr.pagination import RawPage
from adapter.swr.response_body import error_response_of, read_document, settle
from adapter.swr.retry import CREATE, READ, RetryPolicy
from adapter.swr.tokens import basic
from adapter.swr.transport import Transport

_ABSENT_STATUSES: Final = frozenset({301, 302, 303, 307, 308, 401, 404, 405, 501})


class DockyardAbsent(AdapterError):
    """SWR has no dockyard API in this region. No client receives this error."""

    id = "dockyard-absent"


class Dockyard:
    """Calls with Basic authentication. Every method raises `DockyardAbsent`, or what `error_for` returns."""

    def __init__(self, transport: Transport, regions: Mapping[str, RegionHosts]) -> None:
        self._transport = transport
        self._regions = regions

    def organizations(self, credentials: Credentials) -> list[Organization]:
        """The organizations that these credentials may see. Confirm the credentials first."""
        response = self._send("GET", credentials, "namespaces", READ)
        if response.status_code != 200:
            raise error_for(error_response_of(response))
        try:
            return parse_organizations(read_document(response))
        except Unexpected:
            raise DockyardAbsent("no list of organizations") from None

    def create_organization(self, credentials: Credentials, name: str) -> None:
        """Raises `OrganizationExists` for 409."""
        response = self._send("POST", credentials, "namespaces", CREATE, json.dumps({"namespace": name}))
        _raise_if_html(response)
        raise_unless_created(response, name)

    def repositories(self, credentials: Credentials, query: Mapping[str, str], policy: RetryPolicy) -> RawPage:
        """One page of the repositories, as `Management.repositories` returns it."""
        target = f"repositories?{urlencode(query, quote_via=quote)}"
        response = self._send("GET", credentials, target, policy)
        if response.status_code != 200:
            raise error_for(error_response_of(response))
        _raise_if_html(response)
        return RawPage(read_document(response, deadline=policy.deadline), response.headers.get("Content-Range"))

    def _send(
        self, method: str, credentials: Credentials, target: str, policy: RetryPolicy, body: str = ""
    ) -> requests.Response:
        response = self._transport.send(
            method,
            f"{self._regions[credentials.region].registry}/dockyard/v2/{target}",
            headers={
                "Authorization": basic(credentials),
                "Content-Type": "application/json; charset=utf-8",
                "Accept": "application/json",
            },
            access_key=credentials.regional_key,
            credential=credentials.fingerprint,
            body=body.encode(),
            policy=policy,
        )
        # The token endpoint has accepted these credentials, so even 401 means that the API does not exist.
        if response.status_code in _ABSENT_STATUSES:
            error_response = error_response_of(response)
            # A 404 is about the requested object only if it has an error code of SWR.
            if error_response.status == 404 and error_response.number and not error_response.astray:
                raise error_for(error_response)
            raise DockyardAbsent("not found")
        return response


def _raise_if_html(response: requests.Response) -> None:
    if "html" in response.headers.get("Content-Type", ""):
        settle(response)
        raise DockyardAbsent("an HTML page")
