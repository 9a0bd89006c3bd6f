"""The published vectors of `docs/facts/swr.md §3.5`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.swr.request_signing import canonical_path, canonical_request, encode_query, sign, signature, timestamp

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


@pytest.mark.parametrize(("method", "body", "hashed", "signed"), PUBLISHED)
def test_published_vectors(method: str, body: bytes, hashed: str, signed: str) -> None:
    request = canonical_request(method, URL, HEADERS, body)
    assert hashlib.sha256(request.encode()).hexdigest() == hashed
    assert signature("SecretKey", DATE, request) == signed


@pytest.mark.parametrize(("method", "body", "_", "signed"), PUBLISHED)
def test_the_finished_header(method: str, body: bytes, _: str, signed: str) -> None:
    headers = sign(
        method, URL, {"TEST_UNDERSCORE": "TEST_VALUE"}, body, access_key="AccessKey", secret_key="SecretKey", now=NOW
    )
    assert headers["Authorization"] == (
        f"SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=host;x-sdk-date, Signature={signed}"
    )
    assert headers["Host"] == HOST
    assert headers["X-Sdk-Date"] == DATE


def test_the_vector_of_the_signing_guide() -> None:
    """With a content type among the signed headers."""
    url = (
        "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs"
        "?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0"
    )
    headers = {
        "Content-Type": "application/json",
        "Host": "service.region.example.com",
        "X-Sdk-Date": "20191115T033655Z",
    }
    request = canonical_request("GET", url, headers, b"")
    assert hashlib.sha256(request.encode()).hexdigest() == (
        "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a"
    )
    assert signature("MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", "20191115T033655Z", request) == (
        "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
    )


def test_the_published_query() -> None:
    parameters = [("limit", "1"), ("enable", "true"), ("test", "一 (&=?!#%.*)"), ("path", "/tmp/123")]
    parameters += [("multi", str(number)) for number in (1, 2, 3)]
    assert encode_query(parameters) == (
        "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123&test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29"
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
def test_paths(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical


def test_a_query_encodes_what_a_path_would_not() -> None:
    assert encode_query([("b/a-._~", "c/d-._~"), ("a b", ""), ("a b", "%2F")]) == (
        "a%20b=&a%20b=%252F&b%2Fa-._~=c%2Fd-._~"
    )


def test_the_parts_of_a_request() -> None:
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


def test_what_is_given_is_sent_and_signed() -> None:
    given_headers = {"Content-Type": "application/json", "X_Left_Out": "1"}
    sent = sign("GET", f"https://{HOST}:8443/a", given_headers, b"", access_key="AK", secret_key="SK", now=NOW)
    assert {name: sent[name] for name in given_headers} == given_headers
    assert sent["Host"] == f"{HOST}:8443"
    assert "SignedHeaders=content-type;host;x-sdk-date," in sent["Authorization"]
    assert given_headers == {"Content-Type": "application/json", "X_Left_Out": "1"}


@pytest.fixture
def _far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock is nine hours ahead of UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "EAST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_east")
@pytest.mark.parametrize("hours", [-11, 0, 2, 9])
def test_timestamps_are_utc(hours: int) -> None:
    assert timestamp(NOW.astimezone(timezone(timedelta(hours=hours)))) == DATE


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5))
def test_what_is_signed_is_what_is_sent(parameters: list[tuple[str, str]]) -> None:
    """A query that was encoded here means the same after the signature parsed it again."""
    query = encode_query(parameters)
    assert canonical_request("GET", f"https://h/p?{query}", {}, b"").split("\n")[2] == query
