"""Blob downloads: the redirect, and the object store behind it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from adapter.sandbox.objects_app import parse_range
from tests.credentials import LOGIN_KEY, basic
from tests.running import OBJECTS_HOST
from tests.sandbox.client import Answer, Sandbox, call, digest_of

DATA = bytes(range(256)) * 4000
DIGEST = digest_of(DATA)
BLOB = f"/v2/fresh/hello/blobs/{DIGEST}"


@pytest.fixture
def token(sandbox: Sandbox) -> dict[str, str]:
    sandbox.store.create_organization("fresh")
    sandbox.store.put_blob("fresh/hello", DATA)
    return sandbox.bearer("fresh/hello")


def fetch(location: str, method: str = "GET", **headers: str) -> Answer:
    parts = urlsplit(location)
    assert parts.port is not None
    assert parts.hostname is not None
    return call(parts.port, method, f"{parts.path}?{parts.query}", headers, host=parts.hostname)


def test_get_redirects_to_a_signed_url(sandbox: Sandbox, token: dict[str, str]) -> None:
    answer = sandbox.v2("GET", BLOB, token)
    assert (answer.status, answer.body) == (307, b"")
    location = answer.header("Location")
    assert location.startswith(f"http://{OBJECTS_HOST}:{sandbox.objects}/op-svc-swr-")
    assert {pair.partition("=")[0] for pair in urlsplit(location).query.split("&")} == {
        "AWSAccessKeyId",
        "Expires",
        "Signature",
    }
    assert fetch(location).body == DATA
    sandbox.set(blob_redirect="302")
    assert sandbox.v2("GET", BLOB, token).status == 302


def test_registry_sends_the_blob_without_redirects(sandbox: Sandbox, token: dict[str, str]) -> None:
    sandbox.set(blob_redirect="off")
    answer = sandbox.v2("GET", BLOB, token)
    assert (answer.status, answer.body, answer.header("Docker-Content-Digest")) == (200, DATA, DIGEST)


def test_head_can_redirect(sandbox: Sandbox, token: dict[str, str]) -> None:
    answer = sandbox.v2("HEAD", BLOB, token)
    assert (answer.status, answer.header("Content-Length")) == (200, str(len(DATA)))
    sandbox.set(head_redirect=True)
    answer = sandbox.v2("HEAD", BLOB, token)
    assert answer.status == 307
    assert fetch(answer.header("Location"), "HEAD").header("Content-Length") == str(len(DATA))


@pytest.mark.parametrize("digest", [digest_of(b"nothing"), "sha256:abc"])
def test_missing_blob_is_404(sandbox: Sandbox, token: dict[str, str], digest: str) -> None:
    answer = sandbox.v2("GET", f"/v2/fresh/hello/blobs/{digest}", token)
    assert (answer.status, answer.code) == (404, "BLOB_UNKNOWN")


def test_object_store_rejects_authorization(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.v2("GET", BLOB, token).header("Location")
    for value in (token["Authorization"], basic(secret=LOGIN_KEY)):
        answer = fetch(location, Authorization=value)
        assert answer.status == 400
        assert b"<Code>InvalidArgument</Code>" in answer.body
    sandbox.set(objects_refuse_authorization=False)
    assert fetch(location, **token).status == 200


def test_signed_url_is_valid_for_path_method_and_time(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.v2("GET", BLOB, token).header("Location")
    assert fetch(location, "HEAD").status == 403
    assert b"SignatureDoesNotMatch" in fetch(location.replace("Expires=", "Expires=9")).body
    assert b"SignatureDoesNotMatch" in fetch(location.replace(DIGEST, digest_of(b"other"))).body
    assert b"AccessDenied" in fetch(location.partition("?")[0]).body
    sandbox.set(signed_url_seconds=0)
    assert b"AccessDenied" in fetch(sandbox.v2("GET", BLOB, token).header("Location")).body


def test_deleted_blob_is_404(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.v2("GET", BLOB, token).header("Location")
    sandbox.store.delete_repository("fresh/hello")
    assert (fetch(location).status, b"NoSuchKey" in fetch(location).body) == (404, True)


def test_range_is_honored_or_ignored(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.v2("GET", BLOB, token).header("Location")
    part = fetch(location, Range="bytes=1000-1999")
    assert (part.status, part.body) == (206, DATA[1000:2000])
    assert part.header("Content-Range") == f"bytes 1000-1999/{len(DATA)}"
    assert fetch(location, Range=f"bytes={len(DATA)}-").status == 416
    sandbox.set(objects_range=False)
    assert fetch(location, Range="bytes=1000-1999").status == 200


def test_content_length_can_be_missing(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.v2("GET", BLOB, token).header("Location")
    assert fetch(location).header("Content-Length") == str(len(DATA))
    sandbox.set(objects_length=False)
    answer = fetch(location)
    assert (answer.headers["Content-Length"], answer.body) == (None, DATA)


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-", (0, 9)),
        ("bytes=3-5", (3, 5)),
        ("bytes=3-99", (3, 9)),
        ("bytes=-4", (6, 9)),
        ("bytes=-99", (0, 9)),
        ("bytes=-", None),
        ("", None),
        ("bytes=0-1,3-4", None),
    ],
)
def test_parse_range(header: str, span: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == span


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=5-3", "bytes=-0"])
def test_unsatisfiable_range_raises(header: str) -> None:
    with pytest.raises(ValueError, match="satisfiable"):
        parse_range(header, 10)
