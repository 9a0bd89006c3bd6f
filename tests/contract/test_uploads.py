"""Uploads in one piece: every way in, the digests, and what SWR's own refusals become."""

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
from tests.running import OTHER_TENANT, RunningSandbox

SIZES = [pytest.param(SMALL, id="small"), pytest.param(LARGE, id="large")]


class TestMonolithic:
    @pytest.mark.parametrize("data", SIZES)
    def test_with_content_length(self, door: Door, swr: RunningSandbox, repository: str, data: bytes) -> None:
        digest = digest_of(data)
        answer = door.put(door.start(repository), digest, data)
        assert answer.status == 201
        assert answer.header("Docker-Content-Digest") == digest
        assert answer.header("Location") == f"/v2/{repository}/blobs/{digest}"
        assert swr.store.read_blob(repository, digest) == data
        (put,) = asked(swr, "PUT")
        assert put["headers"]["content-length"] == str(len(data))
        assert "transfer-encoding" not in put["headers"]

    @pytest.mark.parametrize("data", SIZES)
    def test_with_chunked_coding(self, door: Door, swr: RunningSandbox, repository: str, data: bytes) -> None:
        digest = digest_of(data)
        assert door.put(door.start(repository), digest, pieces(data, 60_000)).status == 201
        assert swr.store.read_blob(repository, digest) == data
        assert asked(swr, "PATCH") == []

    @pytest.mark.parametrize("body", [b"", iter(())], ids=["Content-Length 0", "chunked"])
    def test_an_empty_blob(self, door: Door, swr: RunningSandbox, repository: str, body: Any) -> None:
        digest = digest_of(b"")
        assert door.put(door.start(repository), digest, body).status == 201
        assert swr.store.read_blob(repository, digest) == b""
        (put,) = asked(swr, "PUT")
        assert put["headers"].get("content-length", "0") == "0"

    def test_an_empty_body_for_another_digest(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, check_digest=False)
        refused(door.put(door.start(repository), digest_of(SMALL), b""), 400, code="DIGEST_INVALID")
        holds_nothing(swr, repository, digest_of(SMALL))

    @pytest.mark.parametrize("single_post", [True, False])
    @pytest.mark.parametrize("data", SIZES)
    def test_in_one_post(
        self, door: Door, swr: RunningSandbox, repository: str, data: bytes, single_post: bool
    ) -> None:
        put_back(swr, single_post=single_post)
        digest = digest_of(data)
        answer = door.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data)
        assert answer.status == 201, answer.body
        assert answer.header("Docker-Content-Digest") == digest
        assert swr.store.read_blob(repository, digest) == data

    def test_expect_continue(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        location = with_query(door.start(repository), digest=digest_of(SMALL))
        with door.open() as connection:
            head = door.head("PUT", location, f"Content-Length: {len(SMALL)}", "Expect: 100-continue")
            connection.sendall(head)
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
            connection.sendall(SMALL)
            answer = read_answer(connection)
        assert answer is not None
        assert answer.status == 201
        assert swr.store.has_blob(repository, digest_of(SMALL))

    def test_answers_without_a_body_claim_no_html(self, door: Door, repository: str) -> None:
        for answer in (
            door.ask("POST", f"/v2/{repository}/blobs/uploads/", b""),
            door.put(door.start(repository), digest_of(SMALL), SMALL),
        ):
            assert answer.body == b""
            assert "html" not in (answer.headers["Content-Type"] or "")


class TestDigests:
    @pytest.mark.parametrize(
        "digest",
        ["", "sha256", "sha256:", "sha256:abc", "SHA256:" + "a" * 64, "sha256:" + "A" * 64, "md5:" + "a" * 32,
         "sha256:" + "a" * 65, "sha256:" + "g" * 64, "../" + "a" * 64, "sha256:" + "a" * 64 + "\n", "%", "ü" * 64],
    )  # fmt: skip
    def test_malformed(self, door: Door, swr: RunningSandbox, repository: str, digest: str) -> None:
        location = door.start(repository)
        with silent(swr):
            refused(door.put(location, digest, SMALL), 400, "digest", code="DIGEST_INVALID")
            target = with_query(f"/v2/{repository}/blobs/uploads/", digest=digest)
            refused(door.ask("POST", target, SMALL), 400, "digest", code="DIGEST_INVALID")

    def test_missing(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        location = door.start(repository)
        with silent(swr):
            refused(door.ask("PUT", location, SMALL), 400, "?digest=sha256:", code="DIGEST_INVALID")

    def test_wrong(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        wrong = digest_of(b"something else")
        refused(door.put(door.start(repository), wrong, SMALL), 400, wrong, code="DIGEST_INVALID")
        holds_nothing(swr, repository, wrong, digest_of(SMALL))

    def test_sha512_is_refused_before_anything_is_sent(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        """Whether SWR stores content under it is not known."""
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


class TestPermissions:
    def test_another_accounts_organization(self, door: Door, swr: RunningSandbox, number: int) -> None:
        swr.store.create_organization(f"theirs{number}", OTHER_TENANT)
        answer = door.ask("POST", f"/v2/theirs{number}/app/blobs/uploads/", b"")
        refused(answer, 403, "belongs to another account", code="DENIED")

    def test_a_token_that_swr_forgot_is_renewed(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        door.push(repository, SMALL)
        swr.faults({"method": "POST", "path": "/blobs/uploads/", "status": 401, "body": "expired"})
        assert door.push(repository, LARGE)
