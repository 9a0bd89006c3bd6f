"""The management API, signed with AK/SK: organizations, repositories and tags (`docs/facts/swr.md §4`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode

import requests
from requests_auth_aws_sigv4 import AWSSigV4

from adapter.credentials import Credentials
from adapter.documents import parse_json
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    CredentialsError,
    NotFound,
    OrganizationExists,
    OrganizationUnknown,
    Unexpected,
)
from adapter.numerals import whole_in_json
from adapter.references import RepositoryName
from adapter.settings import RegionHosts
from adapter.state import State
from adapter.swr import signing
from adapter.swr.auth_failures import AuthFailures
from adapter.swr.errors import ErrorResponse, error_for, management_error_for
from adapter.swr.repository import Repository
from adapter.swr.retry import BEST_EFFORT, CREATE, IDEMPOTENT, RetryPolicy
from adapter.swr.transport import Signer, Transport, error_response_of, read_document, settle

SERVICE: Final = "swr"


@dataclass(frozen=True)
class Organization:
    """A namespace of SWR. `auth`: 7 manage, 3 write, 1 read; None when SWR did not say (`docs/facts/swr.md §4.2`)."""

    name: str
    auth: int | None = None
    id: int | None = None

    @property
    def writable(self) -> bool:
        """Whether images may be pushed into it, as far as SWR says."""
        return self.auth is None or self.auth >= 3


@dataclass(frozen=True)
class Part:
    """A page of a listing as it came."""

    document: bytes
    content_range: str | None


def sdk_signer(credentials: Credentials) -> Signer:
    """Signs with OTC's own scheme."""

    def apply(request: requests.PreparedRequest) -> requests.PreparedRequest:
        assert credentials.secret_key is not None  # noqa: S101 - `Management.serves` was asked
        body = request.body if isinstance(request.body, bytes) else b""
        # Only what nobody on the way may change is signed.
        signed = signing.sign(
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
    """Signs with AWS Signature Version 4, for gateways that take it."""
    auth = AWSSigV4(
        SERVICE,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        region=credentials.region,
    )

    def apply(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # The library would sign the host without its port.
        request.headers["Host"] = str(request.url).split("/")[2]
        signed: requests.PreparedRequest = auth(request)
        return signed

    return apply


SIGNERS: Final[Mapping[str, Callable[[Credentials], Signer]]] = {"sdk": sdk_signer, "aws4": aws4_signer}


def parse_organizations(document: bytes) -> list[Organization]:
    """`{"namespaces": [{"id", "name", "auth", …}]}`, or that list alone; other fields are fine. Raises `Unexpected`.

    The list may be null, as Go writes one that was never made. Anything else that is not a list is not an empty one.
    """
    try:
        answer = parse_json(document)
        entries = answer if isinstance(answer, list) else answer["namespaces"]
        if not isinstance(entries, list | None):
            raise TypeError
        entries = entries or []
        return [parse_organization(entry) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unexpected("SWR's list of organizations cannot be read") from None


def parse_organization(entry: Mapping[str, Any]) -> Organization:
    """One element of the list, or the answer for one organization. Raises `TypeError` and the like without a name;
    numbers that cannot be read are None."""
    name = entry["name"]
    if not isinstance(name, str):
        raise TypeError
    return Organization(name, whole_in_json(entry.get("auth")), whole_in_json(entry.get("id")))


class Management:
    """Signed calls to `swr-api.<region>`; every method raises what `management_error_for` makes of a refusal."""

    def __init__(self, transport: Transport, regions: Mapping[str, RegionHosts], scheme: str, state: State) -> None:
        self._transport = transport
        self._regions = regions
        self._signer = SIGNERS[scheme]
        self._auth_failures = AuthFailures(state, "api")

    def serves(self, credentials: Credentials) -> bool:
        """Whether calls can be signed at all: the SK is known, and so is the region's management host."""
        return credentials.secret_key is not None and self._regions[credentials.region].api is not None

    def organizations(self, credentials: Credentials, policy: RetryPolicy = IDEMPOTENT) -> list[Organization]:
        """Those the account is authorised for; SWR does not page them (`docs/facts/swr.md §4.2`).

        Raises `Unexpected` when it is not SWR that says that there are none.
        """
        try:
            return parse_organizations(self._get(credentials, "/v2/manage/namespaces", policy))
        except NotFound:
            return []

    def organization(self, credentials: Credentials, name: str, *, certain: bool = False) -> Organization | None:
        """One organization, None when there is none. Raises `Denied` for one of another account.

        Before a creation any 404 will do: if it came from elsewhere, the creation is what tells. Where it is to be
        `certain`, only SWR's own code for a missing organization will.
        """
        policy = BEST_EFFORT if certain else IDEMPOTENT
        response = self._send("GET", credentials, f"/v2/manage/namespaces/{quote(name, safe='')}", policy)
        if response.status_code != 200:
            error_response = error_response_of(response)
            error = error_for(error_response)
            if isinstance(error, OrganizationUnknown) or (isinstance(error, NotFound) and not certain):
                return None
            raise self._noted(credentials, management_error_for(error_response, credentials.region))
        document = read_document(response, deadline=None)
        try:
            return parse_organization(parse_json(document))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Unexpected("SWR's description of the organization cannot be read") from None

    def create_organization(self, credentials: Credentials, name: str) -> None:
        """Raises `OrganizationExists` for 409, which does not say whose it is (`docs/facts/swr.md §4.13`)."""
        response = self._send("POST", credentials, "/v2/manage/namespaces", CREATE, json.dumps({"namespace": name}))
        try:
            raise_unless_created(response, name, partial(management_error_for, region=credentials.region))
        except AdapterError as error:
            raise self._noted(credentials, error) from None

    def repositories(self, credentials: Credentials, query: Mapping[str, str], policy: RetryPolicy) -> Part:
        """A page of the account's repositories; `query` has the filter, offset and limit (`docs/facts/swr.md §4.4`)."""
        return self._part(credentials, "/v2/manage/repos", query, policy)

    def tags(self, repository: Repository, query: Mapping[str, str], policy: RetryPolicy) -> Part:
        """A page of a repository's tags (`docs/facts/swr.md §4.5`)."""
        return self._part(repository.credentials, f"{repository_path(repository.name)}/tags", query, policy)

    def delete_tag(self, repository: Repository, tag: str) -> None:
        """The documented way to delete one tag (`docs/facts/swr.md §4.5`)."""
        path = f"{repository_path(repository.name)}/tags/{quote(tag, safe='')}"
        response = self._send("DELETE", repository.credentials, path, CREATE)
        if not 200 <= response.status_code < 300:
            raise self._refused(repository.credentials, response)
        settle(response)

    def _part(self, credentials: Credentials, path: str, query: Mapping[str, str], policy: RetryPolicy) -> Part:
        response = self._ask(credentials, f"{path}?{urlencode(query, quote_via=quote)}", policy)
        return part_of(response, policy)

    def _get(self, credentials: Credentials, path: str, policy: RetryPolicy) -> bytes:
        return read_document(self._ask(credentials, path, policy), deadline=policy.deadline)

    def _ask(self, credentials: Credentials, path: str, policy: RetryPolicy) -> requests.Response:
        response = self._send("GET", credentials, path, policy)
        if response.status_code != 200:
            raise self._refused(credentials, response)
        return response

    def _refused(self, credentials: Credentials, response: requests.Response) -> AdapterError:
        return self._noted(credentials, management_error_for(error_response_of(response), credentials.region))

    def _noted(self, credentials: Credentials, error: AdapterError) -> AdapterError:
        """Remembers what another signature would only make worse."""
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
            account=credentials.regional_key,
            credential=credentials.fingerprint,
            body=body.encode(),
            signer=self._signer(credentials),
            policy=policy,
        )


def repository_path(repository: RepositoryName) -> str:
    """In the path, `$` stands for the `/` of a nested name (`docs/facts/swr.md §4`, Path encoding)."""
    organization, short = quote(repository.organization, safe=""), quote(repository.path, safe="/").replace("/", "$")
    return f"/v2/manage/namespaces/{organization}/repos/{short}"


def part_of(response: requests.Response, policy: RetryPolicy) -> Part:
    """The body of a listing's page and its `Content-Range`."""
    content_range = response.headers.get("Content-Range")
    return Part(read_document(response, deadline=policy.deadline), content_range)


def raise_unless_created(
    response: requests.Response, name: str, error_of: Callable[[ErrorResponse], AdapterError] = error_for
) -> None:
    """Any 2xx is success: the documented code and the seen ones differ (`docs/facts/swr.md §4`)."""
    if 200 <= response.status_code < 300:
        settle(response)
        return
    error_response = error_response_of(response)
    if error_response.status == 409 and not error_response.passing:
        raise OrganizationExists(f"the organization '{name}' exists", **error_response.details())
    raise error_of(error_response)
