"""Blob uploads, with every value of the knobs for unknown behavior of SWR."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.sandbox.client import Sandbox, digest_of, seed

DATA = b"0123456789" * 1000
REPOSITORY = "fresh/hello"


@pytest.fixture
def token(sandbox: Sandbox) -> dict[str, str]:
    sandbox.store.create_organization("fresh")
    sandbox.set(rate=0)
    return sandbox.bearer(REPOSITORY)


def until(condition: Callable[[], bool]) -> bool:
    """Waits at most ten seconds."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_put_with_body_stores_the_blob(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.start_upload(REPOSITORY, token)
    answer = sandbox.finish_upload(location, token, digest_of(DATA), DATA)
    assert answer.status == 201
    assert answer.header("Docker-Content-Digest") == digest_of(DATA)
    assert answer.header("Location").endswith(f"/v2/{REPOSITORY}/blobs/{digest_of(DATA)}")
    assert sandbox.store.read_blob(REPOSITORY, digest_of(DATA)) == DATA
    assert sandbox.store.uploads() == []


def test_patch_and_empty_put_store_the_blob(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.start_upload(REPOSITORY, token)
    patched = sandbox.v2("PATCH", location, token, DATA)
    assert (patched.status, patched.header("Range")) == (202, f"0-{len(DATA) - 1}")
    assert sandbox.finish_upload(patched.header("Location"), token, digest_of(DATA)).status == 201


@pytest.mark.parametrize("span", ["5-9", "4001-4999", "bytes 0-9"])
def test_chunk_out_of_order_is_rejected_and_changes_nothing(sandbox: Sandbox, token: dict[str, str], span: str) -> None:
    location = sandbox.v2("PATCH", sandbox.start_upload(REPOSITORY, token), token, DATA[:4000]).header("Location")
    answer = sandbox.v2("PATCH", location, token, b"x" * 5, Content_Range=span)
    assert (answer.status, answer.code, answer.header("Range")) == (416, "RANGE_INVALID", "0-3999")
    assert sandbox.v2("PATCH", answer.header("Location"), token, DATA[4000:], Content_Range="4000-9999").status == 202


def test_chunk_out_of_order_can_be_appended(sandbox: Sandbox, token: dict[str, str]) -> None:
    sandbox.set(chunk_order=False)
    location = sandbox.v2("PATCH", sandbox.start_upload(REPOSITORY, token), token, b"abc").header("Location")
    assert sandbox.v2("PATCH", location, token, b"abc", Content_Range="0-2").header("Range") == "0-5"


def test_chunk_with_wrong_length_ends_the_upload(sandbox: Sandbox, token: dict[str, str]) -> None:
    answer = sandbox.v2("PATCH", sandbox.start_upload(REPOSITORY, token), token, b"abc", Content_Range="0-9")
    assert (answer.status, answer.code) == (400, "SIZE_INVALID")
    assert sandbox.store.uploads() == []


def test_second_patch_can_be_rejected(sandbox: Sandbox, token: dict[str, str]) -> None:
    sandbox.set(multiple_patches=False)
    location = sandbox.v2("PATCH", sandbox.start_upload(REPOSITORY, token), token, b"abc").header("Location")
    assert sandbox.v2("PATCH", location, token, b"def", Content_Range="3-5").status == 416


def test_wrong_digest_is_rejected_or_stored(sandbox: Sandbox, token: dict[str, str]) -> None:
    claimed = digest_of(b"something else")
    answer = sandbox.finish_upload(sandbox.start_upload(REPOSITORY, token), token, claimed, DATA)
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert (sandbox.store.has_blob(REPOSITORY, claimed), sandbox.store.uploads()) == (False, [])
    sandbox.set(check_digest=False)
    assert sandbox.finish_upload(sandbox.start_upload(REPOSITORY, token), token, claimed, DATA).status == 201
    assert sandbox.store.read_blob(REPOSITORY, claimed) == DATA


@pytest.mark.parametrize("digest", ["", "sha256:abc", "md5:x", "sha256:" + "A" * 64])
def test_invalid_digest_is_rejected(sandbox: Sandbox, token: dict[str, str], digest: str) -> None:
    answer = sandbox.finish_upload(sandbox.start_upload(REPOSITORY, token), token, digest, DATA)
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize(
    ("form", "first", "later"),
    [("0-N", "0-0", "0-2"), ("0-0", "0-0", "0-0"), ("bytes", "bytes=0-0", "bytes=0-2"), ("absent", None, None)],
)
def test_format_of_range_is_a_knob(
    sandbox: Sandbox, token: dict[str, str], form: str, first: str | None, later: str | None
) -> None:
    sandbox.set(upload_range=form)
    started = sandbox.v2("POST", f"/v2/{REPOSITORY}/blobs/uploads/", token)
    assert started.headers["Range"] == first
    assert sandbox.v2("PATCH", started.header("Location"), token, b"abc").headers["Range"] == later


def test_format_of_location_and_uuid_is_a_knob(sandbox: Sandbox, token: dict[str, str]) -> None:
    started = sandbox.v2("POST", f"/v2/{REPOSITORY}/blobs/uploads/", token)
    upload = started.header("Docker-Upload-UUID")
    prefix = f"/v2/{REPOSITORY}/blobs/uploads/{upload}?_state="
    assert started.header("Location").startswith(f"http://127.0.0.1:{sandbox.registry}{prefix}")
    sandbox.set(location="relative", upload_uuid=False)
    started = sandbox.v2("POST", f"/v2/{REPOSITORY}/blobs/uploads/", token)
    assert started.header("Location").startswith(f"/v2/{REPOSITORY}/blobs/uploads/")
    assert started.headers["Docker-Upload-UUID"] is None
    assert sandbox.finish_upload(started.header("Location"), token, digest_of(DATA), DATA).status == 201


def test_state_is_valid_for_its_upload_only(sandbox: Sandbox, token: dict[str, str]) -> None:
    location, other = sandbox.start_upload(REPOSITORY, token), sandbox.start_upload(REPOSITORY, token)
    path, _, state = location.partition("?")
    for wrong in (path, f"{path}?_state=x", f"{path}?_state=x.y", f"{path}?{other.partition('?')[2]}"):
        assert sandbox.v2("PATCH", wrong, token, b"abc").code == "BLOB_UPLOAD_UNKNOWN"
    assert sandbox.v2("PATCH", f"{path}?{state}", token, b"abc").status == 202


def test_upload_is_valid_for_its_repository_only(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.start_upload(REPOSITORY, token).replace(REPOSITORY, "fresh/other")
    assert sandbox.v2("PATCH", location, sandbox.bearer("fresh/other"), b"abc").status == 404


def test_older_location_works_or_is_404(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.start_upload(REPOSITORY, token)
    assert sandbox.v2("PATCH", location, token, b"abc").status == 202
    assert sandbox.v2("PATCH", location, token, b"def").status == 202
    sandbox.set(stale_state=False)
    assert sandbox.v2("PATCH", location, token, b"ghi").status == 404


def test_status_and_deletion_of_an_upload(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.v2("PATCH", sandbox.start_upload(REPOSITORY, token), token, b"abc").header("Location")
    status = sandbox.v2("GET", location, token)
    assert (status.status, status.header("Range")) == (204, "0-2")
    assert sandbox.v2("DELETE", sandbox.start_upload(REPOSITORY, token), token).status == 204
    sandbox.set(upload_status=False, upload_delete=False)
    assert sandbox.v2("GET", location, token).status == 404
    assert sandbox.v2("DELETE", location, token).status == 405
    sandbox.set(upload_delete=True)
    assert sandbox.v2("DELETE", location, token).status == 204
    assert sandbox.v2("DELETE", location, token).status == 404
    assert sandbox.store.uploads() == []


def test_mount_starts_an_upload_or_mounts(sandbox: Sandbox, token: dict[str, str]) -> None:
    seed(sandbox.store, "fresh/source", "v1")
    digest = digest_of(b"layer")
    scopes = (f"repository:{REPOSITORY}:pull,push", "repository:fresh/source:pull")
    both = {"Authorization": f"Bearer {sandbox.log_in(*scopes).json['token']}"}
    target = f"/v2/{REPOSITORY}/blobs/uploads/?mount={digest}&from=fresh/source"
    assert sandbox.v2("POST", target, both).status == 202
    assert not sandbox.store.has_blob(REPOSITORY, digest)
    sandbox.set(mount="201")
    assert sandbox.v2("POST", target, token).status == 401, "the source must be readable too"
    assert sandbox.v2("POST", target, both).status == 201
    assert sandbox.store.read_blob(REPOSITORY, digest) == b"layer"
    missing = target.replace(digest, digest_of(b"nothing"))
    assert sandbox.v2("POST", missing, both).status == 202
    sandbox.set(mount_scope=False)
    assert sandbox.v2("POST", target, token).status == 201


@pytest.mark.parametrize(
    ("way", "status", "there"), [("silent", 201, True), ("false", 201, False), ("405", 405, False)]
)
def test_other_responses_to_a_mount(
    sandbox: Sandbox, token: dict[str, str], way: str, status: int, there: bool
) -> None:
    seed(sandbox.store, "fresh/source", "v1")
    sandbox.set(mount=way, mount_scope=False)
    digest = digest_of(b"layer")
    answer = sandbox.v2("POST", f"/v2/{REPOSITORY}/blobs/uploads/?mount={digest}&from=fresh/source", token)
    assert answer.status == status
    assert digest not in str(answer.headers)
    assert sandbox.store.has_blob(REPOSITORY, digest) == there


def test_single_post_is_a_knob(sandbox: Sandbox, token: dict[str, str]) -> None:
    target = f"/v2/{REPOSITORY}/blobs/uploads/?digest={digest_of(DATA)}"
    assert sandbox.v2("POST", target, token, DATA).status == 202
    assert not sandbox.store.has_blob(REPOSITORY, digest_of(DATA))
    sandbox.set(single_post=True)
    assert sandbox.v2("POST", target, token, DATA).status == 201
    assert sandbox.store.has_blob(REPOSITORY, digest_of(DATA))


@pytest.mark.parametrize("chunked", [False, True])
def test_layer_above_the_limit_is_413(sandbox: Sandbox, token: dict[str, str], chunked: bool) -> None:
    sandbox.set(max_layer_bytes=len(DATA) - 1)
    location = sandbox.start_upload(REPOSITORY, token)
    answer = sandbox.v2("PATCH", location, token, iter([DATA]) if chunked else DATA)
    assert (answer.status, answer.code) == (413, "SVCSTG.SWR.4130025")
    assert isinstance(answer.json, list)
    assert sandbox.store.uploads() == []
    sandbox.set(max_layer_bytes=len(DATA))
    assert sandbox.push_blob(REPOSITORY, DATA, token)


def test_layer_limit_counts_all_chunks(sandbox: Sandbox, token: dict[str, str]) -> None:
    sandbox.set(max_layer_bytes=5)
    location = sandbox.v2("PATCH", sandbox.start_upload(REPOSITORY, token), token, b"abc").header("Location")
    assert sandbox.v2("PATCH", location, token, b"def").status == 413


def cut(sandbox: Sandbox, location: str, token: dict[str, str], body: bytes, framing: str) -> None:
    """Sends a PUT and closes the connection before the end of its body."""
    path = location[location.index("/v2/") :]
    headers = f"Host: x\r\nAuthorization: {token['Authorization']}\r\n{framing}"
    head = f"PUT {path}&digest={digest_of(DATA)} HTTP/1.1\r\n{headers}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", sandbox.registry)) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in connection.recv(4096).partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (f"Content-Length: {len(DATA)}", DATA[:-1]),
        (f"Content-Length: {len(DATA)}", b""),
        ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(DATA), DATA)),
        ("Transfer-Encoding: chunked", b"%x\r\n%s" % (len(DATA), DATA[:-1])),
    ],
)
@pytest.mark.parametrize("checked", [True, False])
def test_interrupted_upload_is_discarded(
    sandbox: Sandbox, token: dict[str, str], framing: str, body: bytes, checked: bool
) -> None:
    sandbox.set(check_digest=checked)
    cut(sandbox, sandbox.start_upload(REPOSITORY, token), token, body, framing)
    assert not sandbox.store.has_blob(REPOSITORY, digest_of(DATA))
    assert until(lambda: not sandbox.store.uploads())


def test_interrupted_upload_can_be_kept(sandbox: Sandbox, token: dict[str, str]) -> None:
    sandbox.set(discard_cut_uploads=False)
    location = sandbox.start_upload(REPOSITORY, token)
    cut(sandbox, location, token, DATA[:100], f"Content-Length: {len(DATA)}")
    assert sandbox.v2("GET", location, token).header("Range") == "0-99"
    assert sandbox.finish_upload(location, token, digest_of(DATA), DATA[100:]).status == 201


def test_concurrent_request_to_an_upload_is_409(sandbox: Sandbox, token: dict[str, str]) -> None:
    location = sandbox.start_upload(REPOSITORY, token)
    path = location[location.index("/v2/") :]
    head = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token['Authorization']}\r\nContent-Length: 4\r\n\r\n"
    with socket.create_connection(("127.0.0.1", sandbox.registry)) as connection:
        connection.sendall(head.encode() + b"ab")
        assert until(lambda: sandbox.v2("PATCH", location, token, b"").status == 409)
        connection.sendall(b"cd")
        assert b" 202 " in connection.recv(4096).partition(b"\r\n")[0]
