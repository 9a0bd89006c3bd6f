from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cachetools import TLRUCache
from werkzeug import Request, Response

from adapter.credentials import Credentials, parse_credentials
from adapter.errors import CredentialsRefused, Denied, OrganizationUnknown, Unexpected
from adapter.references import RepositoryName
from adapter.swr.accepted_credentials import TTL_SECONDS, Accepted
from adapter.swr.client import SwrClient
from adapter.swr.rate_limit import RateLimit
from adapter.swr.repository import Repository
from adapter.swr.token_response import DEFAULT_LIFETIME_SECONDS, MARGIN_SECONDS, lifetime_of
from adapter.swr.tokens import PULL, PUSH
from tests.credentials import ACCESS_ID, LOGIN_KEY, WRONG_SECRET
from tests.swr.scripted import TOKEN_PATH, Swr, client_of, error, jwt, scopeless_only


def test_a_token_is_requested_with_its_scope_and_the_login_key(
    swr: Swr, client: SwrClient, repository: Repository
) -> None:
    token = jwt()
    swr.answer("GET", TOKEN_PATH, {"token": token})
    client.tokens.bearer(repository, PUSH)
    (request,) = swr.seen
    assert request.method == "GET"
    assert request.args.to_dict() == {"service": "dockyard", "scope": "repository:org/repo:pull,push"}
    assert request.authorization is not None
    assert (request.authorization.username, request.authorization.password) == (ACCESS_ID, LOGIN_KEY)
    assert token not in repr(client.tokens._tokens)


def test_a_token_is_kept_for_its_repository_and_actions(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("GET", TOKEN_PATH, *({"token": jwt() + str(number)} for number in range(9)))
    pull = client.tokens.bearer(repository, PULL)
    assert client.tokens.bearer(repository, PULL) == pull
    push = client.tokens.bearer(repository, PUSH)
    assert push != pull
    other = replace(repository, name=RepositoryName("org", "other"))
    assert client.tokens.bearer(other, PUSH) not in (pull, push)
    assert client.tokens.bearer(other, PULL) == client.tokens.bearer(other, PUSH)
    assert len(swr.seen) == 3
    client.tokens.forget(repository)
    assert client.tokens.bearer(repository, PULL) not in (pull, push)
    swr.answer("GET", TOKEN_PATH, {"token": jwt(life=20)})
    expired = replace(repository, name=RepositoryName("org", "expired"))
    for _ in range(2):
        client.tokens.bearer(expired, PULL)
    assert len(swr.seen) == 6
    swr.answer("GET", TOKEN_PATH, error(401, "Authenticate Error"))
    with pytest.raises(CredentialsRefused):
        client.tokens.bearer(replace(other, credentials=parse_credentials(ACCESS_ID, WRONG_SECRET, ["eu-de"])), PULL)


def test_concurrent_threads_share_one_token_request(swr: Swr, client: SwrClient, repository: Repository) -> None:
    release = threading.Event()

    def slow(_: Request) -> Response:
        release.wait(0.3)
        return Response(json.dumps({"token": jwt()}))

    swr.answer("GET", TOKEN_PATH, slow)
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: client.tokens.bearer(repository, PULL), range(8)))
    assert len(tokens) == 1
    assert len(swr.seen) == 1


def test_a_token_that_was_issued_meanwhile_is_used(
    swr: Swr, client: SwrClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread requests it between the cache look-up and the request."""
    swr.grant()
    tokens: list[str] = []
    once = iter([True])

    def issue_first(_: Credentials) -> None:
        if next(once, False):
            tokens.append(client.tokens.bearer(repository, PULL))

    monkeypatch.setattr(client.tokens._auth_failures, "raise_cached", issue_first)
    tokens.append(client.tokens.bearer(repository, PULL))
    assert tokens[0] == tokens[1]
    assert len(swr.seen) == 1


def unsigned(claims: dict[str, Any]) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.x"


@pytest.mark.parametrize(
    ("token", "expires_in", "life"),
    [
        (unsigned({"iat": 1000, "exp": 1900}), None, 900 - MARGIN_SECONDS),
        (unsigned({"iat": 9_999_999, "exp": 9_999_999 + 900}), 5, 900 - MARGIN_SECONDS),
        (unsigned({"nbf": 1000, "exp": 1900}), None, 900 - MARGIN_SECONDS),
        (unsigned({"exp": 5300}), None, 300 - MARGIN_SECONDS),
        (unsigned({"iat": 1000, "exp": 1010}), None, 0),
        ("opaque", None, DEFAULT_LIFETIME_SECONDS - MARGIN_SECONDS),
        ("opaque", 300, 300 - MARGIN_SECONDS),
        ("opaque", 86_400, DEFAULT_LIFETIME_SECONDS - MARGIN_SECONDS),
        ("opaque", "soon", DEFAULT_LIFETIME_SECONDS - MARGIN_SECONDS),
        ("a.b.c", None, DEFAULT_LIFETIME_SECONDS - MARGIN_SECONDS),
        ("a.W10.c", None, DEFAULT_LIFETIME_SECONDS - MARGIN_SECONDS),
    ],
)
def test_the_lifetime_of_a_token_is_read(token: str, expires_in: object, life: float) -> None:
    assert lifetime_of(token, expires_in, 5000.0) == life


def test_rejected_credentials_are_remembered(swr: Swr, client: SwrClient, repository: Repository) -> None:
    wrong = parse_credentials(ACCESS_ID, WRONG_SECRET, ["eu-de"])
    swr.answer("GET", TOKEN_PATH, error(401, "Authenticate Error"))
    for _ in range(5):
        with pytest.raises(CredentialsRefused, match="rejected the credentials"):
            client.tokens.login(wrong)
        with pytest.raises(CredentialsRefused):
            client.tokens.bearer(replace(repository, credentials=wrong), PULL)
    assert len(swr.seen) == 1
    swr.grant()
    client.tokens.login(repository.credentials)
    assert len(swr.seen) == 2


def test_confirm_ignores_a_forgotten_or_expired_token(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("GET", TOKEN_PATH, {"token": jwt(life=900)}, {"token": jwt(life=20)})
    client.tokens.bearer(repository, PULL)
    client.tokens.forget(repository)
    client.tokens.confirm(repository.credentials)
    client.tokens.confirm(repository.credentials)
    assert len(swr.seen) == 3


# Which credentials SWR has accepted


def test_credentials_are_accepted_from_a_token_until_a_rejection(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    assert not client.tokens.accepted(credentials)
    swr.answer("GET", TOKEN_PATH, {"token": jwt(life=20)}, error(401, "Authenticate Error"))
    client.tokens.login(credentials)
    assert client.tokens.accepted(credentials)
    assert not client.tokens.accepted(parse_credentials(ACCESS_ID, WRONG_SECRET, ["eu-de"]))
    with pytest.raises(CredentialsRefused):
        client.tokens.login(credentials)
    assert not client.tokens.accepted(credentials)


def test_accepted_credentials_are_shared_between_replicas(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    swr.grant()
    client.tokens.login(credentials)
    state = client.state
    assert Accepted(state).includes(credentials)
    assert TTL_SECONDS == 3600
    assert {key.partition(":")[0] for key in state._values} == {"accepted"}  # type: ignore[attr-defined]
    assert ACCESS_ID.partition("@")[2] not in str(state._values)  # type: ignore[attr-defined]


def test_credentials_with_a_valid_token_are_accepted(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("GET", TOKEN_PATH, {"token": jwt(life=86_400)})
    client.tokens.bearer(repository, PULL)
    client.tokens._accepted.withdraw(repository.credentials)
    assert client.tokens.accepted(repository.credentials)


def test_invented_secrets_do_not_count_for_the_access_key(
    swr: Swr, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged: list[str] = []
    monkeypatch.setattr(RateLimit, "take", lambda _, account, __: charged.append(account))
    client = client_of(swr, requests_per_second=20.0)
    swr.answer("GET", TOKEN_PATH, error(401, "Authenticate Error"))
    for number in range(3):
        invented = parse_credentials(ACCESS_ID, f"{WRONG_SECRET}{number}", ["eu-de"])
        with pytest.raises(CredentialsRefused):
            client.tokens.bearer(replace(repository, credentials=invented), PULL)
    assert charged == ["eu-de/(not accepted)"] * 3
    swr.grant()
    client.tokens.bearer(repository, PULL)
    client.tokens.bearer(replace(repository, name=RepositoryName("org", "other")), PULL)
    assert charged[3:] == ["eu-de/(not accepted)", repository.credentials.regional_key]


def test_a_denied_pull_token_is_requested_with_push(swr: Swr, client: SwrClient, repository: Repository) -> None:
    """It is unknown whether SWR issues a pull token for a repository that does not exist yet."""

    def answer(request: Request) -> Response:
        if request.args.get("scope", "").endswith(":pull"):
            return error(401, "no")
        return Response(json.dumps({"token": jwt()}))

    swr.answer("GET", TOKEN_PATH, answer)
    client.tokens.bearer(repository, PULL)
    client.tokens.bearer(repository, PULL)
    assert [request.args.get("scope", "")[-9:] for request in swr.seen] == ["repo:pull", "", "pull,push"]


@pytest.mark.parametrize(
    ("scoped", "right"),
    [
        (Response(json.dumps({"token": jwt()})), True),
        (error(401, "Image organization does not exist"), True),
        (error(401, "Authenticate Error"), False),
    ],
)
def test_login_uses_a_scope_if_swr_requires_one(
    swr: Swr, client: SwrClient, credentials: Credentials, scoped: Response, right: bool
) -> None:
    def answer(request: Request) -> Response:
        if "scope" not in request.args:
            return Response(json.dumps({"errors": [{"code": "UNSUPPORTED", "message": "scope is missing"}]}), 400)
        return Response(scoped.get_data(), scoped.status_code)

    swr.answer("GET", TOKEN_PATH, answer)
    if right:
        client.tokens.login(credentials)
    else:
        with pytest.raises(CredentialsRefused):
            client.tokens.login(credentials)


@pytest.mark.parametrize("message", ["you do not have the permission", "no", "requested access is denied"])
def test_401_for_a_scope_does_not_reject_the_credentials(
    swr: Swr, client: SwrClient, repository: Repository, message: str
) -> None:
    swr.answer("GET", TOKEN_PATH, scopeless_only(error(401, message)))
    for _ in range(2):
        with pytest.raises(Denied):
            client.tokens.bearer(repository, PUSH)
    client.tokens.login(repository.credentials)
    swr.answer("GET", TOKEN_PATH, scopeless_only(error(401, "Image organization does not exist")))
    with pytest.raises(OrganizationUnknown):
        client.tokens.bearer(repository, PULL)
    swr.seen.clear()
    swr.answer("GET", TOKEN_PATH, Response("nope", 401))
    with pytest.raises(CredentialsRefused):
        client.tokens.bearer(repository, PUSH)
    assert ["scope" in request.args for request in swr.seen] == [True, False]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        *((Response(text), "returned no token") for text in ("<html>", "{}", "[]", '{"token": 5}')),
        (Response('{"token": "a\\nb"}'), "returned no token"),
        (Response("", 404), "no token endpoint"),
    ],
)
def test_a_response_without_a_token_raises(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response, message: str
) -> None:
    swr.answer("GET", TOKEN_PATH, answer)
    with pytest.raises(Unexpected, match=message):
        client.tokens.login(credentials)


def test_confirm_does_not_search_other_tokens(
    swr: Swr, client: SwrClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each signed request confirms the credentials, with a lock shared by all threads."""
    swr.grant()
    client.tokens.bearer(repository, PULL)
    monkeypatch.setattr("adapter.credentials.hashlib", None)
    monkeypatch.setattr(TLRUCache, "__iter__", lambda _: pytest.fail("all tokens were searched"))
    for _ in range(10):
        client.tokens.confirm(repository.credentials)
        assert client.tokens.accepted(repository.credentials)
    assert len(swr.seen) == 1


def test_the_number_of_tokens_is_limited(swr: Swr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.swr.tokens._MAX_TOKENS", 5)
    client = client_of(swr)
    swr.grant()
    for number in range(12):
        client.tokens.login(parse_credentials(f"eu-de@AK{number}", "secret", ["eu-de"]))
    assert len(client.tokens._tokens) == len(client.tokens._longest) == 5
