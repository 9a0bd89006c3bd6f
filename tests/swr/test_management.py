from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

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


ENTRIES = [entry("a"), entry("b", 1), {"name": "c"}]
ORGANIZATIONS = [Organization("a", 7, 5), Organization("b", 1, 5), Organization("c")]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Response(json.dumps({"namespaces": ENTRIES})), ORGANIZATIONS),
        (Response(json.dumps(ENTRIES)), ORGANIZATIONS),
        *((each, []) for each in (Response('{"namespaces": null}'), Response("[]"), refusal(404, ""))),
    ],
)
def test_organizations_are_listed(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response, expected: list[Organization]
) -> None:
    swr.answer("GET", NAMESPACES, answer)
    found = client.management.organizations(credentials)
    assert found == expected
    assert [organization.writable for organization in found] == [True, False, True][: len(found)]


def test_one_organization_is_found(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    answers: dict[str, Any] = {
        "a": entry("a"),
        "b": refusal(404, "SVCSTG.SWR.4040058"),
        "c": refusal(403, "SVCSTG.SWR.4039001"),
        "d": Response("<html>"),
        # SWR's own 404 may have an undocumented form; a creation that follows shows whether it was SWR.
        "e": ASTRAY[0],
        "f": ASTRAY[2],
        "g": ASTRAY[3],
    }
    for name, answer in answers.items():
        swr.answer("GET", f"{NAMESPACES}/{name}", answer)
    assert client.management.organization(credentials, "a") == Organization("a", 7, 5)
    for name in ("b", "e"):
        assert client.management.organization(credentials, name) is None
    with pytest.raises(Denied):
        client.management.organization(credentials, "c")
    with pytest.raises(Unexpected, match="cannot parse"):
        client.management.organization(credentials, "d")
    for name in ("f", "g"):
        with pytest.raises(Unexpected, match="`api` of eu-de in SWR_ADAPTER_REGIONS"):
            client.management.organization(credentials, name)


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


def test_an_organization_is_created(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
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


def test_each_attempt_is_signed_as_sent(
    swr: Swr, client: SwrClient, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    dates = ["20200608T023900Z", "20200608T023901Z"]
    left = list(dates)
    with monkeypatch.context() as patched:
        patched.setattr(request_signing, "timestamp", lambda _: left.pop(0))
        swr.answer("POST", NAMESPACES, 503, 201)
        client.management.create_organization(credentials, "team")
    assert [request.headers["X-Sdk-Date"] for request in swr.seen] == dates
    for request, date in zip(swr.seen, dates, strict=True):
        expected = request_signing.sign(
            "POST",
            request.url,
            {"Content-Type": request.headers["Content-Type"]},
            request.get_data(),
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            now=datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
        )
        assert request.headers["Authorization"] == expected["Authorization"]
        assert "SignedHeaders=content-type;host;x-sdk-date," in expected["Authorization"]
        assert "X-Project-Id" not in request.headers


def test_aws4_signs_with_botocore(swr: Swr, credentials: Credentials) -> None:
    swr.answer("GET", NAMESPACES, {"namespaces": []})
    client_of(swr, signing="aws4").management.organizations(credentials)
    (request,) = swr.seen
    authorization = request.headers["Authorization"]
    assert authorization.startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/")
    assert "/eu-de/swr/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, " in authorization
    assert request.headers["Host"] == swr.url.removeprefix("http://")
