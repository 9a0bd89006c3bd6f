"""The published vectors (docs/facts/swr.md §3.5), and invalid signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from adapter.sandbox.signature import Signed, canonical_request, from_environ, parse_authorization, valid

VENDOR = Signed(
    "GET",
    "/resources?size=1",
    {"host": "service.endpoint.myhuaweicloud.com", "x-sdk-date": "20200608T023900Z", "test_underscore": "TEST_VALUE"},
    b"",
)


def header(signature: str, names: str = "host;x-sdk-date", access_key: str = "AccessKey") -> str:
    return f"SDK-HMAC-SHA256 Access={access_key}, SignedHeaders={names}, Signature={signature}"


GET = "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842"
POST = "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f"
GUIDE = "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
GUIDE_REQUEST = Signed(
    "GET",
    "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
    {"host": "service.region.example.com", "content-type": "application/json", "x-sdk-date": "20191115T033655Z"},
    b"",
)


@pytest.mark.parametrize(
    ("request_", "authorization", "secret", "canonical_hash"),
    [
        (VENDOR, header(GET), "SecretKey", "de94dd1e1ccdb730b403ce35d7e14f7c7b04337f6def1c3a3a2ba936852b133f"),
        (
            replace(VENDOR, method="POST", body=b'{"name":"test","id":1}'),
            header(POST),
            "SecretKey",
            "2b1b2515e48cb55e043ff2ec5b93d3f13ec287e1da1d7a2e4e14b0611a341969",
        ),
        (
            GUIDE_REQUEST,
            header(GUIDE, "content-type;host;x-sdk-date", "QTWAOYTTINDUT2QVKYUC"),
            "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc",
            "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a",
        ),
    ],
)
def test_published_vectors_are_valid(request_: Signed, authorization: str, secret: str, canonical_hash: str) -> None:
    credential = parse_authorization(authorization)
    assert credential is not None
    canonical = canonical_request(request_, credential)
    assert canonical is not None
    assert hashlib.sha256(canonical.encode()).hexdigest() == canonical_hash
    assert valid(request_, credential, secret)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, method="PUT"),
        lambda r: replace(r, target="/resources/2?size=1"),
        lambda r: replace(r, target="/resources?size=2"),
        lambda r: replace(r, body=b"x"),
        lambda r: replace(r, headers={**r.headers, "host": "elsewhere"}),
        lambda r: replace(r, headers={**r.headers, "x-sdk-date": "20200608T023901Z"}),
        lambda r: replace(r, headers={"host": r.headers["host"]}),
    ],
)
def test_changed_request_is_invalid(change: Callable[[Signed], Signed]) -> None:
    credential = parse_authorization(header(GET))
    assert credential is not None
    assert not valid(change(VENDOR), credential, "SecretKey")
    assert not valid(VENDOR, credential, "OtherKey")


@pytest.mark.parametrize("names", ["host", "x-sdk-date", "x-sdk-date;host", "host;x-sdk-date;x-missing", ""])
def test_unsigned_host_or_date_is_invalid(names: str) -> None:
    credential = parse_authorization(header(GET, names))
    assert credential is not None
    assert not valid(VENDOR, credential, "SecretKey")


def test_canonical_query_is_that_of_the_vendor() -> None:
    query = (
        "test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29&multi=3&limit=1&enable=true&path=/tmp/123&multi=1&multi=2&empty"
    )
    credential = parse_authorization(header(GET))
    assert credential is not None
    canonical = canonical_request(replace(VENDOR, target=f"/a$b?{query}"), credential)
    assert canonical is not None
    assert canonical.split("\n")[1:3] == [
        "/a%24b/",
        "empty=&enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123"
        "&test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29",
    ]


def test_announced_body_hash_is_used() -> None:
    credential = parse_authorization(header(GET))
    assert credential is not None
    request = replace(VENDOR, headers={**VENDOR.headers, "x-sdk-content-sha256": "UNSIGNED-PAYLOAD"}, body=b"any")
    canonical = canonical_request(request, credential)
    assert canonical is not None
    assert canonical.endswith("\nUNSIGNED-PAYLOAD")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Basic eA==",
        "SDK-HMAC-SHA256 Credential=AK/20200608///sdk_request, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=AK/20200608/x, SignedHeaders=host, Signature=x",
    ],
)
def test_other_schemes_are_none(text: str) -> None:
    assert parse_authorization(text) is None


def test_target_is_that_of_the_request_line() -> None:
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "http://x/a%2Fb?c=%20", "HTTP_X_SDK_DATE": "d", "CONTENT_TYPE": "t"}
    assert from_environ(environ, b"") == Signed("GET", "/a%2Fb?c=%20", {"x-sdk-date": "d", "content-type": "t"}, b"")
