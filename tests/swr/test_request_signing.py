"""The published vectors of `docs/facts/swr.md §3.5`."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.swr.request_signing import canonical_path, canonical_request, encode_query, sign, signature

HOST = "service.endpoint.myhuaweicloud.com"
URL = f"https://{HOST}/resources?size=1"
DATE = "20200608T023900Z"
NOW = datetime(2020, 6, 8, 2, 39, tzinfo=UTC)
HEADERS = {"Host": HOST, "X-Sdk-Date": DATE, "TEST_UNDERSCORE": "TEST_VALUE"}
BODY = b'{"name":"test","id":1}'

PUBLISHED = [
    (
        "GET",
        b"",
        "de94dd1e1ccdb730b403ce35d7e14f7c7b04337f6def1c3a3a2ba936852b133f",
        "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842",
    ),
    (
        "POST",
        BODY,
        "2b1b2515e48cb55e043ff2ec5b93d3f13ec287e1da1d7a2e4e14b0611a341969",
        "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f",
    ),
]


@pytest.mark.parametrize("hours", [-11, 0, 9])
@pytest.mark.parametrize(("method", "body", "hashed", "signed"), PUBLISHED)
def test_a_published_vector_is_reproduced(method: str, body: bytes, hashed: str, signed: str, hours: int) -> None:
    request = canonical_request(method, URL, HEADERS, body)
    assert hashlib.sha256(request.encode()).hexdigest() == hashed
    assert signature("SecretKey", DATE, request) == signed
    now = NOW.astimezone(timezone(timedelta(hours=hours)))
    headers = sign(
        method, URL, {"TEST_UNDERSCORE": "TEST_VALUE"}, body, access_key="AccessKey", secret_key="SecretKey", now=now
    )
    assert headers["Authorization"] == (
        f"SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=host;x-sdk-date, Signature={signed}"
    )
    assert (headers["Host"], headers["X-Sdk-Date"]) == (HOST, DATE)


def test_a_query_is_sorted_and_encoded() -> None:
    parameters = [("limit", "1"), ("enable", "true"), ("test", "一 (&=?!#%.*)"), ("path", "/tmp/123")]
    parameters += [("multi", str(number)) for number in (1, 2, 3)]
    assert encode_query(parameters) == (
        "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123&test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29"
    )
    assert encode_query([("b/a-._~", "c/d-._~"), ("a b", ""), ("a b", "%2F")]) == (
        "a%20b=&a%20b=%252F&b%2Fa-._~=c%2Fd-._~"
    )


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("", "/"),
        ("/", "/"),
        ("/v2/manage/namespaces", "/v2/manage/namespaces/"),
        ("/repos/a$b", "/repos/a%24b/"),
        ("/repos/a%24b/", "/repos/a%24b/"),
        ("/a b~_.-", "/a%20b~_.-/"),
    ],
)
def test_a_path_is_canonical(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical


def test_a_request_has_its_canonical_parts() -> None:
    headers = {"X-B": " 2 ", "host": "h", "X_C": "3", "Content-Type": "a/b"}
    assert canonical_request("put", "https://h/a b?z=&y=1#x", headers, b"") == "\n".join(
        (
            "PUT",
            "/a%20b/",
            "y=1&z=",
            "content-type:a/b",
            "host:h",
            "x-b:2",
            "",
            "content-type;host;x-b",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        )
    )


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5))
def test_an_encoded_query_is_canonical(parameters: list[tuple[str, str]]) -> None:
    """The signature parses the encoded query again."""
    query = encode_query(parameters)
    assert canonical_request("GET", f"https://h/p?{query}", {}, b"").split("\n")[2] == query
