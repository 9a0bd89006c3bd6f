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


def refused(status: int, body: Any, headers: dict[str, str] | None = None) -> AdapterError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_for(parse_error_response(status, data, headers or {}, 7.5))


def management(code: str, message: str = "words") -> list[dict[str, str]]:
    return [{"errorCode": f"SVCSTG.SWR.{code}", "errorMessage": message, "detail": ""}]


def registry(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message, "detail": ""}]}


def gateway(message: str, code: str = "APIG.0301") -> dict[str, str]:
    return {"error_code": code, "error_msg": message, "request_id": "of the body"}


@pytest.mark.parametrize(
    "body",
    [
        [{"errorCode": "SVCSTG.SWR.4000097", "errorMessage": "too many", "detail": ""}],
        {
            "errors": [{"errorCode": "SVCSTG.SWR.4000097", "errorMessage": "too many"}],
            "error_code": "X",
            "error_msg": "y",
        },
        {"error_code": "SVCSTG.SWR.4000097", "error_msg": "too many", "request_id": "abc"},
        {"errors": [{"code": "SVCSTG.SWR.4000097", "message": "too many", "detail": {}}]},
    ],
)
def test_all_four_shapes_are_read(body: Any) -> None:
    error = refused(400, body, {"X-Request-Id": "abc"})
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
def test_request_ids(body: dict[str, object], headers: dict[str, str], request_id: str | None) -> None:
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
def test_which_field_is_taken(entry: dict[str, object], code: str | None, message: str | None) -> None:
    refusal = parse_error_response(400, json.dumps(entry).encode(), {})
    assert (refusal.status, refusal.code, refusal.message) == (400, code, message)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b" no such\r\n  host\n", "text/plain; charset=utf-8", "no such host"),
        (b"x" * 301, "Text/Plain", "x" * 300),
        (b"caf\xe9", "text/plain ;charset=latin-1", "caf\ufffd"),
        (b"\x1b[31mred", "text/plain", None),
        (b" \n", "text/plain", None),
        (b"", "text/plain", None),
        (b"words", "text/html", None),
        (b"words", None, None),
        (b'{"message": "words"}', "text/plain", "words"),
        (b'"words"', "text/plain", None),
    ],
)
def test_a_plain_text_is_the_message(body: bytes, kind: str | None, message: str | None) -> None:
    refusal = parse_error_response(400, body, {"Content-Type": kind} if kind else {})
    assert (refusal.code, refusal.message) == (None, message)


def test_a_404_in_plain_text_may_be_of_any_server() -> None:
    assert parse_error_response(404, b"404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"}).astray


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("SVCSTG.SWR.4000097", "4000097"),
        ("SWR.4000097", "4000097"),
        ("SVCSTG.S2I.4019000", ""),
        ("SVCSTG.SWR.X.4000097", ""),
        ("4000097", ""),
        ("APIG.0301", ""),
        ("DENIED", ""),
        (None, ""),
    ],
)
def test_numbers(code: str | None, number: str) -> None:
    assert ErrorResponse(400, code).number == number


def test_words_are_found_in_any_case() -> None:
    refusal = ErrorResponse(401, message="Authenticate Error")
    assert refusal.says("error", "authenticate")
    assert not refusal.says("error", "failed")
    assert not ErrorResponse(401).says("x")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"7",
        b'"x"',
        b"[]",
        b"[[]]",
        b'{"errors":[]}',
        b'{"errors":{}}',
        b"[" * 100_000,
        b"\xff",
    ],
    ids=range(11),
)
def test_a_body_of_no_shape_is_left_out(body: bytes) -> None:
    error = refused(500, body)
    assert isinstance(error, errors.Unavailable)
    assert error.swr_code is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, management("4000097"), errors.OrganizationQuota),
        (403, management("4039001"), errors.Denied),
        (401, management("4011064"), errors.Denied),
        (401, management("4011044"), errors.Denied),
        (403, management("4039002"), errors.Denied),
        (400, management("4000031"), errors.CredentialsRefused),
        (401, management("4010000"), errors.CredentialsRefused),
        (404, management("4040058"), errors.OrganizationUnknown),
        (403, management("4031032"), errors.Throttled),
        (400, management("4000013"), errors.DigestInvalid),
        (413, management("4130025"), errors.TooLarge),
        (400, management("4001028"), errors.NameInvalid),
        (400, management("4009011"), errors.NameInvalid),
        (400, management("4009021"), errors.TagInvalid),
        (400, management("4009999"), errors.InvalidRequest),
        (500, management("5000001"), errors.Unavailable),
        (
            401,
            {"error_code": "APIG.0301", "error_msg": "Incorrect IAM authentication information"},
            errors.CredentialsRefused,
        ),
        (
            403,
            {"error_code": "APIG.0301", "error_msg": "AK access failed to reach the limit,forbidden"},
            errors.AccountBlocked,
        ),
        (403, gateway("the limit"), errors.CredentialsRefused),
        (403, gateway("forbidden"), errors.CredentialsRefused),
        (401, gateway("signature expired"), errors.ClockWrong),
        (401, gateway("bad X-Sdk-Date"), errors.ClockWrong),
        (401, gateway("Timestamp wrong"), errors.ClockWrong),
        (401, gateway("clock skew"), errors.ClockWrong),
        (401, gateway("the time differs"), errors.ClockWrong),
        (429, gateway("slow down", "APIG.0308"), errors.Throttled),
        (403, gateway("request Throttled", "APIG.0308"), errors.Throttled),
        (400, gateway("other"), errors.InvalidRequest),
        (503, gateway("other"), errors.Unavailable),
        (401, registry("APIG", "expired"), errors.CredentialsRefused),
        (403, registry("DENIED", "limit, forbidden"), errors.Denied),
        (404, gateway("The API does not exist", "APIG.0101"), errors.Unexpected),
        (404, gateway("The API does not exist or has not been published", "APIGW.0101"), errors.Unexpected),
        (400, gateway("The API does not exist", "APIGW.0101"), errors.Unexpected),
        (401, gateway("AK access failed to reach the limit,forbidden", "APIGW.0301"), errors.AccountBlocked),
        (401, gateway("signature expired", "APIGW.0301"), errors.ClockWrong),
        (401, gateway("ak AAAA not exist", "APIGW.0301"), errors.CredentialsRefused),
        (429, gateway("slow down", "APIGW.0308"), errors.Throttled),
        (403, registry("DENIED", "Authenticate Error"), errors.CredentialsRefused),
        (403, registry("DENIED", "Authentication failed"), errors.CredentialsRefused),
        (403, registry("DENIED", "no permission for the organization"), errors.Denied),
        (403, registry("DENIED", "the image does not exist"), errors.Denied),
        (401, registry("DENIED", "Image organization does not exist"), errors.OrganizationUnknown),
        (403, registry("DENIED", "you do not have the permission"), errors.Denied),
        (403, registry("DENIED", "Not allow to login, upload or download image"), errors.AccountBlocked),
        (404, registry("BLOB_UNKNOWN", "x"), errors.BlobUnknown),
        (404, registry("MANIFEST_UNKNOWN", "x"), errors.ManifestUnknown),
        (404, b"", errors.RepositoryUnknown),
        (400, registry("DIGEST_INVALID", "x"), errors.DigestInvalid),
        (400, registry("MANIFEST_INVALID", "x"), errors.ManifestInvalid),
        (413, b"", errors.TooLarge),
        (416, b"", errors.RangeInvalid),
        (429, b"", errors.Throttled),
        (401, b"", errors.CredentialsRefused),
        (403, b"", errors.Denied),
        (502, b"<html>bad gateway</html>", errors.Unavailable),
        (302, b"", errors.Unexpected),
        (399, registry("NAME_INVALID", "x"), errors.Unexpected),
        (400, b"", errors.InvalidRequest),
        (499, b"", errors.InvalidRequest),
        (500, b"", errors.Unavailable),
    ],
)
def test_what_becomes_of_a_refusal(status: int, body: Any, kind: type[AdapterError]) -> None:
    """SWR's own code, words and request id stay with it: a person who asks OTC needs them."""
    error = refused(status, body, {"X-Request-Id": "of the header"})
    assert type(error) is kind
    assert error.sentence.isprintable()
    refusal = parse_error_response(status, body if isinstance(body, bytes) else json.dumps(body).encode(), {})
    assert (error.swr_code, error.swr_message) == (refusal.code, refusal.message)
    assert error.request_id == (refusal.request_id or "of the header")
    assert error.retry_after == 7.5


BY_NUMBER = {
    errors.OrganizationQuota: ("4000097",),
    errors.Denied: (
        *("4000098", "4000099", "4011044", "4011064", "4037017", "4037018", "4037020", "4039001", "4039002"),
    ),
    errors.CredentialsRefused: ("4000031", "4010000"),
    errors.OrganizationUnknown: ("4040058", "4041061"),
    errors.Throttled: ("4031032", "4031042"),
    errors.Unavailable: ("4090023",),
    errors.DigestInvalid: ("4000013",),
    errors.TooLarge: ("4130025", "4131001"),
    errors.NameInvalid: ("4001008", "4001028", "4001029", "4009010", "4009011"),
    errors.TagInvalid: ("4009021",),
}
"""`docs/facts/swr.md §4.12`."""


def test_every_number_has_its_kind_and_its_words() -> None:
    expected = {number: kind for kind, numbers in BY_NUMBER.items() for number in numbers}
    assert expected.keys() == _BY_NUMBER.keys()
    for number, kind in expected.items():
        error = refused(418, management(number))
        assert type(error) is kind
        assert error.sentence == f"{_BY_NUMBER[number][1]} [SVCSTG.SWR.{number}]"


def test_every_code_of_the_distribution_spec_has_its_kind() -> None:
    expected = {
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
    assert expected.keys() == _BY_OCI_CODE.keys()
    for code, kind in expected.items():
        assert type(refused(400, registry(code, "words"))) is kind
        gone = errors.UploadUnknown if kind is errors.UploadInvalid else kind
        assert type(refused(404, registry(code, "words"))) is gone
        assert type(refused(403, registry(code, "words"))) is errors.Denied


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            403,
            gateway("AK access failed to reach the limit,forbidden"),
            "OTC locked this AK after repeated invalid signatures: check the AK and SK, then wait five minutes",
        ),
        (
            401,
            gateway("expired"),
            "OTC rejected the request timestamp (more than 15 minutes off): synchronize the clock of the adapter's "
            "host (NTP)",
        ),
        (429, gateway("x"), "OTC is rate-limiting this account: run fewer replications in parallel"),
        (401, gateway("x"), "OTC's API gateway rejected the AK/SK signature: check the AK and SK"),
        (
            401,
            gateway("Incorrect IAM authentication information: ak AAAA not exist", "APIGW.0301"),
            "AK not found by OTC's API gateway: check the AK in the Access ID, and enter a permanent AK if it is "
            "a temporary one (Harbor has no field for the security token of a temporary AK)",
        ),
        (
            404,
            gateway("The API does not exist", "APIGW.0101"),
            "no SWR API at this address (status 404, no content type, APIGW.0101: The API does not exist): check "
            "the hosts of the region in SWR_ADAPTER_REGIONS",
        ),
        (401, registry("DENIED", "Organization does not exist"), _NO_ORGANIZATION[1]),
        (
            401,
            registry("DENIED", "Authenticate Error"),
            "SWR rejected the credentials: check the AK and the SK or login key (deleting an AK also revokes its login "
            "key)",
        ),
        (
            403,
            registry("DENIED", "Not allow to login"),
            "SWR blocked this account for too many requests: wait about 30 minutes",
        ),
        (401, b"", "SWR rejected the credentials (check the AK and SK): SWR answered 401"),
        (
            403,
            registry("DENIED", "words"),
            "SWR denied access (check the account's permissions): SWR answered 403 (DENIED: words)",
        ),
        (404, [{"errorMessage": "words"}], "not found in SWR: SWR answered 404 (words)"),
        (404, registry("BLOB_UNKNOWN", ""), "not found in SWR: SWR answered 404 (BLOB_UNKNOWN)"),
        (413, b"", "the content exceeds " + _LAYER_SIZE + ": split it into smaller layers"),
        (416, b"", "SWR rejected the chunk: SWR answered 416"),
        (429, b"", "SWR is rate-limiting this account: run fewer replications in parallel"),
        (503, b"<html>", "SWR is not available: SWR answered 503"),
        (400, registry("TAG_INVALID", "words"), "SWR rejected the request: SWR answered 400 (TAG_INVALID: words)"),
        (302, b"", "unexpected response from SWR: SWR answered 302"),
    ],
)
def test_what_harbor_is_told(status: int, body: Any, sentence: str) -> None:
    assert refused(status, body).sentence == sentence


def test_a_message_is_one_short_line() -> None:
    error = refused(400, management("4009999", "two\nlines " + "x" * 5000))
    assert "\n" not in error.sentence
    assert len(error.sentence) < 500


# The management API's 404


NOT_THERE: list[Any] = [
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


@pytest.mark.parametrize("body", NOT_THERE, ids=str)
def test_a_404_of_the_management_api_says_that_something_is_not_there(body: Any) -> None:
    refusal = parse_error_response(404, json.dumps(body).encode(), {})
    assert not refusal.astray
    assert isinstance(management_error_for(refusal, "eu-de"), errors.NotFound)


@pytest.mark.parametrize("body", ASTRAY, ids=lambda body: str(body)[:50])
def test_a_404_of_something_else_does_not(body: Any) -> None:
    """A list would be empty, and a deletion done, wherever `api` leads."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    refusal = parse_error_response(404, data, {"X-Request-Id": "r"}, 7.5)
    assert refusal.astray
    error = management_error_for(refusal, "eu-de")
    assert type(error) is errors.Unexpected
    assert error.sentence == (
        f"no SWR management API at the configured URL ({refusal.quoted()}): check the `api` of eu-de in "
        "SWR_ADAPTER_REGIONS"
    )
    assert (error.swr_code, error.request_id, error.retry_after) == (refusal.code, refusal.request_id, 7.5)


@pytest.mark.parametrize("status", [400, 401, 403, 405, 500])
def test_only_a_404_can_be_astray(status: int) -> None:
    for body in (b"", b"<html>", json.dumps(gateway("words", "APIG.0101")).encode()):
        refusal = parse_error_response(status, body, {})
        assert not refusal.astray
        assert type(management_error_for(refusal, "eu-de")) is type(error_for(refusal))


# The registry's 404

ABSENT: list[Any] = [
    registry("MANIFEST_UNKNOWN", "words"),
    registry("BLOB_UNKNOWN", ""),
    registry("BLOB_UPLOAD_UNKNOWN", "words"),
    registry("NAME_UNKNOWN", "words"),
    registry("NOT_FOUND", "words"),
    registry("NO_SUCH_IMAGE", "the image does not exist"),
    registry("SVCSTG.SWR.4041060", "words"),
    management("4040113"),
]
OTHERWISE: list[Any] = [
    registry("UNSUPPORTED", "not found"),
    registry("DENIED", "the image does not exist"),
    registry("MANIFEST_INVALID", "words"),
    registry("TEAPOT", "words"),
    management("5000001"),
]
"""The registry's own, and about something else."""


@pytest.mark.parametrize("body", ABSENT, ids=str)
def test_a_404_of_the_registry_says_that_something_is_not_there(body: Any) -> None:
    refusal = parse_error_response(404, json.dumps(body).encode(), {})
    assert refusal.is_absence
    assert isinstance(registry_error_for(refusal, "eu-de"), errors.NotFound)


@pytest.mark.parametrize("body", OTHERWISE, ids=str)
def test_one_about_something_else_does_not(body: Any) -> None:
    refusal = parse_error_response(404, json.dumps(body).encode(), {})
    assert refusal.is_of_registry
    assert not refusal.is_absence
    assert not isinstance(registry_error_for(refusal, "eu-de"), errors.NotFound)


@pytest.mark.parametrize(
    "body",
    [*ASTRAY, [{"errorMessage": "words"}], {"errors": [{"message": "the image does not exist"}]}],
    ids=lambda body: str(body)[:50],
)
def test_one_of_something_else_names_what_answered(body: Any) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    refusal = parse_error_response(404, data, {"Content-Type": "text/html; charset=utf-8"})
    assert not refusal.is_absence
    error = registry_error_for(refusal, "eu-de")
    assert type(error) is errors.Unexpected
    assert "status 404, content type text/html; charset=utf-8" in error.sentence
    assert "check the `registry` of eu-de in SWR_ADAPTER_REGIONS" in error.sentence
    assert (refusal.code or "") in error.sentence


@pytest.mark.parametrize("kind", ["a/\x1b[31m", "a/\u0100", " ", "x" * 101])
def test_what_answered_is_named_in_printable_ascii(kind: str) -> None:
    refusal = parse_error_response(404, b"", {"Content-Type": kind})
    assert refusal.content_type in (None, "x" * 100)


@pytest.mark.parametrize(
    ("code", "is_gateways"),
    [("APIG.0301", True), ("APIGW.0101", True), ("APIGWX.1", False), ("XAPIG.1", False), ("", False), (None, False)],
)
def test_the_gateways_codes(code: str | None, is_gateways: bool) -> None:
    assert is_gateway_code(code) is is_gateways
