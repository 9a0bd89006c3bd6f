"""Bearer tokens of the registry, and the cheapest proof that credentials are right.

The token endpoint answers GET only, wants the login key as Basic password, and takes one concrete repository in the
scope (`docs/facts/swr.md §5`). Its address comes from the region table, never from a challenge.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlencode

from adapter.credentials import Credentials
from adapter.documents import parse_json
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
from adapter.numerals import finite_number
from adapter.references import RepositoryName
from adapter.settings import RegionHosts
from adapter.state import State
from adapter.state.singleflight import SingleFlight
from adapter.swr.accepted import Accepted
from adapter.swr.auth_failures import AuthFailures
from adapter.swr.errors import error_for
from adapter.swr.repository import Repository
from adapter.swr.retry import IDEMPOTENT, MOUNT, RetryPolicy, longest
from adapter.swr.transport import Transport, error_response_of, read_document

Scopes = tuple[str, ...]

PULL: Final = "pull"
PUSH: Final = "pull,push"
ALL: Final = "*"
"""What Harbor's own client asks for before a deletion (`docs/facts/harbor.md D.1`)."""
SERVICE: Final = "dockyard"

LONGEST_LIFE: Final = 600.0
"""Seconds a token is used when it does not say how long it lives (`docs/facts/swr.md §5`)."""
MARGIN: Final = 30.0
_MAX_JWT_SECONDS: Final = 86_400.0
"""Longer than any token is used, whatever its own times say."""
_LARGEST_CACHE: Final = 10_000
_NOT_ACCEPTED: Final = "(not accepted)"
"""In place of the access key; none has a parenthesis."""
_NOBODYS: Final = "library/adapter-check"
"""In an organization that SWR keeps for itself."""


@dataclass(frozen=True)
class Token:
    """A bearer token; `expires` is on the monotonic clock."""

    value: str = field(repr=False)
    expires: float


def life_of(token: str, expires_in: object, now: float) -> float:
    """Seconds that a token may be used: from the JWT's own times, else from the answer, 10 minutes at most.

    `now` is in seconds since the epoch and only matters to a JWT without `iat`: the difference of its own two times
    holds however wrong this machine's clock is.
    """
    claims = _claims(token)
    issued, expires = finite_number(claims.get("iat", claims.get("nbf", now))), finite_number(claims.get("exp"))
    if expires is not None and issued is not None:
        return max(0.0, min(expires - issued, _MAX_JWT_SECONDS) - MARGIN)
    told = finite_number(expires_in)
    if told is not None and told > 0:
        return max(0.0, min(told, LONGEST_LIFE) - MARGIN)
    return LONGEST_LIFE - MARGIN


def _claims(token: str) -> Mapping[str, object]:
    """The payload of a JWT; empty for anything else. The signature is SWR's business."""
    try:
        payload = token.split(".")[1]
        claims = parse_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def basic(credentials: Credentials) -> str:
    """The `Authorization` that the registry host takes for its own API and the token endpoint."""
    return "Basic " + base64.b64encode(f"{credentials.access_id}:{credentials.login_key}".encode()).decode()


class Tokens:
    """Tokens by credential, repository and actions; asked for once however many threads want one."""

    def __init__(self, transport: Transport, regions: Mapping[str, RegionHosts], state: State) -> None:
        self._transport = transport
        self._regions = regions
        self._lock = threading.Lock()
        self._tokens: OrderedDict[tuple[str, str, str], Token] = OrderedDict()
        self._latest: dict[str, tuple[tuple[str, str, str], float]] = {}
        """By credential: the token that is good for longest, and until when."""
        self._accepted = Accepted(state)
        self._auth_failures = AuthFailures(state, "registry")
        self._flights: SingleFlight[Token] = SingleFlight()

    def bearer(self, repository: Repository, actions: str, policy: RetryPolicy = IDEMPOTENT) -> str:
        """A token for one repository. A cached one for pushing serves pulling too.

        Raises `CredentialsRefused`, `OrganizationUnknown`, `Denied`, or what the transport raises.
        """
        name = str(repository)
        for wanted in {actions, PUSH} if actions == PULL else {actions}:
            if (cached := self._cached((repository.credentials.fingerprint, name, wanted))) is not None:
                _tell_accepted()
                return cached.value
        try:
            return self._scoped(repository.credentials, name, actions, policy).value
        except Denied:
            # Other clients of SWR ask for both at all times; whether it grants pulling alone, of a repository that
            # does not exist yet, is not known.
            if actions != PULL:
                raise
            return self._scoped(repository.credentials, name, PUSH, policy).value

    def bearer_of_two(self, repository: Repository, actions: str, source: RepositoryName) -> str:
        """A token that may read `source` as well, as other clients ask for when they mount; where SWR takes one scope
        only, one for the repository alone. Raises as `bearer` does."""
        key = (repository.credentials.fingerprint, f"{repository} {source}", actions)
        if (cached := self._cached(key)) is not None:
            _tell_accepted()
            return cached.value
        try:
            return self._fetch(
                repository.credentials, (_scope(repository, actions), _scope(source, PULL)), key, MOUNT
            ).value
        except (Denied, InvalidRequest, NotFound, Unavailable, Unexpected):
            value = self.bearer(repository, actions)
        if (token := self._cached((repository.credentials.fingerprint, str(repository), actions))) is not None:
            self._keep(key, token)
        return value

    def _scoped(self, credentials: Credentials, name: str, actions: str, policy: RetryPolicy) -> Token:
        return self._fetch(credentials, (_scope(name, actions),), (credentials.fingerprint, name, actions), policy)

    def forget(self, repository: Repository, source: RepositoryName | None = None) -> None:
        """Drops the tokens of a repository, and those for it and a source, because SWR refused one."""
        names = [str(repository)] + ([f"{repository} {source}"] if source is not None else [])
        with self._lock:
            for name in names:
                for actions in (PULL, PUSH, ALL):
                    self._drop((repository.credentials.fingerprint, name, actions))

    def begin_anew(self, credentials: Credentials, organization: str) -> None:
        """From now on nobody takes the refusal of a request that went out before the organization was there."""

        def outdated(flight: tuple[tuple[str, str, str], RetryPolicy]) -> bool:
            (fingerprint, name, _), _ = flight
            return fingerprint == credentials.fingerprint and name.partition("/")[0] == organization

        self._flights.leave(outdated)

    def login(self, credentials: Credentials, policy: RetryPolicy = IDEMPOTENT) -> None:
        """Asks SWR now whether the credentials are right, as `docker login` does: a token without a scope.

        Raises `CredentialsRefused`, remembered for 30 s, or what the transport raises.
        """
        try:
            self._fetch(credentials, (), (credentials.fingerprint, "", ""), policy, anew=True)
        except InvalidRequest:
            # This SWR wants a scope. What it says of one that nobody may use still tells whether it knows the caller.
            with contextlib.suppress(Denied, NotFound):
                key = (credentials.fingerprint, _NOBODYS, PULL)
                self._fetch(credentials, (_scope(_NOBODYS, PULL),), key, policy, anew=True)
            self._accepted.note(credentials)
            _tell_accepted()

    def accepted(self, credentials: Credentials) -> bool:
        """Whether SWR accepted these credentials within the last hour, or gave a token that is still good. Asks
        nobody."""
        return self._is_live(credentials) or self._accepted.lately(credentials)

    def confirm(self, credentials: Credentials, policy: RetryPolicy = IDEMPOTENT) -> None:
        """Like `login`, but a token that is still good is proof enough.

        Comes before every signed call: five bad signatures lock an AK for five minutes (`docs/facts/swr.md §3.1`).
        """
        if self._is_live(credentials):
            _tell_accepted()
            return
        self.login(credentials, policy)

    def _is_live(self, credentials: Credentials) -> bool:
        """Whether there is a token of these credentials that is good now."""
        with self._lock:
            latest = self._latest.get(credentials.fingerprint)
            return latest is not None and latest[1] > time.monotonic()

    def _cached(self, key: tuple[str, str, str]) -> Token | None:
        with self._lock:
            token = self._tokens.get(key)
            return token if token is not None and token.expires > time.monotonic() else None

    def _fetch(
        self,
        credentials: Credentials,
        scopes: Scopes,
        key: tuple[str, str, str],
        policy: RetryPolicy = IDEMPOTENT,
        *,
        anew: bool = False,
    ) -> Token:
        def fetch() -> Token:
            # Whoever looked into the cache just before the last flight ended finds its token there.
            if not anew and (cached := self._cached(key)) is not None:
                return cached
            token = self._ask(credentials, scopes, policy)
            self._keep(key, token)
            return token

        self._auth_failures.raise_cached(credentials)
        token, _ = self._flights.do((key, policy), fetch, timeout=longest(policy))
        _tell_accepted()
        return token

    def _keep(self, key: tuple[str, str, str], token: Token) -> None:
        with self._lock:
            self._tokens[key] = token
            self._tokens.move_to_end(key)
            if (latest := self._latest.get(key[0])) is None or latest[0] == key or latest[1] <= token.expires:
                self._latest[key[0]] = (key, token.expires)
            while len(self._tokens) > _LARGEST_CACHE:
                self._drop(next(iter(self._tokens)))

    def _drop(self, key: tuple[str, str, str]) -> None:
        """With the lock held. Without its longest token a credential is asked about anew, which costs one request."""
        self._tokens.pop(key, None)
        if key[0] in self._latest and self._latest[key[0]][0] == key:
            del self._latest[key[0]]

    def _ask(self, credentials: Credentials, scopes: Scopes, policy: RetryPolicy) -> Token:
        try:
            return self._request(credentials, scopes, policy)
        except CredentialsRefused as error:
            # 401 may mean bad credentials, or only that they do not allow this scope: asked without one, SWR tells.
            if len(scopes) > 1 or (scopes and not _certain(error)):
                with contextlib.suppress(InvalidRequest):
                    self._ask(credentials, (), policy)
                raise Denied(
                    f"SWR gives this account no access to {scopes[0].split(':')[1]}: have an administrator grant it",
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
            account=self._charged(credentials),
            credential=credentials.fingerprint,
            policy=policy,
        )
        if response.status_code != 200:
            error_response = error_response_of(response)
            # Another registry's headers come with its answer for an unknown path too: here only a code counts.
            if error_response.status in (404, 405) and not (error_response.code and error_response.is_absence):
                raise Unexpected(
                    f"{origin} has no token endpoint ({error_response.described()}): is it an SWR registry?",
                    **error_response.details(),
                )
            raise error_for(error_response)
        try:
            document = read_document(response, deadline=policy.deadline)
        except Unreachable:
            # The transport repeats what gets no answer; this one broke off in its body. Harbor could not repeat the
            # start of an upload that ends here.
            if not policy.broken:
                raise
            return self._request(credentials, scopes, replace(policy, broken=False))
        token = _read_token(document, origin)
        self._accepted.note(credentials)
        _tell_accepted()
        return token

    def _charged(self, credentials: Credentials) -> str:
        """Whose rate limit a request counts for. What anybody may have made up counts for nobody's."""
        return credentials.regional_key if self.accepted(credentials) else f"{credentials.region}/{_NOT_ACCEPTED}"


def _tell_accepted() -> None:
    """Lets the request of this thread know that SWR accepts its credentials."""
    if (current := request_context.current_request.get()) is not None and current.on_accepted is not None:
        current.on_accepted()


def _scope(repository: Repository | RepositoryName | str, actions: str) -> str:
    return f"repository:{repository}:{actions}"


def _certain(error: AdapterError) -> bool:
    return "authenticate error" in (error.swr_message or "").lower()


def _read_token(document: bytes, origin: str) -> Token:
    try:
        answer = parse_json(document)
        value = answer.get("token") or answer.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        value = None
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise Unexpected(f"the token endpoint of {origin} answers without a token: is it an SWR registry?")
    return Token(value, time.monotonic() + life_of(value, answer.get("expires_in"), time.time()))
