"""`dockyard/v2` on the registry host: organizations when only the login key is known (`docs/facts/swr.md §5`).

Not documented by OTC; Harbor's own Huawei adapter and the fork use it. Where it is absent, `DockyardAbsent` is raised.
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
from adapter.swr.errors import error_for
from adapter.swr.management import Organization, Part, parse_organizations, part_of, raise_unless_created
from adapter.swr.retry import CREATE, READ, RetryPolicy
from adapter.swr.tokens import basic
from adapter.swr.transport import Transport, error_response_of, read_document, settle

_ABSENT: Final = frozenset({301, 302, 303, 307, 308, 401, 404, 405, 501})


class DockyardAbsent(AdapterError):
    """This SWR has no such API; never shown to a caller."""

    id = "dockyard-absent"


class Dockyard:
    """Calls with Basic and the login key; refusals raise what `error_for` makes of them."""

    def __init__(self, transport: Transport, regions: Mapping[str, RegionHosts]) -> None:
        self._transport = transport
        self._regions = regions

    def organizations(self, credentials: Credentials) -> list[Organization]:
        """Those the account is authorised for. The credentials are known to be right when this is asked."""
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
        if "html" in response.headers.get("Content-Type", ""):
            settle(response)
            raise DockyardAbsent("a page for people")
        raise_unless_created(response, name)

    def repositories(self, credentials: Credentials, query: Mapping[str, str], policy: RetryPolicy) -> Part:
        """A page of the account's repositories, as `Management.repositories` has it."""
        target = f"repositories?{urlencode(query, quote_via=quote)}"
        response = self._send("GET", credentials, target, policy)
        if response.status_code != 200:
            raise error_for(error_response_of(response))
        if "html" in response.headers.get("Content-Type", ""):
            settle(response)
            raise DockyardAbsent("a page for people")
        return part_of(response, policy)

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
            account=credentials.regional_key,
            credential=credentials.fingerprint,
            body=body.encode(),
            policy=policy,
        )
        # The token endpoint took the same credentials, so 401 too can only mean that the API is not there.
        if response.status_code in _ABSENT:
            error_response = error_response_of(response)
            # Only a code of SWR's own shows that a 404 speaks of what was asked for.
            if error_response.status == 404 and error_response.number and not error_response.astray:
                raise error_for(error_response)
            raise DockyardAbsent("not found")
        return response
