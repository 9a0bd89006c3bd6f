from __future__ import annotations

import json
from typing import Any

import pytest

from adapter import errors
from adapter.errors import AdapterError
from adapter.swr.errors import error_for, parse_refusal


def refused(status: int, body: Any, headers: dict[str, str] | None = None) -> AdapterError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_for(parse_refusal(status, data, headers or {}))


def management(code: str, message: str = "words") -> list[dict[str, str]]:
    return [{"errorCode": f"SVCSTG.SWR.{code}", "errorMessage": message, "detail": ""}]


def registry(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message, "detail": ""}]}


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
    "body",
    [b"", b"<html>", b"null", b"7", b'"x"', b"[]", b"[[]]", b'{"errors":[]}', b'{"errors":{}}', b"[" * 5000, b"\xff"],
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
        (401, {"error_code": "APIG.0301", "error_msg": "x-sdk-date has expired"}, errors.ClockWrong),
        (429, {"error_code": "APIG.0308", "error_msg": "request throttled"}, errors.Throttled),
        (404, {"error_code": "APIG.0101", "error_msg": "The API does not exist"}, errors.RepositoryUnknown),
        (401, registry("DENIED", "Authenticate Error"), errors.CredentialsRefused),
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
    ],
)
def test_what_becomes_of_a_refusal(status: int, body: Any, kind: type[AdapterError]) -> None:
    error = refused(status, body)
    assert type(error) is kind
    assert error.sentence.isprintable()


def test_a_message_is_one_short_line() -> None:
    error = refused(400, management("4009999", "two\nlines " + "x" * 5000))
    assert "\n" not in error.sentence
    assert len(error.sentence) < 500
