"""The SWR management API, signed with AK/SK: organizations, repositories and tags (`docs/facts/swr.md §4`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import quote, urlencode

import requests
from requests_auth_aws_sigv4 import AWSSigV4

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    CredentialsError,
    NotFound,
    OrganizationExists,
    OrganizationUnknown,
)
from adapter.references import RepositoryName
from adapter.settings import RegionHosts
from adapter.state import State
from adapter.swr import request_signing
from adapter.swr.auth_failures import AuthFailures
from adapter.swr.error_codes import error_for, management_error_for
from adapter.swr.error_response import ErrorResponse
from adapter.swr.models import Organization, parse_organization, parse_organizations
from adapter.swr.pagination import RawPage
from adapter.swr.repository import Repository
from adapter.swr.response_body import error_response_of, read_document, settle
from adapter.swr.retry import BEST_EFFORT, CREATE, IDEMPOTENT, RetryPolicy
from adapter.swr.transport import Signer, Transport

_AWS_SERVICE: Final = "swr"


def sdk_signer(credentials: Credentials) -> Signer:
    """Signs with SDK-HMAC-SHA256, OTC's own scheme."""

    def apply(request: requests.PreparedRequest) -> requests.PreparedRequest:
        assert credentials.secret_key is not None  # noqa: S101 - see `Management.serves`
        body = request.body if isinstance(request.body, bytes) else b""
        # Proxies may change any other header.
        signed = request_signing.sign(
            str(request.method),
            str(request.url),
            {"Content-Type": request.headers["Content-Type"]},
            body,
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            now=datetime.now(UTC),
        )
        request.headers.update(signed)
        return request

    return apply


def aws4_signer(credentials: Credentials) -> Signer:
    """Signs with AWS Signature Version 4, for gateways that accept it."""
    auth = AWSSigV4(
        _AWS_SERVICE,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        region=credentials.region,
    )

    def apply(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # By default the library signs the host without its port.
        request.headers["Host"] = str(request.url).split("/")[2]
        signed: requests.PreparedRequest = auth(request)
        return signed

    return apply


SIGNERS: Final[Mapping[str, Callable[[Credentials], Signer]]] = {"sdk": sdk_signer, "aws4": aws4_signer}


class Management:
    """Signed calls to `swr-api.<region>`. Every method raises what `management_error_for` returns."""

    def __init__(self, transport: Transport, regions: Mapping[str, RegionHosts], scheme: str, state: State) -> None:
        self._transport = transport
        self._regions = regions
        self._signer = SIGNERS[scheme]
        self._auth_failures = AuthFailures(state, "api")

    def serves(self, credentials: Credentials) -> bool:
        """Whether calls can be signed and sent: the SK is entered, and the region has a management host."""
        return credentials.secret_key is not None and self._regions[credentials.region].api is not None

    def organizations(self, credentials: Credentials, policy: RetryPolicy = IDEMPOTENT) -> list[Organization]:
        """The organizations that these credentials may see, in one page (`docs/facts/swr.md §4.2`).

        Raises `Unexpected` for a 404 that does not come from SWR.
        """
        try:
            response = self._get(credentials, "/v2/manage/namespaces", policy)
        except NotFound:
            return []
        return parse_organizations(read_document(response, deadline=policy.deadline))

    def organization(self, credentials: Credentials, name: str, *, certain: bool = False) -> Organization | None:
        """None for a missing organization. Raises `Denied` for an organization of another account.

        By default any 404 means missing: before a creation that is enough, because the creation shows whether the 404
        came from SWR. With `certain`, only SWR's own code for a missing organization does.
        """
        policy = BEST_EFFORT if certain else IDEMPOTENT
        response = self._send("GET", credentials, f"/v2/manage/namespaces/{quote(name, safe='')}", policy)
        if response.status_code != 200:
            error_response = error_response_of(response)
            error = error_for(error_response)
            if isinstance(error, OrganizationUnknown) or (isinstance(error, NotFound) and not certain):
                return None
            raise self._remembered(credentials, management_error_for(error_response, credentials.region))
        return parse_organization(read_document(response))

    def create_organization(self, credentials: Credentials, name: str) -> None:
        """Raises `OrganizationExists` for 409: any account may be the owner (`docs/facts/swr.md §4.13`)."""
        response = self._send("POST", credentials, "/v2/manage/namespaces", CREATE, json.dumps({"namespace": name}))
        try:
            raise_unless_created(response, name, partial(management_error_for, region=credentials.region))
        except AdapterError as error:
            raise self._remembered(credentials, error) from None

    def repositories(self, credentials: Credentials, query: Mapping[str, str], policy: RetryPolicy) -> RawPage:
        """One page of the repositories; `query` has the filter, offset and limit (`docs/facts/swr.md §4.4`)."""
        return self._page(credentials, "/v2/manage/repos", query, policy)

    def tags(self, repository: Repository, query: Mapping[str, str], policy: RetryPolicy) -> RawPage:
        """One page of the tags (`docs/facts/swr.md §4.5`)."""
        return self._page(repository.credentials, f"{repository_path(repository.name)}/tags", query, policy)

    def delete_tag(self, repository: Repository, tag: str) -> None:
        """Deletes one tag, in the documented way (`docs/facts/swr.md §4.5`)."""
        path = f"{repository_path(repository.name)}/tags/{quote(tag, safe='')}"
        response = self._send("DELETE", repository.credentials, path, CREATE)
        if not 200 <= response.status_code < 300:
            raise self._error(repository.credentials, response)
        settle(response)

    def _page(self, credentials: Credentials, path: str, query: Mapping[str, str], policy: RetryPolicy) -> RawPage:
        response = self._get(credentials, f"{path}?{urlencode(query, quote_via=quote)}", policy)
        return RawPage(read_document(response, deadline=policy.deadline), response.headers.get("Content-Range"))

    def _get(self, credentials: Credentials, path: str, policy: RetryPolicy) -> requests.Response:
        response = self._send("GET", credentials, path, policy)
        if response.status_code != 200:
            raise self._error(credentials, response)
        return response

    def _error(self, credentials: Credentials, response: requests.Response) -> AdapterError:
        return self._remembered(credentials, management_error_for(error_response_of(response), credentials.region))

    def _remembered(self, credentials: Credentials, error: AdapterError) -> AdapterError:
        """Remembers an error that another signature would only make worse."""
        if isinstance(error, CredentialsError | AccountBlocked):
            self._auth_failures.remember(credentials, error)
        return error

    def _send(
        self, method: str, credentials: Credentials, path: str, policy: RetryPolicy, body: str = ""
    ) -> requests.Response:
        self._auth_failures.raise_cached(credentials)
        return self._transport.send(
            method,
            f"{self._regions[credentials.region].api}{path}",
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            access_key=credentials.regional_key,
            credential=credentials.fingerprint,
            body=body.encode(),
            signer=self._signer(credentials),
            policy=policy,
        )


def repository_path(repository: RepositoryName) -> str:
    """In the path of a nested name, `$` replaces `/` (`docs/facts/swr.md §4`, Path encoding)."""
    organization, short = quote(repository.organization, safe=""), quote(repository.path, safe="/").replace("/", "$")
    return f"/v2/manage/namespaces/{organization}/repos/{short}"


def raise_unless_created(
    response: requests.Response, name: str, error_of: Callable[[ErrorResponse], AdapterError] = error_for
) -> None:
    """For the creation of an organization, here and in dockyard. Any 2xx is success: the documented and the observed
    codes differ (`docs/facts/swr.md §4`). Raises `OrganizationExists` for 409, else what `error_of` returns."""
    if 200 <= response.status_code < 300:
        settle(response)
        return
    error_response = error_response_of(response)
    if error_response.status == 409 and not error_response.transient:
        raise OrganizationExists(f"organization '{name}' already exists", **error_response.details())
    raise error_of(error_response)
