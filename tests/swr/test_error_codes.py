from __future__ import annotations

import json
from typing import Any

import pytest

from adapter import errors
from adapter.errors import AdapterError
from adapter.swr.error_codes import (
    _BY_NUMBER,
    _BY_OCI_CODE,
    _LAYER_SIZE,
    _NO_ORGANIZATION,
    error_for,
    management_error_for,
    registry_error_for,
)
from adapter.swr.error_response import ErrorResponse, is_gateway_code, parse_error_response


def response_of(status: int, body: Any, headers: dict[str, str] | None = None) -> ErrorResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_error_response(status, data, headers or {}, 7.5)


def error_of(status: int, body: Any, headers: dict[str, str] | None = None) -> AdapterError:
    return error_for(response_of(status, body, headers))


def management(code: str, message: str = "words") -> list[dict[str, str]]:
    return [{"errorCode": f"SVCSTG.SWR.{code}", "errorMessage": message, "detail": ""}]


def registry(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message, "detail": ""}]}


def gateway(message: str, code: str = "APIG.0301") -> dict[str, str]:
    return {"error_code": code, "error_msg": message, "request_id": "of the body"}


@pytest.mark.parametrize(
    "body",
    [
        management("4000097", "too many"),
        {"errors": management("4000097", "too many"), "error_code": "X", "error_msg": "y"},
        {"error_code": "SVCSTG.SWR.4000097", "error_msg": "too many", "request_id": "abc"},
        registry("SVCSTG.SWR.4000097", "too many"),
    ],
)
def test_each_documented_form_is_read(body: Any) -> None:
    error = error_of(400, body, {"X-Request-Id": "abc"})
    assert isinstance(error, errors.OrganizationQuota)
    assert (error.swr_code, error.swr_message, error.request_id) == ("SVCSTG.SWR.4000097", "too many", "abc")
    assert "quota" in error.sentence


@pytest.mark.parametrize(
    ("body", "headers", "request_id"),
    [
        ({"request_id": "one"}, {"X-Request-Id": "header"}, "one"),
        ({"requestId": "two"}, {"X-Request-Id": "header"}, "two"),
        ({"request_id": " ", "requestId": "two"}, {}, "two"),
        ({"request_id": "one", "requestId": "two"}, {}, "one"),
        ({"request_id": 7}, {"X-Request-Id": "header"}, "header"),
        ({}, {"X-Request-Id": "header"}, "header"),
        ({}, {}, None),
    ],
)
def test_a_request_id_is_read_from_body_or_header(
    body: dict[str, object], headers: dict[str, str], request_id: str | None
) -> None:
    assert parse_error_response(500, json.dumps(body).encode(), headers) == ErrorResponse(500, request_id=request_id)


@pytest.mark.parametrize(
    ("entry", "code", "message"),
    [
        ({"errorCode": "a", "error_code": "b", "code": "c"}, "a", None),
        ({"error_code": "b", "code": "c"}, "b", None),
        ({"errorCode": 1, "error_code": "", "code": "c"}, "c", None),
        ({"errorMessage": "a", "error_msg": "b", "message": "c"}, None, "a"),
        ({"error_msg": "b", "message": "c"}, None, "b"),
        ({"errorMessage": None, "error_msg": "\n", "message": " c\r\n  d "}, None, "c d"),
        ({"message": "x" * 300}, None, "x" * 300),
        ({"message": "x" * 301}, None, "x" * 300),
        ({"errors": [{"code": "inner"}], "code": "outer", "message": "kept"}, "inner", "kept"),
        ({"errors": {"code": "inner", "errors": [{"message": "innermost"}]}}, "inner", "innermost"),
        ({"errors": ["words"], "code": "outer"}, "outer", None),
    ],
)
def test_the_first_valid_field_is_read(entry: dict[str, object], code: str | None, message: str | None) -> None:
    response = parse_error_response(400, json.dumps(entry).encode(), {})
    assert (response.status, response.code, response.message) == (400, code, message)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b" no such\r\n  host\n", "text/plain; charset=utf-8", "no such host"),
        (b"x" * 301, "Text/Plain", "x" * 300),
        (b"caf\xe9", "text/plain ;charset=latin-1", "caf\ufffd"),
        (b'{"message": "words"}', "text/plain", "words"),
        *((each, "text/plain", None) for each in (b"\x1b[31mred", b" \n", b"", b'"words"')),
        *((b"words", kind, None) for kind in ("text/html", None)),
        *((each, None, None) for each in (b"null", b"7", b"[[]]", b'{"errors":[]}', b'{"errors":{}}')),
        *((each, None, None) for each in (b"[" * 100_000, b"\xff")),
    ],
    ids=range(17),
)
def test_plain_text_is_the_message(body: bytes, kind: str | None, message: str | None) -> None:
    response = parse_error_response(404, body, {"Content-Type": kind} if kind else {})
    assert (response.code, response.message, response.astray) == (None, message, True)
    assert type(error_of(500, body)) is errors.Unavailable


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (400, management("4009999"), errors.InvalidRequest, ""),
        (500, management("5000001"), errors.Unavailable, ""),
        (403, gateway("the limit"), errors.CredentialsRefused, ""),
        (403, gateway("forbidden"), errors.CredentialsRefused, ""),
        (
            403,
            gateway("AK access failed to reach the limit,forbidden"),
            errors.AccountBlocked,
            "OTC locked this AK after repeated invalid signatures: check the AK and SK, then wait five minutes",
        ),
        (401, gateway("AK access failed to reach the limit,forbidden", "APIGW.0301"), errors.AccountBlocked, ""),
        (
            401,
            gateway("signature expired"),
            errors.ClockWrong,
            "OTC rejected the request timestamp (more than 15 minutes off): synchronize the clock of the adapter's "
            "host (NTP)",
        ),
        *(
            (401, gateway(words, code), errors.ClockWrong, "")
            for words in ("bad X-Sdk-Date", "Timestamp wrong", "clock skew", "the time differs")
            for code in ("APIG.0301", "APIGW.0301")
        ),
        (
            429,
            gateway("slow down", "APIG.0308"),
            errors.Throttled,
            "OTC is rate-limiting this account: run fewer replications in parallel",
        ),
        (429, gateway("slow down", "APIGW.0308"), errors.Throttled, ""),
        (403, gateway("request Throttled", "APIG.0308"), errors.Throttled, ""),
        (400, gateway("other"), errors.InvalidRequest, ""),
        (503, gateway("other"), errors.Unavailable, ""),
        (
            401,
            gateway("Incorrect IAM authentication information"),
            errors.CredentialsRefused,
            "OTC's API gateway rejected the AK/SK signature: check the AK and SK",
        ),
        (
            401,
            gateway("Incorrect IAM authentication information: ak AAAA not exist", "APIGW.0301"),
            errors.CredentialsRefused,
            "AK not found by OTC's API gateway: check the AK in the Access ID, and enter a permanent AK if it is "
            "a temporary one (Harbor has no field for the security token of a temporary AK)",
        ),
        (
            404,
            gateway("The API does not exist", "APIGW.0101"),
            errors.Unexpected,
            "no SWR API at this address (status 404, no content type, APIGW.0101: The API does not exist): check "
            "the hosts of the region in SWR_ADAPTER_REGIONS",
        ),
        (404, gateway("The API does not exist", "APIG.0101"), errors.Unexpected, ""),
        (400, gateway("The API does not exist", "APIGW.0101"), errors.Unexpected, ""),
        (401, registry("APIG", "expired"), errors.CredentialsRefused, ""),
        (
            401,
            registry("DENIED", "Authenticate Error"),
            errors.CredentialsRefused,
            "SWR rejected the credentials: check the AK and the SK or login key (deleting an AK also revokes its login "
            "key)",
        ),
        (403, registry("DENIED", "Authentication failed"), errors.CredentialsRefused, ""),
        (403, registry("DENIED", "limit, forbidden"), errors.Denied, ""),
        (403, registry("DENIED", "no permission for the organization"), errors.Denied, ""),
        (403, registry("DENIED", "the image does not exist"), errors.Denied, ""),
        (
            403,
            registry("DENIED", "words"),
            errors.Denied,
            "SWR denied access (check the account's permissions): SWR answered 403 (DENIED: words)",
        ),
        (401, registry("DENIED", "Image organization does not exist"), errors.OrganizationUnknown, _NO_ORGANIZATION[1]),
        (
            403,
            registry("DENIED", "Not allow to login, upload or download image"),
            errors.AccountBlocked,
            "SWR blocked this account for too many requests: wait about 30 minutes",
        ),
        (
            404,
            registry("BLOB_UNKNOWN", ""),
            errors.BlobUnknown,
            "not found in SWR: SWR answered 404 (BLOB_UNKNOWN)",
        ),
        (
            404,
            [{"errorMessage": "words"}],
            errors.RepositoryUnknown,
            "not found in SWR: SWR answered 404 (words)",
        ),
        (404, b"", errors.RepositoryUnknown, ""),
        (413, b"", errors.TooLarge, f"the content exceeds {_LAYER_SIZE}: split it into smaller layers"),
        (416, b"", errors.RangeInvalid, "SWR rejected the chunk: SWR answered 416"),
        (
            429,
            b"",
            errors.Throttled,
            "SWR is rate-limiting this account: run fewer replications in parallel",
        ),
        (
            401,
            b"",
            errors.CredentialsRefused,
            "SWR rejected the credentials (check the AK and SK): SWR answered 401",
        ),
        (403, b"", errors.Denied, ""),
        (502, b"<html>bad gateway</html>", errors.Unavailable, "SWR is not available: SWR answered 502"),
        (302, b"", errors.Unexpected, "unexpected response from SWR: SWR answered 302"),
        (399, registry("NAME_INVALID", "x"), errors.Unexpected, ""),
        (
            400,
            registry("TAG_INVALID", "words"),
            errors.TagInvalid,
            "SWR rejected the request: SWR answered 400 (TAG_INVALID: words)",
        ),
        *((status, b"", errors.InvalidRequest, "") for status in (400, 499)),
        (500, b"", errors.Unavailable, ""),
    ],
)
def test_a_response_becomes_an_error_with_the_words_of_swr(
    status: int, body: Any, kind: type[AdapterError], sentence: str
) -> None:
    """A support case at OTC needs SWR's code, message and request ID."""
    error = error_of(status, body, {"X-Request-Id": "of the header"})
    assert type(error) is kind
    assert error.sentence.isprintable()
    assert error.sentence == (sentence or error.sentence)
    response = response_of(status, body)
    assert (error.swr_code, error.swr_message) == (response.code, response.message)
    assert error.request_id == (response.request_id or "of the header")
    assert error.retry_after == 7.5


BY_NUMBER = {
    errors.OrganizationQuota: ["4000097"],
    errors.Denied: ["4000098", "4000099", "4011044", "4011064", "4037017", "4037018", "4037020", "4039001", "4039002"],
    errors.CredentialsRefused: ["4000031", "4010000"],
    errors.OrganizationUnknown: ["4040058", "4041061"],
    errors.Throttled: ["4031032", "4031042"],
    errors.Unavailable: ["4090023"],
    errors.DigestInvalid: ["4000013"],
    errors.TooLarge: ["4130025", "4131001"],
    errors.NameInvalid: ["4001008", "4001028", "4001029", "4009010", "4009011"],
    errors.TagInvalid: ["4009021"],
}
"""`docs/facts/swr.md §4.12`."""
BY_OCI_CODE = {
    "BLOB_UNKNOWN": errors.BlobUnknown,
    "BLOB_UPLOAD_INVALID": errors.UploadInvalid,
    "BLOB_UPLOAD_UNKNOWN": errors.UploadUnknown,
    "DIGEST_INVALID": errors.DigestInvalid,
    "MANIFEST_BLOB_UNKNOWN": errors.ManifestInvalid,
    "MANIFEST_INVALID": errors.ManifestInvalid,
    "MANIFEST_UNKNOWN": errors.ManifestUnknown,
    "NAME_INVALID": errors.NameInvalid,
    "NAME_UNKNOWN": errors.RepositoryUnknown,
    "SIZE_INVALID": errors.SizeInvalid,
    "TAG_INVALID": errors.TagInvalid,
}


def test_each_code_has_its_kind() -> None:
    expected = {number: kind for kind, numbers in BY_NUMBER.items() for number in numbers}
    assert expected.keys() == _BY_NUMBER.keys()
    for number, kind in expected.items():
        for status in (400, 401, 403, 418):
            error = error_of(status, management(number))
            assert type(error) is kind
            assert error.sentence == f"{_BY_NUMBER[number][1]} [SVCSTG.SWR.{number}]"
    assert BY_OCI_CODE.keys() == _BY_OCI_CODE.keys()
    for code, kind in BY_OCI_CODE.items():
        assert type(error_of(400, registry(code, "words"))) is kind
        gone = errors.UploadUnknown if kind is errors.UploadInvalid else kind
        assert type(error_of(404, registry(code, "words"))) is gone
        assert type(error_of(403, registry(code, "words"))) is errors.Denied


def test_a_message_becomes_one_short_line() -> None:
    error = error_of(400, management("4009999", "two\nlines " + "x" * 5000))
    assert "\n" not in error.sentence
    assert len(error.sentence) < 500


# 404 of the management API and of the registry


MANAGEMENT_ABSENT: list[Any] = [
    management("4040113"),
    management("4040058"),
    [{"errorCode": "", "errorMessage": "", "detail": ""}],
    [{"errorMessage": "words"}],
    {"errorCode": "SVCSTG.SWR.4040091"},
    {"errorMessage": "words"},
    {"errors": [{"errorCode": "SVCSTG.SWR.4041057"}], "error_code": "SVCSTG.SWR.4041057", "error_msg": "words"},
    {"error_code": "SVCSTG.SWR.4040009", "error_msg": "words", "request_id": "r"},
    {"error_code": "NotFound"},
    {"error_msg": "words"},
    registry("NAME_UNKNOWN", "words"),
    {"errors": [{"message": "words"}]},
    {"errors": [{"code": "NAPIG.1"}]},
    {"errors": [{"code": None}]},
    [{"message": "words"}],
    {"errors": [], "error_msg": "words"},
    {"errors": "words", "error_code": "words"},
]
ASTRAY: list[Any] = [
    b"",
    b"<html>404 Not Found</html>",
    b"404 page not found",
    b'{"errors":[{"code":"NAME_UN',
    b"[" * 100_000,
    {},
    [],
    None,
    "words",
    {"errors": []},
    {"errors": "code"},
    {"errors": {"code": "x"}},
    {"errors": ["code"]},
    ["errorCode"],
    [[{"code": "x"}]],
    {"message": "no Route matched with those values"},
    {"code": 404, "message": "HTTP 404 Not Found"},
    {"error": "Not Found", "status": 404},
    {"detail": "Not Found"},
    gateway("The API does not exist", "APIG.0101"),
    gateway("The API does not exist", "APIGW.0101"),
    registry("APIG.0101", "words"),
    management("4040083"),
    {"error_code": "SVCSTG.SWR.4040083"},
]


REGISTRY_ABSENT: list[Any] = [
    *(registry(code, "words") for code in ("MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "BLOB_UPLOAD_UNKNOWN", "NAME_UNKNOWN")),
    *(registry(code, "words") for code in ("NOT_FOUND", "SVCSTG.SWR.4041060")),
    registry("NO_SUCH_IMAGE", "the image does not exist"),
    management("4040113"),
]
REGISTRY_OTHER: list[Any] = [
    *(registry(code, "not found") for code in ("UNSUPPORTED", "DENIED")),
    *(registry(code, "words") for code in ("MANIFEST_INVALID", "TEAPOT")),
    management("5000001"),
]
"""From the registry, but not about a missing object."""
REGISTRY_ASTRAY: list[Any] = [*ASTRAY, [{"errorMessage": "words"}], {"errors": [{"message": "does not exist"}]}]


@pytest.mark.parametrize("body", MANAGEMENT_ABSENT, ids=str)
def test_404_of_the_management_api_means_missing(body: Any) -> None:
    response = response_of(404, body)
    assert not response.astray
    assert isinstance(management_error_for(response, "eu-de"), errors.NotFound)


@pytest.mark.parametrize("body", ASTRAY, ids=lambda body: str(body)[:50])
def test_404_of_another_host_is_unexpected(body: Any) -> None:
    """Otherwise a list would be empty, and a deletion successful, with a wrong `api`."""
    response = response_of(404, body, {"X-Request-Id": "r"})
    assert response.astray
    error = management_error_for(response, "eu-de")
    assert type(error) is errors.Unexpected
    assert error.sentence == (
        f"no SWR management API at the configured URL ({response.quoted()}): check the `api` of eu-de in "
        "SWR_ADAPTER_REGIONS"
    )
    assert (error.swr_code, error.request_id, error.retry_after) == (response.code, response.request_id, 7.5)
    for status in (400, 401, 403, 405, 500):
        other = response_of(status, body)
        assert not other.astray
        assert type(management_error_for(other, "eu-de")) is type(error_for(other))


@pytest.mark.parametrize("body", [*REGISTRY_ABSENT, *REGISTRY_OTHER], ids=str)
def test_404_of_the_registry_means_missing_by_its_code(body: Any) -> None:
    response = response_of(404, body)
    assert response.is_of_registry
    assert response.is_absence is (body in REGISTRY_ABSENT)
    assert isinstance(registry_error_for(response, "eu-de"), errors.NotFound) is response.is_absence


@pytest.mark.parametrize("body", REGISTRY_ASTRAY, ids=lambda body: str(body)[:50])
def test_404_of_another_host_than_the_registry_names_the_response(body: Any) -> None:
    response = response_of(404, body, {"Content-Type": "text/html; charset=utf-8"})
    assert not response.is_absence
    error = registry_error_for(response, "eu-de")
    assert type(error) is errors.Unexpected
    assert "status 404, content type text/html; charset=utf-8" in error.sentence
    assert "check the `registry` of eu-de in SWR_ADAPTER_REGIONS" in error.sentence
    assert (response.code or "") in error.sentence


@pytest.mark.parametrize("kind", ["a/\x1b[31m", "a/\u0100", " ", "x" * 101])
def test_a_content_type_is_quoted_in_printable_ascii(kind: str) -> None:
    assert response_of(404, b"", {"Content-Type": kind}).content_type in (None, "x" * 100)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("APIG.0301", True), ("APIGW.0101", True), ("APIGWX.1", False), ("XAPIG.1", False), ("", False), (None, False)],
)
def test_a_gateway_code_is_recognized(code: str | None, expected: bool) -> None:
    assert is_gateway_code(code) is expected
