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
from tests.swr.scripted import TOKEN_PATH, Swr, client_of, error, jwt
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


class Creator:
    """Creates the organization `team`."""

    def __init__(self, swr: Swr, client: SwrClient, credentials: Credentials) -> None:
        self.swr = swr
        self.organizations = client.organizations
        self.credentials = credentials
        swr.answer("GET", TEAM, entry("team"))

    def create(self, name: str = "team") -> None:
        self.organizations.create(self.credentials, name)

    @property
    def posts(self) -> int:
        return self.swr.count("POST", NAMESPACES)


@pytest.fixture
def creator(swr: Swr, client: SwrClient, credentials: Credentials) -> Creator:
    return Creator(swr, client, credentials)


def token(request: Request) -> Response:
    """Of a token endpoint for which `gone` does not exist and `closed` is not accessible."""
    messages = {"gone": "Image organization does not exist", "closed": "you do not have the permission"}
    for name, message in messages.items():
        if request.args.get("scope", "").startswith(f"repository:{name}/"):
            return error(401, message)
    return Response(json.dumps({"token": jwt()}))


# Creation


def test_a_creation_right_after_another_sends_no_second_post(creator: Creator, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no gap between the end of a creation and the moment when it is remembered."""
    creator.swr.answer("POST", NAMESPACES, 201)
    flights = creator.organizations._flights
    do = flights.do

    def do_and_create(key: Hashable, function: Callable[[], None], *, timeout: float) -> tuple[None, bool]:
        monkeypatch.setattr(flights, "do", do)
        outcome = do(key, function, timeout=timeout)
        with contextlib.suppress(OrganizationExists):
            creator.create()
        return outcome

    monkeypatch.setattr(flights, "do", do_and_create)
    creator.create()
    assert creator.posts == 1


def test_a_second_creation_is_a_look_up(creator: Creator, monkeypatch: pytest.MonkeyPatch) -> None:
    creator.swr.answer("POST", NAMESPACES, refusal(400, "SVCSTG.SWR.4000097"), 201)
    # A failed creation is not remembered.
    with pytest.raises(OrganizationQuota, match="quota"):
        creator.create()
    creator.create()
    with pytest.raises(OrganizationExists):
        creator.create()
    assert creator.posts == 2
    # If the organization was deleted meanwhile, it is created again.
    creator.swr.answer("GET", TEAM, MISSING)
    creator.create()
    assert creator.posts == 3
    # Of several threads at the same time only the first creates it.
    monkeypatch.setattr(creator.organizations._flights, "do", lambda *_, **__: (None, False))
    with pytest.raises(OrganizationExists, match="a moment ago"):
        creator.create()


@pytest.mark.parametrize(
    ("found", "kind", "message"),
    [
        (Response(json.dumps(entry("team"))), OrganizationExists, "already exists"),
        (MISSING, OrganizationTaken, "another account"),
        (refusal(403, "SVCSTG.SWR.4039001"), OrganizationTaken, "another account"),
        (Response(json.dumps(entry("team", auth=1))), Denied, "read-only access"),
    ],
)
def test_409_for_a_creation_names_the_reason(
    creator: Creator, found: Response, kind: type[AdapterError], message: str
) -> None:
    creator.swr.answer("POST", NAMESPACES, CONFLICT)
    creator.swr.answer("GET", TEAM, found)
    with pytest.raises(kind, match=message) as caught:
        creator.create()
    assert caught.value.swr_code == (None if kind is Denied else "SVCSTG.SWR.4090060")


def test_a_name_that_may_not_be_created_causes_no_post(creator: Creator) -> None:
    kinds = {"library": OrganizationReserved, "Team": NameInvalid, "a/b": NameInvalid}
    for name, kind in kinds.items():
        with pytest.raises(kind):
            creator.create(name)
    assert not creator.swr.seen
    creator.organizations = client_of(creator.swr, create_namespaces=False).organizations
    creator.swr.answer("GET", TEAM, MISSING, entry("team"))
    with pytest.raises(CreationRefused, match="SWR_ADAPTER_CREATE_NAMESPACES"):
        creator.create()
    with pytest.raises(OrganizationExists):
        creator.create()
    assert creator.posts == 0


@pytest.mark.parametrize("answer", [Response("", 201), CONFLICT], ids=["created", "exists"])
def test_no_token_request_from_before_a_creation_is_joined_after_it(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    """The earlier request is denied, because the organization did not exist when it was sent."""
    repositories = [Repository(credentials, RepositoryName(name, "app")) for name in ("team", "other")]
    requested, release = threading.Semaphore(0), threading.Event()

    def late(request: Request) -> Response:
        requested.release()
        assert release.wait(10)
        return error(401, "organization does not exist")

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


# With only the login key


def test_dockyard_lists_and_creates_with_the_login_key(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
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
    swr.seen.clear()
    swr.answer("GET", NAMESPACES, LOCKED)
    with pytest.raises(AccountBlocked):
        client.organizations.named(credentials, ["a", "b"])
    assert [request.path for request in swr.seen] == [NAMESPACES]


def test_an_organization_exists_if_the_look_up_fails(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
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


def test_check_needs_a_valid_signature_but_no_permission(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", NAMESPACES, NO_PERMISSION)
    client.check(credentials)
    for answer, kind in ((refusal(401, "APIG.0301"), CredentialsRefused), (LOCKED, AccountBlocked)):
        swr.answer("GET", NAMESPACES, answer)
        with pytest.raises(kind):
            client.check(parse_credentials(f"eu-de@{kind.__name__}", "secret", ["eu-de"]))


@pytest.mark.parametrize("answer", [Response("", 501), Response("<html>"), Response("", 404)])
def test_an_outage_of_the_management_api_is_reported_after_the_check(
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
    throttled, failed = Response("", 429, {"Retry-After": "60"}), Response("", 501)
    for answers in ((failed, throttled), (throttled, failed)):
        client.state.drop("api-outage:eu-de")
        swr.answer("GET", NAMESPACES, *answers)
        client.check(credentials)
        client.report_outage(credentials)


def test_look_ups_for_any_client_keep_the_rate_limit(
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
