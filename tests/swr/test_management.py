from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from werkzeug import Response

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
from adapter.swr import request_signing
from adapter.swr.client import SwrClient
from adapter.swr.models import Organization
from tests.credentials import ACCESS_KEY, SECRET_KEY
from tests.swr.scripted import Swr, client_of

NAMESPACES = "/v2/manage/namespaces"


def entry(name: str, auth: int = 7) -> dict[str, object]:
    """With the fields seen beside the documented ones (`docs/facts/swr.md §10`)."""
    return {"id": 5, "name": name, "creator_name": "c", "auth": auth, "access_user_count": 1, "repo_count": 0}


def refusal(status: int, code: str, message: str = "words") -> Response:
    return Response(json.dumps([{"errorCode": code, "errorMessage": message, "detail": ""}]), status)


def gateway(status: int, message: str, code: str = "APIG.0301") -> Response:
    return Response(json.dumps({"error_code": code, "error_msg": message, "request_id": "r-1"}), status)


ASTRAY = [
    Response("", 404),
    Response("<html>404 Not Found</html>", 404, content_type="text/html"),
    gateway(404, "The API does not exist", "APIG.0101"),
    refusal(404, "SVCSTG.SWR.4040083"),
]
"""Responses of a host that is not SWR's management API."""


def test_calls_need_the_secret_key(client: SwrClient, credentials: Credentials, key_only: Credentials) -> None:
    assert client.management.serves(credentials)
    assert not client.management.serves(key_only)


@pytest.mark.parametrize("wrapped", [True, False])
def test_organizations(swr: Swr, client: SwrClient, credentials: Credentials, wrapped: bool) -> None:
    entries = [entry("a"), entry("b", 1), {"name": "c"}]
    swr.answer("GET", NAMESPACES, Response(json.dumps({"namespaces": entries} if wrapped else entries)))
    found = client.management.organizations(credentials)
    assert found == [Organization("a", 7, 5), Organization("b", 1, 5), Organization("c")]
    assert [organization.writable for organization in found] == [True, False, True]


@pytest.mark.parametrize("answer", [Response('{"namespaces": null}'), Response("[]"), refusal(404, "")])
def test_no_organizations(swr: Swr, client: SwrClient, credentials: Credentials, answer: Response) -> None:
    swr.answer("GET", NAMESPACES, answer)
    assert client.management.organizations(credentials) == []


def test_one_organization(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", f"{NAMESPACES}/a", entry("a"))
    swr.answer("GET", f"{NAMESPACES}/b", refusal(404, "SVCSTG.SWR.4040058"))
    swr.answer("GET", f"{NAMESPACES}/c", refusal(403, "SVCSTG.SWR.4039001"))
    swr.answer("GET", f"{NAMESPACES}/d", Response("<html>"))
    assert client.management.organization(credentials, "a") == Organization("a", 7, 5)
    assert client.management.organization(credentials, "b") is None
    with pytest.raises(Denied):
        client.management.organization(credentials, "c")
    with pytest.raises(Unexpected, match="cannot parse"):
        client.management.organization(credentials, "d")


@pytest.mark.parametrize("answer", ASTRAY)
def test_a_404_of_another_host_raises(swr: Swr, client: SwrClient, credentials: Credentials, answer: Response) -> None:
    swr.grant()
    for method in ("GET", "POST"):
        swr.answer(method, NAMESPACES, answer)
    for call in (
        lambda: client.management.organizations(credentials),
        lambda: client.management.create_organization(credentials, "team"),
        lambda: client.report_outage(credentials),
    ):
        # The credentials are right: the check before a run passes, and the run reports the error.
        client.check(credentials)
        with pytest.raises(Unexpected, match="`api` of eu-de in SWR_ADAPTER_REGIONS"):
            call()


@pytest.mark.parametrize("answer", ASTRAY)
def test_a_404_for_one_organization_means_missing_unless_it_is_about_the_url(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    """SWR's own 404 may have an undocumented form, and the creation that follows shows whether it was SWR."""
    swr.answer("GET", f"{NAMESPACES}/a", answer)
    if b"SWR" not in answer.get_data() and b"APIG" not in answer.get_data():
        assert client.management.organization(credentials, "a") is None
        return
    with pytest.raises(Unexpected, match="`api` of eu-de in SWR_ADAPTER_REGIONS"):
        client.management.organization(credentials, "a")


def test_creation(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", NAMESPACES, 200, 201, 202, 204)
    for _ in range(4):
        client.management.create_organization(credentials, "team")
    assert json.loads(swr.seen[0].get_data()) == {"namespace": "team"}
    answers = {
        OrganizationExists: refusal(409, "SVCSTG.SWR.4090060"),
        OrganizationQuota: refusal(400, "SVCSTG.SWR.4000097"),
        # Not repeated.
        Unavailable: Response(status=500),
    }
    for kind, answer in answers.items():
        swr.answer("POST", NAMESPACES, answer, 201)
        with pytest.raises(kind):
            client.management.create_organization(credentials, "team")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Incorrect IAM authentication information", CredentialsRefused),
        ("x-sdk-date has expired", ClockWrong),
        ("AK access failed to reach the limit,forbidden", AccountBlocked),
    ],
)
def test_a_rejected_signature_is_not_repeated(
    swr: Swr, client: SwrClient, credentials: Credentials, message: str, kind: type[AdapterError]
) -> None:
    """Five of them lock the AK, for every tool that uses it."""
    for method in ("GET", "POST"):
        swr.answer(method, NAMESPACES, gateway(401, message))
    with pytest.raises(kind) as caught:
        client.management.organizations(credentials)
    assert caught.value.request_id == "r-1"
    for _ in range(3):
        with pytest.raises(kind):
            client.management.create_organization(credentials, "team")
    assert len(swr.seen) == 1


def test_the_signature_covers_what_was_sent(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", NAMESPACES, 201)
    client.management.create_organization(credentials, "team")
    (request,) = swr.seen
    expected = request_signing.sign(
        "POST",
        request.url,
        {"Content-Type": request.headers["Content-Type"]},
        request.get_data(),
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        now=datetime.strptime(request.headers["X-Sdk-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
    )
    assert request.headers["Authorization"] == expected["Authorization"]
    assert "SignedHeaders=content-type;host;x-sdk-date," in expected["Authorization"]
    assert "X-Project-Id" not in request.headers


def test_each_attempt_has_its_own_signature(
    swr: Swr, client: SwrClient, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    dates = ["20200608T023900Z", "20200608T023901Z"]
    left = iter(dates)
    monkeypatch.setattr(request_signing, "timestamp", lambda _: next(left))
    swr.answer("GET", NAMESPACES, 503, {"namespaces": []})
    client.management.organizations(credentials)
    assert [request.headers["X-Sdk-Date"] for request in swr.seen] == dates


def test_aws4_signs_with_the_library(swr: Swr, credentials: Credentials) -> None:
    swr.answer("GET", NAMESPACES, {"namespaces": []})
    client_of(swr, request_signing="aws4").management.organizations(credentials)
    (request,) = swr.seen
    authorization = request.headers["Authorization"]
    assert authorization.startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/")
    assert "/eu-de/swr/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, " in authorization
    assert request.headers["Host"] == swr.url.removeprefix("http://")
