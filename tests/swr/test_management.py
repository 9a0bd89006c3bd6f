from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from werkzeug import Request, Response

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    ClockWrong,
    CredentialsRefused,
    Denied,
    OrganizationExists,
    OrganizationQuota,
    Unavailable,
    Unexpected,
)
from adapter.swr import signing
from adapter.swr.client import SwrClient
from adapter.swr.management import Organization, parse_organization
from tests.credentials import ACCESS_KEY, SECRET_KEY
from tests.swr.scripted import Swr, client_of

NAMESPACES = "/v2/manage/namespaces"


def entry(name: str, auth: int = 7) -> dict[str, object]:
    """With the fields seen beside the documented ones (`docs/facts/swr.md §10`)."""
    return {"id": 5, "name": name, "creator_name": "c", "auth": auth, "access_user_count": 1, "repo_count": 0}


def refusal(status: int, code: str, message: str = "words") -> Response:
    return Response(json.dumps([{"errorCode": code, "errorMessage": message, "detail": ""}]), status)


ASTRAY = [
    Response("", 404),
    Response("<html>404 Not Found</html>", 404, content_type="text/html"),
    Response(json.dumps({"error_code": "APIG.0101", "error_msg": "The API does not exist", "request_id": "r"}), 404),
    refusal(404, "SVCSTG.SWR.4040083"),
]
"""What answers where SWR's management API is not."""


def test_serves_only_with_a_secret_key_and_a_host(
    client: SwrClient, credentials: Credentials, key_only: Credentials
) -> None:
    assert client.management.serves(credentials)
    assert not client.management.serves(key_only)


def test_lists_organizations(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("a"), entry("b", 1), {"name": "c"}]})
    found = client.management.organizations(credentials)
    assert found == [Organization("a", 7, 5), Organization("b", 1, 5), Organization("c")]
    assert [organization.writable for organization in found] == [True, False, True]


def test_a_bare_list_will_do(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", NAMESPACES, Response(json.dumps([entry("a")])))
    assert client.management.organizations(credentials) == [Organization("a", 7, 5)]


@pytest.mark.parametrize("answer", [{"namespaces": None}, {"namespaces": []}, refusal(404, "")])
def test_no_organizations(swr: Swr, client: SwrClient, credentials: Credentials, answer: object) -> None:
    swr.answer("GET", NAMESPACES, answer)  # type: ignore[arg-type]
    assert client.management.organizations(credentials) == []


NOT_ORGANIZATIONS = ["[1]", '[{"id": 1}]', '[{"name": null}]', '[{"name": 7}]', "0", "false", '""', "{}"]


@pytest.mark.parametrize("odd", [None, "", "seven", True, False, [], {}, -1, 10**20])
def test_numbers_of_an_organization_that_cannot_be_read(odd: object) -> None:
    """`true` is not the permission to read only."""
    assert parse_organization({"name": "a", "auth": odd, "id": odd}) == Organization("a")
    assert parse_organization({"name": "a", "auth": "7", "id": 5.0}) == Organization("a", 7, 5)


@pytest.mark.parametrize(
    "text", ["", "<html>", "[1]", "{}", "[" * 100_000, *(f'{{"namespaces": {each}}}' for each in NOT_ORGANIZATIONS)]
)
def test_a_list_that_cannot_be_read(swr: Swr, client: SwrClient, credentials: Credentials, text: str) -> None:
    swr.answer("GET", NAMESPACES, Response(text))
    with pytest.raises(Unexpected):
        client.management.organizations(credentials)


def test_one_organization(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", f"{NAMESPACES}/a", entry("a"))
    swr.answer("GET", f"{NAMESPACES}/b", refusal(404, "SVCSTG.SWR.4040058"))
    swr.answer("GET", f"{NAMESPACES}/c", refusal(403, "SVCSTG.SWR.4039001"))
    swr.answer("GET", f"{NAMESPACES}/d", Response("<html>"))
    assert client.management.organization(credentials, "a") == Organization("a", 7, 5)
    assert client.management.organization(credentials, "b") is None
    with pytest.raises(Denied):
        client.management.organization(credentials, "c")
    with pytest.raises(Unexpected):
        client.management.organization(credentials, "d")


@pytest.mark.parametrize("answer", ASTRAY)
def test_a_404_of_another_server_says_nothing(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    swr.grant()
    for method in ("GET", "POST"):
        swr.answer(method, NAMESPACES, answer)
    for call in (
        lambda: client.management.organizations(credentials),
        lambda: client.management.create_organization(credentials, "team"),
        lambda: client.report_outage(credentials),
    ):
        # The credentials are right: the check that comes before a run passes, and the run says what is wrong.
        client.check(credentials)
        with pytest.raises(Unexpected, match="check the `api` of eu-de in SWR_ADAPTER_REGIONS"):
            call()


@pytest.mark.parametrize("answer", ASTRAY)
def test_one_organization_is_missing_unless_it_is_the_address_that_is_wrong(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    """SWR's own 404 may have another shape than is documented, and the creation that follows tells if it was none."""
    swr.answer("GET", f"{NAMESPACES}/a", answer)
    if b"SWR" not in answer.get_data() and b"APIG" not in answer.get_data():
        assert client.management.organization(credentials, "a") is None
        return
    with pytest.raises(Unexpected, match="check the `api` of eu-de in SWR_ADAPTER_REGIONS"):
        client.management.organization(credentials, "a")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_created(swr: Swr, client: SwrClient, credentials: Credentials, status: int) -> None:
    swr.answer("POST", NAMESPACES, status)
    client.management.create_organization(credentials, "team")
    assert json.loads(swr.seen[0].get_data()) == {"namespace": "team"}


def test_creation_refused(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", NAMESPACES, refusal(409, "SVCSTG.SWR.4090060"), refusal(400, "SVCSTG.SWR.4000097"))
    with pytest.raises(OrganizationExists):
        client.management.create_organization(credentials, "team")
    with pytest.raises(OrganizationQuota):
        client.management.create_organization(credentials, "team")


def test_creation_is_not_repeated_after_a_server_error(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", NAMESPACES, 500, 201)
    with pytest.raises(Unavailable):
        client.management.create_organization(credentials, "team")


def test_a_bad_signature_is_refused_credentials(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    body = {"error_msg": "Incorrect IAM authentication information", "error_code": "APIG.0301", "request_id": "r-1"}
    swr.answer("GET", NAMESPACES, Response(json.dumps(body), 401))
    with pytest.raises(CredentialsRefused) as caught:
        client.management.organizations(credentials)
    assert caught.value.request_id == "r-1"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Incorrect IAM authentication information", CredentialsRefused),
        ("x-sdk-date has expired", ClockWrong),
        ("AK access failed to reach the limit,forbidden", AccountBlocked),
    ],
)
def test_a_refused_signature_is_not_tried_again(
    swr: Swr, client: SwrClient, credentials: Credentials, message: str, kind: type[AdapterError]
) -> None:
    """Five of them lock the AK, for every tool that uses it."""
    refused = Response(json.dumps({"error_code": "APIG.0301", "error_msg": message}), 401)
    swr.answer("GET", NAMESPACES, refused)
    swr.answer("POST", NAMESPACES, refused)
    for _ in range(4):
        with pytest.raises(kind):
            client.management.organizations(credentials)
        with pytest.raises(kind):
            client.management.create_organization(credentials, "team")
    assert len(swr.seen) == 1


def test_the_signature_is_of_what_was_sent(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", NAMESPACES, 201)
    client.management.create_organization(credentials, "team")
    (request,) = swr.seen
    date = request.headers["X-Sdk-Date"]
    now = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    again = signing.sign(
        "POST",
        request.url,
        {"Content-Type": request.headers["Content-Type"]},
        request.get_data(),
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        now=now,
    )
    assert request.headers["Authorization"] == again["Authorization"]
    assert "SignedHeaders=content-type;host;x-sdk-date," in again["Authorization"]
    assert "X-Project-Id" not in request.headers


def test_each_attempt_is_signed_anew(
    swr: Swr, client: SwrClient, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    dates = iter(["20200608T023900Z", "20200608T023901Z"])
    monkeypatch.setattr(signing, "timestamp", lambda _: next(dates))
    swr.answer("GET", NAMESPACES, 503, {"namespaces": []})
    client.management.organizations(credentials)
    assert [request.headers["X-Sdk-Date"] for request in swr.seen] == ["20200608T023900Z", "20200608T023901Z"]


def test_aws4_signs_with_the_library(swr: Swr, credentials: Credentials) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response('{"namespaces": []}')

    swr.answer("GET", NAMESPACES, answer)
    client_of(swr, signing="aws4").management.organizations(credentials)
    authorization = seen[0].headers["Authorization"]
    assert authorization.startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/")
    assert "/eu-de/swr/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, " in authorization
    assert seen[0].headers["Host"] == swr.url.removeprefix("http://")
