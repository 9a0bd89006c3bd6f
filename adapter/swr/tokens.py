"""Bearer tokens of the registry, which are also the cheapest proof that credentials are valid.

The token endpoint supports only GET, requires the login key as Basic password, and accepts one concrete repository in
the scope (`docs/facts/swr.md §5`). Its URL comes from the region table, never from a challenge.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from cachetools import TLRUCache

from adapter.credentials import Credentials
from adapter.errors import (
    AdapterError,
    CredentialsRefused,
    Denied,
    InvalidRequest,
    NotFound,
    Unavailable,
    Unexpected,
    Unreachable,
)
from adapter.http import request_context
from adapter.references import RepositoryName
from adapter.settings import RegionHosts
from adapter.state import State
from adapter.state.singleflight import SingleFlight
from adapter.swr.accepted_credentials import Accepted
from adapter.swr.auth_failures import AuthFailures
from adapter.swr.error_codes import error_for
from adapter.swr.repository import Repository
from adapter.swr.response_body import error_response_of, read_document
from adapter.swr.retry import IDEMPOTENT, MOUNT, RetryPolicy, max_duration
from adapter.swr.token_response import Token, parse_token
from adapter.swr.transport import Transport

Scopes = tuple[str, ...]
Key = tuple[str, str, str]
"""The fingerprint of the credentials, the repository or repositories, and the actions."""

PULL: Final = "pull"
PUSH: Final = "pull,push"
ALL: Final = "*"
"""Harbor's own client requests it before a deletion (`docs/facts/harbor.md D.1`)."""
SERVICE: Final = "dockyard"

_MAX_TOKENS: Final = 10_000
_NOT_ACCEPTED: Final = "(not accepted)"
"""Stands in for an access key in the rate limit; no access key has a parenthesis."""
_PROBE_REPOSITORY: Final = "library/adapter-check"
"""Repository in an organization that SWR reserves, so no credentials have access."""


def basic(credentials: Credentials) -> str:
    """The `Authorization` header for the token endpoint, and for the registry host's own API."""
    return "Basic " + base64.b64encode(f"{credentials.access_id}:{credentials.login_key}".encode()).decode()


class Tokens:
    """Tokens by credential, repository and actions; threads that need one token share one request."""

    def __init__(self, transport: Transport, regions: Mapping[str, RegionHosts], state: State) -> None:
        self._transport = transport
        self._regions = regions
        self._lock = threading.Lock()
        self._tokens: TLRUCache[Key, Token] = TLRUCache(_MAX_TOKENS, ttu=_expiry, timer=lambda: time.monotonic())
        self._longest: TLRUCache[str, tuple[Key, Token]] = TLRUCache(
            _MAX_TOKENS, ttu=lambda _, entry, __: entry[1].expires, timer=lambda: time.monotonic()
        )
        """By credential: the token that is valid for longest."""
        self._accepted = Accepted(state)
        self._auth_failures = AuthFailures(state, "registry")
        self._flights: SingleFlight[Token] = SingleFlight()

    def bearer(self, repository: Repository, actions: str, policy: RetryPolicy = IDEMPOTENT) -> str:
        """A token for one repository; to pull, a cached one to push serves too.

        Raises `CredentialsRefused`, `OrganizationUnknown`, `Denied`, and as `Transport.send` does.
        """
        name = str(repository)
        for wanted in {actions, PUSH} if actions == PULL else {actions}:
            if (cached := self._cached((repository.credentials.fingerprint, name, wanted))) is not None:
                _report_accepted()
                return cached.value
        try:
            return self._scoped(repository.credentials, name, actions, policy).value
        except Denied:
            # Other clients of SWR always request both. It is not known whether SWR grants pulling alone for a
            # repository that does not exist yet.
            if actions != PULL:
                raise
            return self._scoped(repository.credentials, name, PUSH, policy).value

    def bearer_of_two(self, repository: Repository, actions: str, source: RepositoryName) -> str:
        """A token that may also read `source`, as other clients request for a mount; if SWR accepts only one scope, a
        token for the repository alone. Raises as `bearer` does."""
        key = (repository.credentials.fingerprint, f"{repository} {source}", actions)
        if (cached := self._cached(key)) is not None:
            _report_accepted()
            return cached.value
        try:
            return self._fetch(
                repository.credentials, (_scope(repository, actions), _scope(source, PULL)), key, MOUNT
            ).value
        except (Denied, InvalidRequest, NotFound, Unavailable, Unexpected):
            value = self.bearer(repository, actions)
        if (token := self._cached((repository.credentials.fingerprint, str(repository), actions))) is not None:
            self._store(key, token)
        return value

    def _scoped(self, credentials: Credentials, name: str, actions: str, policy: RetryPolicy) -> Token:
        return self._fetch(credentials, (_scope(name, actions),), (credentials.fingerprint, name, actions), policy)

    def forget(self, repository: Repository, source: RepositoryName | None = None) -> None:
        """Drops the tokens of a repository, and those for it and a source, after SWR rejected one."""
        names = [str(repository)] + ([f"{repository} {source}"] if source is not None else [])
        with self._lock:
            for name in names:
                for actions in (PULL, PUSH, ALL):
                    self._drop((repository.credentials.fingerprint, name, actions))

    def begin_anew(self, credentials: Credentials, organization: str) -> None:
        """Later requests do not share the result of a token request that was sent before the organization existed."""

        def outdated(flight: tuple[Key, RetryPolicy]) -> bool:
            (fingerprint, name, _), _ = flight
            return fingerprint == credentials.fingerprint and name.partition("/")[0] == organization

        self._flights.abandon(outdated)

    def login(self, credentials: Credentials, policy: RetryPolicy = IDEMPOTENT) -> None:
        """Checks the credentials with SWR now, as `docker login` does: with a request for a token without a scope.

        Raises `CredentialsRefused`, which is remembered for 30 s, and as `Transport.send` does.
        """
        try:
            self._fetch(credentials, (), (credentials.fingerprint, "", ""), policy, force=True)
        except InvalidRequest:
            # SWR requires a scope. Its response for one without access also tells whether the credentials are valid.
            with contextlib.suppress(Denied, NotFound):
                key = (credentials.fingerprint, _PROBE_REPOSITORY, PULL)
                self._fetch(credentials, (_scope(_PROBE_REPOSITORY, PULL),), key, policy, force=True)
            self._accepted.note(credentials)
            _report_accepted()

    def accepted(self, credentials: Credentials) -> bool:
        """Whether SWR accepted these credentials within the last hour, or a token is valid. Sends no request."""
        return self._is_live(credentials) or self._accepted.includes(credentials)

    def confirm(self, credentials: Credentials, policy: RetryPolicy = IDEMPOTENT) -> None:
        """Like `login`, but a token that is still valid is proof enough.

        Called before every signed request: five bad signatures lock an AK for five minutes (`docs/facts/swr.md §3.1`).
        """
        if self._is_live(credentials):
            _report_accepted()
            return
        self.login(credentials, policy)

    def _is_live(self, credentials: Credentials) -> bool:
        """Whether these credentials have a valid token."""
        # A hash, made before the lock that all threads share.
        fingerprint = credentials.fingerprint
        with self._lock:
            return fingerprint in self._longest

    def _cached(self, key: Key) -> Token | None:
        with self._lock:
            return self._tokens.get(key)

    def _fetch(
        self,
        credentials: Credentials,
        scopes: Scopes,
        key: Key,
        policy: RetryPolicy = IDEMPOTENT,
        *,
        force: bool = False,
    ) -> Token:
        def fetch() -> Token:
            # The last flight may have ended just after this caller had looked into the cache.
            if not force and (cached := self._cached(key)) is not None:
                return cached
            token = self._request_or_deny(credentials, scopes, policy)
            self._store(key, token)
            return token

        self._auth_failures.raise_cached(credentials)
        token, _ = self._flights.do((key, policy), fetch, timeout=max_duration(policy))
        _report_accepted()
        return token

    def _store(self, key: Key, token: Token) -> None:
        with self._lock:
            self._tokens[key] = token
            longest = self._longest.get(key[0])
            if longest is None or longest[0] == key or longest[1].expires <= token.expires:
                self._longest[key[0]] = (key, token)

    def _drop(self, key: Key) -> None:
        """With the lock held. If the longest token is dropped, the next proof of the credentials costs one request."""
        self._tokens.pop(key, None)
        longest = self._longest.get(key[0])
        if longest is not None and longest[0] == key:
            self._longest.pop(key[0], None)

    def _request_or_deny(self, credentials: Credentials, scopes: Scopes, policy: RetryPolicy) -> Token:
        try:
            return self._request(credentials, scopes, policy)
        except CredentialsRefused as error:
            # 401 may mean invalid credentials, or no access to this scope. A request without a scope tells these apart.
            if len(scopes) > 1 or (scopes and not _is_wrong_password(error)):
                with contextlib.suppress(InvalidRequest):
                    self._request_or_deny(credentials, (), policy)
                raise Denied(
                    f"access to {scopes[0].split(':')[1]} denied by SWR: ask an administrator for permission",
                    **error.of_swr(),
                ) from error
            self._accepted.withdraw(credentials)
            self._auth_failures.remember(credentials, error)
            raise

    def _request(self, credentials: Credentials, scopes: Scopes, policy: RetryPolicy) -> Token:
        query = [("service", SERVICE), *(("scope", each) for each in scopes)]
        origin = self._regions[credentials.region].registry
        response = self._transport.send(
            "GET",
            f"{origin}/swr/auth/v2/registry/auth/?{urlencode(query)}",
            headers={"Authorization": basic(credentials), "Accept": "application/json"},
            access_key=self._rate_limit_key(credentials),
            credential=credentials.fingerprint,
            policy=policy,
        )
        if response.status_code != 200:
            error_response = error_response_of(response)
            # Another registry sends its headers with any 404, so here only a code counts.
            if error_response.status in (404, 405) and not (error_response.code and error_response.is_absence):
                raise Unexpected(
                    f"no token endpoint at {origin} ({error_response.described()}): check the `registry` of "
                    f"{credentials.region} in SWR_ADAPTER_REGIONS",
                    **error_response.details(),
                )
            raise error_for(error_response)
        try:
            document = read_document(response, deadline=policy.deadline)
        except Unreachable:
            # The transport retries a request without a response, but not after a body that was cut off. Harbor does not
            # retry the start of an upload.
            if not policy.retry_broken:
                raise
            return self._request(credentials, scopes, replace(policy, retry_broken=False))
        token = parse_token(document, origin)
        self._accepted.note(credentials)
        _report_accepted()
        return token

    def _rate_limit_key(self, credentials: Credentials) -> str:
        """The access key whose rate limit applies; made-up credentials share one of their own."""
        return credentials.regional_key if self.accepted(credentials) else f"{credentials.region}/{_NOT_ACCEPTED}"


def _expiry(_: Key, token: Token, __: float) -> float:
    return token.expires


def _report_accepted() -> None:
    """Reports to the request of this thread that SWR accepts its credentials."""
    if (current := request_context.current_request.get()) is not None and current.on_accepted is not None:
        current.on_accepted()


def _scope(repository: Repository | RepositoryName | str, actions: str) -> str:
    return f"repository:{repository}:{actions}"


def _is_wrong_password(error: AdapterError) -> bool:
    return "authenticate error" in (error.swr_message or "").lower()
