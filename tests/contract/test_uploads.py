"""Uploads in one piece: all forms, the digests, and the rejections of SWR."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.contract.conftest import put_back
from tests.contract.http import (
    LARGE,
    SMALL,
    Door,
    asked,
    digest_of,
    holds_nothing,
    pieces,
    read_answer,
    refused,
    silent,
    with_query,
)
from tests.running import RunningSandbox

sizes = pytest.mark.parametrize("data", [SMALL, LARGE, b""], ids=["small", "large", "empty"])


class TestMonolithic:
    @sizes
    @pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
    def test_put(self, door: Door, swr: RunningSandbox, repository: str, data: bytes, framing: str) -> None:
        body: Any = data if framing == "Content-Length" else pieces(data, 60_000)
        answer = door.put(door.start(repository), digest_of(data), body)
        assert (answer.status, answer.body, answer.headers["Content-Type"]) == (201, b"", None)
        assert answer.header("Docker-Content-Digest") == digest_of(data)
        assert answer.header("Location") == f"/v2/{repository}/blobs/{digest_of(data)}"
        assert swr.store.read_blob(repository, digest_of(data)) == data
        (put,) = asked(swr, "PUT")
        if framing == "Content-Length" or not data:
            assert put["headers"].get("content-length", "0") == str(len(data))
            assert "transfer-encoding" not in put["headers"]
        assert asked(swr, "PATCH") == []

    @sizes
    @pytest.mark.parametrize("single_post", [True, False])
    def test_post(self, door: Door, swr: RunningSandbox, repository: str, data: bytes, single_post: bool) -> None:
        put_back(swr, single_post=single_post)
        answer = door.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}", data)
        assert answer.status == 201, answer.body
        assert answer.header("Docker-Content-Digest") == digest_of(data)
        assert swr.store.read_blob(repository, digest_of(data)) == data

    def test_expect_continue(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        location = with_query(door.start(repository), digest=digest_of(SMALL))
        with door.open() as connection:
            connection.sendall(door.head("PUT", location, f"Content-Length: {len(SMALL)}", "Expect: 100-continue"))
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
            connection.sendall(SMALL)
            answer = read_answer(connection)
        assert answer is not None
        assert answer.status == 201
        assert swr.store.has_blob(repository, digest_of(SMALL))


class TestDigests:
    @pytest.mark.parametrize(
        "digest",
        ["", "sha256", "sha256:abc", "sha256:" + "A" * 64, "md5:" + "a" * 32, "sha256:" + "a" * 64 + "\n"],
    )
    def test_malformed_or_missing(self, door: Door, swr: RunningSandbox, repository: str, digest: str) -> None:
        location = door.start(repository)
        with silent(swr):
            refused(door.put(location, digest, SMALL), 400, "digest", code="DIGEST_INVALID")
            target = with_query(f"/v2/{repository}/blobs/uploads/", digest=digest)
            refused(door.ask("POST", target, SMALL), 400, "digest", code="DIGEST_INVALID")
            refused(door.ask("PUT", location, SMALL), 400, "?digest=sha256:", code="DIGEST_INVALID")

    @pytest.mark.parametrize("body", [SMALL, b""])
    def test_mismatch(self, door: Door, swr: RunningSandbox, repository: str, body: bytes) -> None:
        put_back(swr, check_digest=False)
        wrong = digest_of(b"something else")
        refused(door.put(door.start(repository), wrong, body), 400, wrong, code="DIGEST_INVALID")
        holds_nothing(swr, repository, wrong, digest_of(body))

    def test_sha512_is_rejected_before_anything_is_sent(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        """It is not known whether SWR stores content under it."""
        digest = f"sha512:{hashlib.sha512(LARGE).hexdigest()}"
        location, collection = door.start(repository), f"/v2/{repository}/blobs/uploads/"
        with silent(swr):
            for answer in (
                door.put(location, digest, LARGE),
                door.ask("POST", with_query(collection, digest=digest), LARGE),
                door.ask("POST", with_query(collection, mount=digest), b""),
                door.ask("PUT", f"/v2/{repository}/manifests/{digest}", b"{}", {"Content-Type": "a/b"}),
            ):
                refused(answer, 400, "push with sha256 digests", code="DIGEST_INVALID")
