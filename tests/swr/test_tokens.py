from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
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
from tests.swr.scripted import TOKEN_PATH, Swr, client_of, jwt

REPOSITORY = RepositoryName("org", "repo")


def denied(message: str) -> Response:
    return Response(json.dumps({"errors": [{"code": "DENIED", "message": message}]}), 401)


def scopeless_only(message: str) -> Any:
    """Says yes to the credentials and no to the scope."""

    def answer(request: Request) -> Response:
        return denied(message) if "scope" in request.args else Response(json.dumps({"token": jwt()}))

    return answer


def test_asks_with_get_its_own_scope_and_the_login_key(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.grant()
    client.tokens.bearer(Repository(credentials, REPOSITORY), PUSH)
    (request,) = swr.seen
    assert request.method == "GET"
    assert request.args.to_dict() == {"service": "dockyard", "scope": "repository:org/repo:pull,push"}
    assert request.authorization is not None
    assert (request.authorization.username, request.authorization.password) == (ACCESS_ID, LOGIN_KEY)


def test_a_token_is_kept_for_its_repository_and_actions(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, *({"token": jwt() + str(number)} for number in range(9)))
    pull = client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    assert client.tokens.bearer(Repository(credentials, REPOSITORY), PULL) == pull
    push = client.tokens.bearer(Repository(credentials, REPOSITORY), PUSH)
    assert push != pull
    assert client.tokens.bearer(Repository(credentials, RepositoryName("org", "other")), PULL) not in (pull, push)
    assert len(swr.seen) == 3
    client.tokens.forget(Repository(credentials, REPOSITORY))
    assert client.tokens.bearer(Repository(credentials, REPOSITORY), PULL) not in (pull, push)


def test_a_token_for_pushing_serves_pulling(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.grant()
    assert client.tokens.bearer(Repository(credentials, REPOSITORY), PUSH) == client.tokens.bearer(
        Repository(credentials, REPOSITORY), PULL
    )
    assert len(swr.seen) == 1


def test_accounts_do_not_share_tokens(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.grant()
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    swr.answer("GET", TOKEN_PATH, denied("Authenticate Error"))
    with pytest.raises(CredentialsRefused):
        client.tokens.bearer(Repository(parse_credentials(ACCESS_ID, WRONG_SECRET, ["eu-de"]), REPOSITORY), PULL)


def test_many_threads_ask_once(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    asked = threading.Event()

    def slow(_: Request) -> Response:
        asked.wait(0.3)
        return Response(json.dumps({"token": jwt()}))

    swr.answer("GET", TOKEN_PATH, slow)
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: client.tokens.bearer(Repository(credentials, REPOSITORY), PULL), range(8)))
    assert len(tokens) == 1
    assert len(swr.seen) == 1


def test_who_is_overtaken_takes_the_token_that_came_meanwhile(
    swr: Swr, client: SwrClient, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look into the cache and its request another one asks from beginning to end."""
    swr.grant()
    tokens: list[str] = []
    once = iter([True])

    def overtaken(_: Credentials) -> None:
        if next(once, False):
            tokens.append(client.tokens.bearer(Repository(credentials, REPOSITORY), PULL))

    monkeypatch.setattr(client.tokens._auth_failures, "raise_cached", overtaken)
    tokens.append(client.tokens.bearer(Repository(credentials, REPOSITORY), PULL))
    assert tokens[0] == tokens[1]
    assert len(swr.seen) == 1


def test_an_expired_token_is_replaced(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, {"token": jwt(life=20)})
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    assert len(swr.seen) == 2


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
def test_how_long_a_token_lives(token: str, expires_in: object, life: float) -> None:
    assert lifetime_of(token, expires_in, 5000.0) == life


def test_a_refusal_is_remembered_for_the_whole_credential(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    wrong = parse_credentials(ACCESS_ID, WRONG_SECRET, ["eu-de"])
    swr.answer("GET", TOKEN_PATH, denied("Authenticate Error"))
    for _ in range(5):
        with pytest.raises(CredentialsRefused, match="rejected the credentials"):
            client.tokens.login(wrong)
        with pytest.raises(CredentialsRefused):
            client.tokens.bearer(Repository(wrong, REPOSITORY), PULL)
    assert len(swr.seen) == 1
    swr.grant()
    client.tokens.login(credentials)
    assert len(swr.seen) == 2


def test_a_yes_is_not_remembered_by_login(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, {"token": jwt()}, denied("Authenticate Error"))
    client.tokens.login(credentials)
    with pytest.raises(CredentialsRefused):
        client.tokens.login(credentials)


def test_confirm_is_content_with_a_live_token(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.grant()
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    client.tokens.confirm(credentials)
    assert len(swr.seen) == 1


def test_confirm_does_not_trust_a_token_that_swr_refused_or_that_is_over(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    swr.answer("GET", TOKEN_PATH, {"token": jwt(life=900)}, {"token": jwt(life=20)})
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    client.tokens.forget(Repository(credentials, REPOSITORY))
    client.tokens.confirm(credentials)
    client.tokens.confirm(credentials)
    assert len(swr.seen) == 3


# Which credentials SWR has accepted


def test_credentials_are_accepted_with_a_token_and_until_they_are_refused(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    assert not client.tokens.accepted(credentials)
    swr.answer("GET", TOKEN_PATH, {"token": jwt(life=20)}, denied("Authenticate Error"))
    client.tokens.login(credentials)
    assert client.tokens.accepted(credentials)
    assert not client.tokens.accepted(parse_credentials(ACCESS_ID, WRONG_SECRET, ["eu-de"]))
    with pytest.raises(CredentialsRefused):
        client.tokens.login(credentials)
    assert not client.tokens.accepted(credentials)


def test_other_replicas_know_what_one_has_proven(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.grant()
    client.tokens.login(credentials)
    state = client.state
    assert Accepted(state).includes(credentials)
    assert TTL_SECONDS == 3600
    assert {key.partition(":")[0] for key in state._values} == {"accepted"}  # type: ignore[attr-defined]
    assert ACCESS_ID.partition("@")[2] not in str(state._values)  # type: ignore[attr-defined]


def test_a_live_token_is_proof_after_the_hour(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, {"token": jwt(life=86_400)})
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    client.tokens._accepted.withdraw(credentials)
    assert client.tokens.accepted(credentials)


def test_made_up_secrets_do_not_count_for_the_access_key(
    swr: Swr, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged: list[str] = []
    monkeypatch.setattr(RateLimit, "take", lambda _, account, __: charged.append(account))
    client = client_of(swr, requests_per_second=20.0)
    swr.answer("GET", TOKEN_PATH, denied("Authenticate Error"))
    for number in range(3):
        with pytest.raises(CredentialsRefused):
            client.tokens.bearer(
                Repository(parse_credentials(ACCESS_ID, f"{WRONG_SECRET}{number}", ["eu-de"]), REPOSITORY), PULL
            )
    assert charged == ["eu-de/(not accepted)"] * 3
    swr.grant()
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    client.tokens.bearer(Repository(credentials, RepositoryName("org", "other")), PULL)
    assert charged[3:] == ["eu-de/(not accepted)", credentials.regional_key]


def test_pull_that_is_refused_is_asked_with_push(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    """Whether SWR grants pulling alone, of a repository that does not exist yet, is not known."""

    def answer(request: Request) -> Response:
        if request.args.get("scope", "").endswith(":pull"):
            return denied("no")
        return Response(json.dumps({"token": jwt()}))

    swr.answer("GET", TOKEN_PATH, answer)
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    assert [request.args.get("scope", "")[-9:] for request in swr.seen] == ["repo:pull", "", "pull,push"]


@pytest.mark.parametrize(
    ("scoped", "right"),
    [
        (Response(json.dumps({"token": jwt()})), True),
        (denied("Image organization does not exist"), True),
        (denied("Authenticate Error"), False),
    ],
)
def test_an_swr_that_wants_a_scope(
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


def test_a_missing_organization(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, scopeless_only("Image organization does not exist"))
    with pytest.raises(OrganizationUnknown):
        client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)


@pytest.mark.parametrize("message", ["you do not have the permission", "no", "requested access is denied"])
def test_401_for_a_scope_is_no_wrong_password(
    swr: Swr, client: SwrClient, credentials: Credentials, message: str
) -> None:
    swr.answer("GET", TOKEN_PATH, scopeless_only(message))
    for _ in range(2):
        with pytest.raises(Denied):
            client.tokens.bearer(Repository(credentials, REPOSITORY), PUSH)
    client.tokens.login(credentials)


def test_an_odd_401_that_is_a_wrong_password(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, Response("nope", 401))
    with pytest.raises(CredentialsRefused):
        client.tokens.bearer(Repository(credentials, REPOSITORY), PUSH)
    assert ["scope" in request.args for request in swr.seen] == [True, False]


@pytest.mark.parametrize(
    "answer",
    [Response("<html>"), Response("{}"), Response("[]"), Response('{"token": 5}'), Response('{"token": "a\\nb"}')],
)
def test_no_token_in_the_answer(swr: Swr, client: SwrClient, credentials: Credentials, answer: Response) -> None:
    swr.answer("GET", TOKEN_PATH, answer)
    with pytest.raises(Unexpected, match="returned no token"):
        client.tokens.login(credentials)


def test_no_token_endpoint(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, Response("", 404))
    with pytest.raises(Unexpected, match="no token endpoint"):
        client.tokens.login(credentials)


def test_no_token_in_a_repr(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    token = jwt()
    swr.answer("GET", TOKEN_PATH, {"token": token})
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    assert token not in repr(client.tokens._tokens)


def test_confirm_does_not_search_the_tokens_of_others(
    swr: Swr, client: SwrClient, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every signed request confirms, with a lock that all threads share."""
    swr.grant()
    client.tokens.bearer(Repository(credentials, REPOSITORY), PULL)
    monkeypatch.setattr("adapter.credentials.hashlib", None)
    monkeypatch.setattr(TLRUCache, "__iter__", lambda _: pytest.fail("all tokens were searched"))
    for _ in range(10):
        client.tokens.confirm(credentials)
        assert client.tokens.accepted(credentials)
    assert len(swr.seen) == 1


def test_tokens_and_their_index_are_bounded(swr: Swr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.swr.tokens._MAX_TOKENS", 5)
    client = client_of(swr)
    swr.grant()
    for number in range(12):
        client.tokens.login(parse_credentials(f"eu-de@AK{number}", "secret", ["eu-de"]))
    assert len(client.tokens._tokens) == len(client.tokens._longest) == 5
