"""Requests to the registry of SWR with a bearer token, and the meaning of its 401, 403 and 404.

Each repository and action has its own token. After a 401, a request that can be repeated is sent once more with a new
token. A second 401 means `OrganizationUnknown` if the organization is missing, else `Denied`. A 404 counts only in a
registry's own form.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import requests

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    CredentialsError,
    Denied,
    NotFound,
    OrganizationExists,
    OrganizationUnknown,
    RepositoryUnknown,
    Unavailable,
)
from adapter.references import RepositoryName
from adapter.settings import RegionHosts
from adapter.swr.error_codes import error_for, registry_error_for
from adapter.swr.error_response import ErrorResponse, parse_error_response
from adapter.swr.manifest_validation import Manifest as Manifest
from adapter.swr.organizations import Organizations
from adapter.swr.repository import Repository
from adapter.swr.response_body import error_response_of, is_transient, reread_body, settle
from adapter.swr.retry import IDEMPOTENT, READ, RetryPolicy, policy_of
from adapter.swr.tokens import PULL, PUSH, Tokens
from adapter.swr.transport import Transport

_WRITE_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
COMPLETE: Final = frozenset({200, 201, 204})
"""Statuses that confirm storage; 202 does not yet."""


class RegistryRequests:
    """Sends them; shared by all threads. The repository's credentials determine the region."""

    def __init__(
        self,
        transport: Transport,
        regions: Mapping[str, RegionHosts],
        tokens: Tokens,
        organizations: Organizations,
    ) -> None:
        self._transport = transport
        self._regions = regions
        self._tokens = tokens
        self._organizations = organizations

    def origin(self, credentials: Credentials) -> str:
        """`https://host` of the region's registry: the only host that receives an Authorization header."""
        return self._regions[credentials.region].registry

    def exchange(
        self,
        method: str,
        repository: Repository,
        path: str,
        *,
        actions: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[Any] = b"",
        policy: RetryPolicy = IDEMPOTENT,
        source: RepositoryName | None = None,
    ) -> requests.Response:
        """Sends one request with a token that may also read `source`. `path` starts with `/` and may have a query.

        Raises `OrganizationUnknown`, `Denied`, `CredentialsRefused`, as `Transport.send` does, and `Unexpected` for a
        404 that is not a registry's. Returns a response of any other status.
        """
        if not path.startswith("/"):
            raise ValueError("a path on the registry starts with a slash")
        repeatable, writing = isinstance(body, bytes), method in _WRITE_METHODS
        policy = policy_of(policy)

        def send(method: str, token: str) -> requests.Response:
            return self._transport.send(
                method,
                self.origin(repository.credentials) + path,
                headers={**(headers or {}), "Authorization": f"Bearer {token}"},
                access_key=repository.credentials.regional_key,
                credential=repository.credentials.fingerprint,
                body=body,
                policy=policy,
            )

        for last in (False, True):
            token = self._token(repository, actions, source, policy, writing=writing)
            response = send(method, token)
            if response.status_code not in (401, 403):
                return self._checked(repository.credentials, method, response)
            if response.status_code == 403 and is_transient(response):  # The token is still valid.
                raise error_for(error_response_of(response))
            self._tokens.forget(repository, source)
            if response.status_code == 403 or last or not repeatable:
                break
            settle(response)
        if response.status_code == 401 and not repeatable:
            raise _expired(response)
        error_response = error_response_of(response)
        if method == "HEAD":
            error_response = _explained(error_response, send("GET", token))
        raise self._denial(repository, error_for(error_response), writing=writing)

    @staticmethod
    def _checked(credentials: Credentials, method: str, response: requests.Response) -> requests.Response:
        """The response, with its body still readable. Raises `Unexpected` for a 404 that is not a registry's.

        A 404 to HEAD has no body and passes: for a blob, `has_registry_headers` decides.
        """
        if response.status_code != 404 or method == "HEAD":
            return response
        error_response = parse_error_response(404, reread_body(response), response.headers)
        # SWR may also answer 404 to a deletion that it does not support: the caller decides.
        if not (error_response.is_of_registry if method == "DELETE" else error_response.is_absence):
            raise registry_error_for(error_response, credentials.region)
        return response

    def authorize(self, repository: Repository, actions: str = PUSH) -> None:
        """Raises the error that a request would get for lack of permission, before the client's body is read.

        Costs no extra request, because the request itself needs the token too.
        """
        policy = READ if actions == PULL else IDEMPOTENT
        self._token(repository, actions, None, policy, writing=actions != PULL)

    def absence(self, repository: Repository, error: AdapterError) -> AdapterError:
        """The error for a 404 to a request that creates the repository: the organization is missing, else the
        repository."""
        if self._organizations.exists(repository.credentials, repository.organization):
            return narrowed(error, RepositoryUnknown, f"repository {repository} not found in SWR")
        return self._denial(repository, OrganizationUnknown(error.sentence), writing=True)

    def make_organization(self, credentials: Credentials, name: str) -> None:
        """Creates an organization with one POST, even if several uploads find it missing at once. Raises as
        `Organizations.create` does."""
        with contextlib.suppress(OrganizationExists):
            self._organizations.create(credentials, name)

    def _token(
        self,
        repository: Repository,
        actions: str,
        source: RepositoryName | None,
        policy: RetryPolicy,
        *,
        writing: bool,
    ) -> str:
        """A token, requested with the retry policy of the read that needs it; several requests may share it."""
        policy = IDEMPOTENT if policy.connect_seconds is None else replace(policy, cancel_on_disconnect=False)
        try:
            if source is not None:
                return self._tokens.bearer_of_two(repository, actions, source)
            return self._tokens.bearer(repository, actions, policy)
        except (Denied, OrganizationUnknown) as error:
            raise self._denial(repository, error, writing=writing) from error

    def _denial(self, repository: Repository, error: AdapterError, *, writing: bool) -> AdapterError:
        """SWR returns 401 for a missing organization and for a missing permission; a look-up of the organization
        distinguishes them.

        Before a push, an invisible organization counts as missing and is created; that fails if another account owns
        it. Before a read, a permission may have been lost, and Harbor 2.14.4 takes a 404 for a deletion and deletes its
        cached copy. So before a read, SWR itself must report that the organization does not exist.
        """
        if not isinstance(error, Denied | CredentialsError | OrganizationUnknown) or isinstance(error, AccountBlocked):
            return error
        name = repository.organization
        invisible = isinstance(error, OrganizationUnknown) or not self._organizations.exists(
            repository.credentials, name
        )
        if invisible and not writing and not self._organizations.is_missing(repository.credentials, name, error):
            return Denied(
                f"organization '{name}' not found in SWR, or owned by another account: check the name, and ask its "
                "owner for permission to read",
                **error.of_swr(),
            )
        if invisible:
            return OrganizationUnknown(
                f"organization '{name}' not found in SWR, or owned by another account: check the destination namespace "
                "of the replication rule",
                **error.of_swr(),
            )
        return Denied(
            f"access to {repository} denied by SWR: ask an administrator for permission",
            **error.of_swr(),
        )


def narrowed(error: AdapterError, kind: type[NotFound], sentence: str) -> AdapterError:
    """A 404 of SWR as the exception for the kind of resource; any other error as it is."""
    if not isinstance(error, NotFound) or isinstance(error, OrganizationUnknown):
        return error
    return kind(sentence, **error.of_swr())


def _explained(error_response: ErrorResponse, again: requests.Response) -> ErrorResponse:
    """The rejection of a HEAD request. It has no message, which tells a missing organization from a blocked account;
    the response to the same request as a GET has one."""
    if again.status_code in (401, 403):
        return error_response_of(again)
    again.close()
    return error_response


def _expired(response: requests.Response) -> Unavailable:
    """The upload was started with this token, so the token has expired since: no permission is missing."""
    details = error_response_of(response).details()
    return Unavailable("SWR's token expired before the upload: send the upload again", **details)
