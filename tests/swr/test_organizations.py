from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Hashable
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
from adapter.swr.models import Organization
from adapter.swr.repository import Repository
from adapter.swr.retry import BEST_EFFORT
from adapter.swr.tokens import PUSH
from tests.swr.scripted import TOKEN_PATH, Swr, client_of, jwt
from tests.swr.test_management import NAMESPACES, entry, gateway, refusal

DOCKYARD = "/dockyard/v2/namespaces"
TEAM = f"{NAMESPACES}/team"
MISSING = refusal(404, "SVCSTG.SWR.4040058")
CONFLICT = refusal(409, "SVCSTG.SWR.4090060")
NO_PERMISSION = refusal(403, "SVCSTG.SWR.4039002")
LOCKED = gateway(403, "AK access failed to reach the limit,forbidden")


@pytest.fixture(autouse=True)
def _granted(swr: Swr) -> None:
    swr.grant()


def token(request: Request) -> Response:
    """Of a token endpoint that knows no organization `gone` and denies access to `closed`."""
    messages = {"gone": "Image organization does not exist", "closed": "you do not have the permission"}
    for name, message in messages.items():
        if request.args.get("scope", "").startswith(f"repository:{name}/"):
            return Response(json.dumps({"errors": [{"message": message}]}), 401)
    return Response(json.dumps({"token": jwt()}))


def test_nothing_is_signed_with_a_wrong_secret(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, Response(json.dumps({"errors": [{"message": "Authenticate Error"}]}), 401))
    for _ in range(3):
        with pytest.raises(CredentialsRefused):
            client.organizations.all(credentials)
        with pytest.raises(CredentialsRefused):
            client.organizations.create(credentials, "team")
    assert [request.path for request in swr.seen] == [TOKEN_PATH]


# Creation


def test_a_creation_right_after_another_sends_no_second_post(
    swr: Swr, client: SwrClient, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no gap between the end of a creation and the moment when it is remembered."""
    swr.answer("POST", NAMESPACES, 201)
    swr.answer("GET", TEAM, entry("team"))
    flights = client.organizations._flights
    do = flights.do

    def do_and_create(key: Hashable, function: Callable[[], None], *, timeout: float) -> tuple[None, bool]:
        monkeypatch.setattr(flights, "do", do)
        outcome = do(key, function, timeout=timeout)
        with contextlib.suppress(OrganizationExists):
            client.organizations.create(credentials, "team")
        return outcome

    monkeypatch.setattr(flights, "do", do_and_create)
    client.organizations.create(credentials, "team")
    assert swr.count("POST", NAMESPACES) == 1


def test_a_second_creation_costs_a_look_up(
    swr: Swr, client: SwrClient, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    swr.answer("POST", NAMESPACES, 201)
    swr.answer("GET", TEAM, entry("team"))
    client.organizations.create(credentials, "team")
    with pytest.raises(OrganizationExists):
        client.organizations.create(credentials, "team")
    assert swr.count("POST", NAMESPACES) == 1
    # If the organization was deleted meanwhile, it is created again.
    swr.answer("GET", TEAM, MISSING)
    client.organizations.create(credentials, "team")
    assert swr.count("POST", NAMESPACES) == 2
    # Of several threads at the same time only the first creates it.
    monkeypatch.setattr(client.organizations._flights, "do", lambda *_, **__: (None, False))
    with pytest.raises(OrganizationExists, match="a moment ago"):
        client.organizations.create(credentials, "team")


def test_a_failed_creation_is_not_remembered(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", NAMESPACES, refusal(400, "SVCSTG.SWR.4000097"))
    for _ in range(2):
        with pytest.raises(OrganizationQuota, match="quota"):
            client.organizations.create(credentials, "team")


@pytest.mark.parametrize(
    ("found", "kind", "message"),
    [
        (Response(json.dumps(entry("team"))), OrganizationExists, "already exists"),
        (MISSING, OrganizationTaken, "another account"),
        (refusal(403, "SVCSTG.SWR.4039001"), OrganizationTaken, "another account"),
        (Response(json.dumps(entry("team", auth=1))), Denied, "read-only access"),
    ],
)
def test_409_for_a_creation(
    swr: Swr, client: SwrClient, credentials: Credentials, found: Response, kind: type[AdapterError], message: str
) -> None:
    swr.answer("POST", NAMESPACES, CONFLICT)
    swr.answer("GET", TEAM, found)
    with pytest.raises(kind, match=message) as caught:
        client.organizations.create(credentials, "team")
    assert caught.value.swr_code == (None if kind is Denied else "SVCSTG.SWR.4090060")


@pytest.mark.parametrize(
    ("name", "kind"), [("library", OrganizationReserved), ("Team", NameInvalid), ("a/b", NameInvalid)]
)
def test_an_invalid_name_costs_no_request(
    swr: Swr, client: SwrClient, credentials: Credentials, name: str, kind: type[AdapterError]
) -> None:
    with pytest.raises(kind):
        client.organizations.create(credentials, name)
    assert not swr.seen


@pytest.mark.parametrize("answer", [Response("", 201), CONFLICT], ids=["created", "exists"])
def test_after_a_creation_nobody_waits_for_an_older_token_request(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    """A token that was requested before the creation is denied after it; later requests must not join that one."""
    repositories = [Repository(credentials, RepositoryName(name, "app")) for name in ("team", "other")]
    requested, release = threading.Semaphore(0), threading.Event()

    def late(request: Request) -> Response:
        requested.release()
        assert release.wait(10)
        return Response(json.dumps({"errors": [{"code": "DENIED", "message": "organization does not exist"}]}), 401)

    client.tokens.confirm(credentials)
    swr.answer("GET", TOKEN_PATH, late, late, token)
    swr.answer("POST", NAMESPACES, answer)
    swr.answer("GET", TEAM, entry("team"))
    with ThreadPoolExecutor(4) as pool:
        old = [pool.submit(client.tokens.bearer, repository, PUSH) for repository in repositories]
        assert all(requested.acquire(timeout=10) for _ in old)
        with contextlib.suppress(OrganizationExists):
            client.organizations.create(credentials, "team")
        try:
            assert client.tokens.bearer(repositories[0], PUSH)
            assert len(client.tokens._flights._running) == 1
        finally:
            release.set()
        assert all(isinstance(each.exception(10), OrganizationUnknown) for each in old)


def test_creation_can_be_disabled(swr: Swr, credentials: Credentials) -> None:
    swr.answer("GET", TEAM, MISSING, entry("team"))
    client = client_of(swr, create_namespaces=False)
    with pytest.raises(CreationRefused, match="SWR_ADAPTER_CREATE_NAMESPACES"):
        client.organizations.create(credentials, "team")
    with pytest.raises(OrganizationExists):
        client.organizations.create(credentials, "team")
    assert swr.count("POST", NAMESPACES) == 0


# With only the login key


def test_dockyard_lists_and_creates(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    swr.answer("GET", DOCKYARD, {"namespaces": [entry("a")]})
    swr.answer("POST", DOCKYARD, 201, CONFLICT)
    assert client.organizations.named(key_only, ["a", "b"]) == [Organization("a", 7, 5)]
    client.organizations.create(key_only, "b")
    assert json.loads(swr.seen[-1].get_data()) == {"namespace": "b"}
    with pytest.raises(OrganizationExists):
        client.organizations.create(key_only, "a")
    with pytest.raises(OrganizationTaken):
        client.organizations.create(key_only, "other")


@pytest.mark.parametrize(
    "absent",
    [
        *(Response("", status) for status in (404, 405, 401, 501)),
        Response("", 302, {"Location": "/login"}),
        Response("{}"),
        Response("<html>home</html>"),
    ],
)
def test_without_dockyard_the_token_endpoint_decides(
    swr: Swr, client: SwrClient, key_only: Credentials, absent: Response
) -> None:
    swr.answer("GET", TOKEN_PATH, token)
    swr.answer("GET", DOCKYARD, absent)
    swr.answer("POST", DOCKYARD, Response("<html>home</html>", content_type="text/html"))
    found = client.organizations.named(key_only, ["there", "gone", "closed"])
    assert found == [Organization("there"), Organization("closed")]
    with pytest.raises(CreationRefused, match="enter the SK"):
        client.organizations.create(key_only, "gone")
    with pytest.raises(Denied, match="enter the SK"):
        client.organizations.all(key_only)


def test_an_organization_is_found_without_the_permission_to_list(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    swr.answer("GET", TOKEN_PATH, token)
    swr.answer("GET", f"{NAMESPACES}/a", entry("a"))
    swr.answer("GET", f"{NAMESPACES}/b", MISSING)
    for path in (NAMESPACES, f"{NAMESPACES}/c", f"{NAMESPACES}/gone"):
        swr.answer("GET", path, NO_PERMISSION)
    found = client.organizations.named(credentials, ["a", "b", "c", "gone"])
    assert found == [Organization("a", 7, 5), Organization("c")]


def test_a_locked_account_sends_no_request_for_each_name(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", NAMESPACES, LOCKED)
    with pytest.raises(AccountBlocked):
        client.organizations.named(credentials, ["a", "b"])
    assert [request.path for request in swr.seen] == [TOKEN_PATH, NAMESPACES]


def test_exists_is_true_if_the_look_up_fails(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("a")]}, {"namespaces": [entry("a")]}, 501, LOCKED)
    found = [client.organizations.exists(credentials, name) for name in ("a", "b", "b", "b")]
    assert found == [True, False, True, True]


# Checks


def test_check_needs_the_token_endpoint_first_and_ignores_the_rate_limit(
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
def test_check_passes_without_the_management_api(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    swr.answer("GET", NAMESPACES, answer, answer, {"namespaces": []})
    client.report_outage(credentials)
    assert swr.seen == []
    client.check(credentials)
    with pytest.raises(UpstreamError):
        client.report_outage(credentials)
    # The API is back.
    client.report_outage(credentials)
    count = len(swr.seen)
    client.report_outage(credentials)
    assert len(swr.seen) == count


def test_throttling_is_no_outage(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    """A run repeats its requests for longer than the check lasts."""
    swr.answer("GET", NAMESPACES, Response("", 501), throttled := Response("", 429, {"Retry-After": "60"}))
    client.check(credentials)
    client.report_outage(credentials)
    swr.answer("GET", NAMESPACES, throttled, Response("", 501))
    client.state.drop("api-outage:eu-de")
    client.check(credentials)
    client.report_outage(credentials)


def test_look_ups_that_any_client_can_cause_keep_to_the_rate_limit(
    swr: Swr, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.swr.rate_limit.interruptible_sleep", lambda _: None)
    swr.answer("GET", TEAM, MISSING)
    client = client_of(swr, requests_per_second=1)
    client.tokens.login(credentials)
    missing = [client.organizations.is_missing(credentials, "team", OrganizationUnknown("x")) for _ in range(9)]
    assert missing == [True] * 3 + [False] * 6
    swr.answer("GET", TOKEN_PATH, refusal(401, "X"))
    for number in range(9):
        with pytest.raises((CredentialsRefused, Throttled)):
            client.tokens.confirm(parse_credentials("eu-de@AK", f"secret{number}", ["eu-de"]), BEST_EFFORT)
    assert swr.count("GET", TOKEN_PATH) <= 4


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(NO_PERMISSION, None), (LOCKED, AccountBlocked), (refusal(401, "APIG.0301"), CredentialsRefused)],
)
def test_check_needs_a_valid_signature_but_no_permission(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response, kind: type[AdapterError] | None
) -> None:
    swr.answer("GET", NAMESPACES, answer)
    with pytest.raises(kind) if kind else contextlib.nullcontext():
        client.check(credentials)
