from __future__ import annotations

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug import Request, Response

from adapter.credentials import Credentials, parse_credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    CreationRefused,
    CredentialsRefused,
    Denied,
    NameInvalid,
    OrganizationExists,
    OrganizationQuota,
    OrganizationReserved,
    OrganizationTaken,
    OrganizationUnknown,
    Throttled,
    UpstreamError,
)
from adapter.references import RepositoryName
from adapter.swr.client import SwrClient
from adapter.swr.management import Organization
from adapter.swr.repository import Repository
from adapter.swr.retry import BEST_EFFORT
from adapter.swr.tokens import PUSH
from tests.swr.scripted import TOKEN_PATH, Swr, client_of, jwt
from tests.swr.test_management import NAMESPACES, entry, refusal

DOCKYARD = "/dockyard/v2/namespaces"


@pytest.fixture(autouse=True)
def _granted(swr: Swr) -> None:
    swr.grant()


def test_named_asks_once_for_all(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("a"), entry("b"), entry("c")]})
    found = client.organizations.named(credentials, ["c", "x", "a"])
    assert [organization.name for organization in found] == ["c", "a"]
    assert swr.count("GET", NAMESPACES) == 1


def test_nothing_is_signed_with_a_wrong_secret(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, Response(json.dumps({"errors": [{"message": "Authenticate Error"}]}), 401))
    for _ in range(3):
        with pytest.raises(CredentialsRefused):
            client.organizations.all(credentials)
        with pytest.raises(CredentialsRefused):
            client.organizations.create(credentials, "team")
    assert [request.path for request in swr.seen] == [TOKEN_PATH]


def test_one_post_however_many_threads_ask(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    waiting = threading.Barrier(8)

    def slow(_: Request) -> Response:
        return Response("", 201)

    swr.answer("POST", NAMESPACES, slow)
    swr.answer("GET", f"{NAMESPACES}/team", entry("team"))

    def create(_: int) -> str:
        waiting.wait(10)
        try:
            client.organizations.create(credentials, "team")
        except OrganizationExists:
            return "exists"
        return "created"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(create, range(8)))
    assert sorted(outcomes) == ["created"] + ["exists"] * 7
    with pytest.raises(OrganizationExists):
        client.organizations.create(credentials, "team")
    assert swr.count("POST", NAMESPACES) == 1
    # Somebody deleted it meanwhile: it is made again.
    swr.answer("GET", f"{NAMESPACES}/team", refusal(404, "SVCSTG.SWR.4040058"))
    client.organizations.create(credentials, "team")
    assert swr.count("POST", NAMESPACES) == 2


def test_all_who_ask_learn_of_a_failure(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", NAMESPACES, refusal(400, "SVCSTG.SWR.4000097"))
    for _ in range(2):
        with pytest.raises(OrganizationQuota, match="quota"):
            client.organizations.create(credentials, "team")


def test_409_of_our_own(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", NAMESPACES, refusal(409, "SVCSTG.SWR.4090060"))
    swr.answer("GET", f"{NAMESPACES}/team", entry("team"))
    with pytest.raises(OrganizationExists):
        client.organizations.create(credentials, "team")


@pytest.mark.parametrize("look", [refusal(404, "SVCSTG.SWR.4040058"), refusal(403, "SVCSTG.SWR.4039001")])
def test_409_of_another_account(swr: Swr, client: SwrClient, credentials: Credentials, look: Response) -> None:
    swr.answer("POST", NAMESPACES, refusal(409, "SVCSTG.SWR.4090060"))
    swr.answer("GET", f"{NAMESPACES}/team", look)
    with pytest.raises(OrganizationTaken, match="another account") as caught:
        client.organizations.create(credentials, "team")
    assert caught.value.swr_code == "SVCSTG.SWR.4090060"


def test_409_of_one_that_may_only_be_read(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", NAMESPACES, refusal(409, "SVCSTG.SWR.4090060"))
    swr.answer("GET", f"{NAMESPACES}/team", entry("team", auth=1))
    with pytest.raises(Denied, match="may only read"):
        client.organizations.create(credentials, "team")


@pytest.mark.parametrize(
    ("name", "kind"), [("library", OrganizationReserved), ("Team", NameInvalid), ("a/b", NameInvalid)]
)
def test_names_that_cannot_be_are_not_asked(
    swr: Swr, client: SwrClient, credentials: Credentials, name: str, kind: type[AdapterError]
) -> None:
    with pytest.raises(kind):
        client.organizations.create(credentials, name)
    assert not swr.seen


@pytest.mark.parametrize("answer", [Response("", 201), refusal(409, "SVCSTG.SWR.4090060")], ids=["made", "is there"])
def test_once_it_is_there_nobody_waits_for_an_older_refusal(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    """A token that was asked for before is refused after; who asks then joins no request of that time."""
    repositories = [RepositoryName("team", "app"), RepositoryName("other", "app")]
    asked, release = threading.Semaphore(0), threading.Event()
    missing = {"errors": [{"code": "DENIED", "message": "Image organization does not exist"}]}

    def late(request: Request) -> Response:
        asked.release()
        assert release.wait(10)
        return Response(json.dumps(missing), 401)

    def granted(_: Request) -> Response:
        return Response(json.dumps({"token": jwt()}))

    client.tokens.confirm(credentials)
    swr.answer("GET", TOKEN_PATH, late, late, granted)
    swr.answer("POST", NAMESPACES, answer)
    swr.answer("GET", f"{NAMESPACES}/team", entry("team"))

    def bearer(repository: RepositoryName) -> str:
        return client.tokens.bearer(Repository(credentials, repository), PUSH)

    with ThreadPoolExecutor(4) as pool:
        old = [pool.submit(bearer, repository) for repository in repositories]
        assert all(asked.acquire(timeout=10) for _ in old)
        with contextlib.suppress(OrganizationExists):
            client.organizations.create(credentials, "team")
        try:
            assert bearer(repositories[0])
            assert len(client.tokens._flights._running) == 1
        finally:
            release.set()
        assert all(isinstance(each.exception(10), OrganizationUnknown) for each in old)


def test_creation_can_be_switched_off(swr: Swr, credentials: Credentials) -> None:
    swr.answer("GET", f"{NAMESPACES}/team", refusal(404, "SVCSTG.SWR.4040058"), entry("team"))
    with pytest.raises(CreationRefused, match="SWR_ADAPTER_CREATE_NAMESPACES"):
        client_of(swr, create_namespaces=False).organizations.create(credentials, "team")
    with pytest.raises(OrganizationExists):
        client_of(swr, create_namespaces=False).organizations.create(credentials, "team")
    assert swr.count("POST", NAMESPACES) == 0


# With the login key alone


def test_dockyard_lists_and_creates(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    swr.answer("GET", DOCKYARD, {"namespaces": [entry("a")]})
    swr.answer("POST", DOCKYARD, 201)
    assert client.organizations.named(key_only, ["a", "b"]) == [Organization("a", 7, 5)]
    client.organizations.create(key_only, "b")
    assert json.loads(swr.seen[-1].get_data()) == {"namespace": "b"}


def test_dockyard_409(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    swr.answer("GET", DOCKYARD, {"namespaces": [entry("mine")]})
    swr.answer("POST", DOCKYARD, refusal(409, "SVCSTG.SWR.4090060"))
    with pytest.raises(OrganizationExists):
        client.organizations.create(key_only, "mine")
    with pytest.raises(OrganizationTaken):
        client.organizations.create(key_only, "theirs")


@pytest.mark.parametrize(
    "absent",
    [
        Response("", 404),
        Response("", 405),
        Response("", 401),
        Response("", 501),
        Response("", 302, {"Location": "/login"}),
        Response("{}"),
        Response("<html>home</html>"),
    ],
)
def test_without_dockyard_the_token_endpoint_tells(
    swr: Swr, client: SwrClient, key_only: Credentials, absent: Response
) -> None:
    def token(request: Request) -> Response:
        if request.args.get("scope", "").startswith("repository:gone/"):
            return Response(json.dumps({"errors": [{"message": "Image organization does not exist"}]}), 401)
        if request.args.get("scope", "").startswith("repository:closed/"):
            return Response(json.dumps({"errors": [{"message": "you do not have the permission"}]}), 401)
        return Response(json.dumps({"token": jwt()}))

    swr.answer("GET", TOKEN_PATH, token)
    swr.answer("GET", DOCKYARD, absent)
    swr.answer("POST", DOCKYARD, Response("<html>home</html>", content_type="text/html"))
    assert client.organizations.named(key_only, ["there", "gone", "closed"]) == [
        Organization("there"),
        Organization("closed"),
    ]
    with pytest.raises(CreationRefused, match="enter the SK"):
        client.organizations.create(key_only, "gone")
    with pytest.raises(Denied, match="enter the SK"):
        client.organizations.all(key_only)


def test_who_may_not_list_may_still_ask(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    def token(request: Request) -> Response:
        if request.args.get("scope", "").startswith("repository:gone/"):
            return Response(json.dumps({"errors": [{"message": "Image organization does not exist"}]}), 401)
        return Response(json.dumps({"token": jwt()}))

    swr.answer("GET", TOKEN_PATH, token)
    swr.answer("GET", NAMESPACES, refusal(403, "SVCSTG.SWR.4039002"))
    swr.answer("GET", f"{NAMESPACES}/a", entry("a"))
    swr.answer("GET", f"{NAMESPACES}/b", refusal(404, "SVCSTG.SWR.4040058"))
    swr.answer("GET", f"{NAMESPACES}/c", refusal(403, "SVCSTG.SWR.4039002"))
    swr.answer("GET", f"{NAMESPACES}/gone", refusal(403, "SVCSTG.SWR.4039002"))
    assert client.organizations.named(credentials, ["a", "b", "c", "gone"]) == [
        Organization("a", 7, 5),
        Organization("c"),
    ]


def test_a_locked_account_is_told_and_not_asked_about_each_name(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    locked = {"error_code": "APIG.0301", "error_msg": "AK access failed to reach the limit,forbidden"}
    swr.answer("GET", NAMESPACES, Response(json.dumps(locked), 403))
    with pytest.raises(AccountBlocked):
        client.organizations.named(credentials, ["a", "b"])
    assert [request.path for request in swr.seen] == [TOKEN_PATH, NAMESPACES]


def test_exists_assumes_the_best_when_it_cannot_ask(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    blocked = {"error_code": "APIG.0301", "error_msg": "AK access failed to reach the limit,forbidden"}
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("a")]}, Response("", 501), Response(json.dumps(blocked), 403))
    assert client.organizations.exists(credentials, "a")
    assert client.organizations.exists(credentials, "b")
    assert client.organizations.exists(credentials, "b")


def test_check_asks_the_token_endpoint_first_and_past_the_budget(
    swr: Swr, credentials: Credentials, key_only: Credentials
) -> None:
    swr.answer("GET", NAMESPACES, {"namespaces": []})
    client = client_of(swr, requests_per_second=0.1)
    for _ in range(3):
        client.check(credentials)
    assert [request.path for request in swr.seen] == [TOKEN_PATH, NAMESPACES] * 3
    client.check(key_only)
    assert swr.seen[-1].path == TOKEN_PATH


@pytest.mark.parametrize("answer", [Response("", 501), Response("<html>"), Response("", 404)])
def test_check_passes_with_the_management_api_alone_out_of_reach(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    swr.answer("GET", NAMESPACES, answer, answer, {"namespaces": []})
    client.report_outage(credentials)
    assert swr.seen == []
    client.check(credentials)
    with pytest.raises(UpstreamError):
        client.report_outage(credentials)
    # It is there again.
    client.report_outage(credentials)
    count = len(swr.seen)
    client.report_outage(credentials)
    assert len(swr.seen) == count


def test_an_api_that_throttles_is_there(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    """What a run asks is repeated for longer than this question is."""
    swr.answer("GET", NAMESPACES, Response("", 501), throttled := Response("", 429, {"Retry-After": "60"}))
    client.check(credentials)
    client.report_outage(credentials)
    swr.answer("GET", NAMESPACES, throttled, Response("", 501))
    client.state.drop("api-outage:eu-de")
    client.check(credentials)
    client.report_outage(credentials)


def test_questions_that_anybody_may_cause_keep_to_the_rate_limit(
    swr: Swr, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether an organization is missing, for each read in it; and of whom SWR does not know, whether it does."""
    monkeypatch.setattr("adapter.swr.rate_limit.interruptible_sleep", lambda _: None)
    swr.answer("GET", f"{NAMESPACES}/team", refusal(404, "SVCSTG.SWR.4040058"))
    client = client_of(swr, requests_per_second=1)
    client.tokens.login(credentials)
    missing = [client.organizations.is_missing(credentials, "team", OrganizationUnknown("x")) for _ in range(9)]
    assert missing == [True] * 3 + [False] * 6
    swr.answer("GET", TOKEN_PATH, refusal(401, "X"))
    for number in range(9):
        with pytest.raises((CredentialsRefused, Throttled)):
            client.tokens.confirm(parse_credentials("eu-de@AK", f"secret{number}", ["eu-de"]), BEST_EFFORT)
    assert swr.count("GET", TOKEN_PATH) <= 4


def test_check_still_refuses_a_signature_that_is_refused(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", NAMESPACES, refusal(401, "APIG.0301"))
    with pytest.raises(CredentialsRefused):
        client.check(credentials)


def test_check_does_not_mind_a_missing_permission_to_list(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    swr.answer("GET", NAMESPACES, refusal(403, "SVCSTG.SWR.4039002"))
    client.check(credentials)
    locked = {"error_code": "APIG.0301", "error_msg": "AK access failed to reach the limit,forbidden"}
    swr.answer("GET", NAMESPACES, Response(json.dumps(locked), 403))
    with pytest.raises(Denied, match="locked"):
        client.check(credentials)
