"""The scripted SWR behaves as docs/facts/swr.md says, and its script can cut and change answers."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapter.sandbox.recordings.images import Image
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, SECRET_KEY, basic
from tests.replay.scenarios import State, Stored
from tests.replay.script import Entry, reply
from tests.replay.scripted import ScriptedSwr, digest_of

TOKEN = "/swr/auth/v2/registry/auth/?service=dockyard"


@pytest.fixture
def swr(scripted: ScriptedSwr, recorded_images: Mapping[str, Image]) -> Iterator[ScriptedSwr]:
    scripted.reset("refuse-index", State(("org",), (Stored("org/hello", "v1", recorded_images["hello:v1"]),)))
    yield scripted
    scripted.reset("refuse-index", State())


def ask(url: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), body or None, named)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def token(swr: ScriptedSwr, scope: str = "repository:org/hello:pull,push") -> str:
    login = basic(ACCESS_ID, LOGIN_KEY)
    status, _, body = ask(f"{swr.registry}{TOKEN}&scope={scope}", Authorization=login)
    assert status == 200
    return f"Bearer {json.loads(body)['token']}"


def errors(body: bytes) -> Any:
    return json.loads(body)["errors"][0]


def test_challenge(swr: ScriptedSwr) -> None:
    status, headers, _ = ask(f"{swr.registry}/v2/")
    assert status == 401
    assert headers["www-authenticate"] == f'Bearer realm="{swr.registry}/swr/auth/v2/registry/auth",service="dockyard"'
    assert ask(f"{swr.registry}/v2/", Authorization=basic(ACCESS_ID, LOGIN_KEY))[0] == 401


def test_tokens_are_got_only_and_for_the_login_key(swr: ScriptedSwr) -> None:
    login = basic(ACCESS_ID, LOGIN_KEY)
    assert ask(f"{swr.registry}{TOKEN}", "POST", Authorization=login)[0] == 404
    status, _, body = ask(f"{swr.registry}{TOKEN}", Authorization=basic(ACCESS_ID, SECRET_KEY))
    assert (status, errors(body)["message"]) == (401, "Authenticate Error")
    status, _, body = ask(f"{swr.registry}{TOKEN}&scope=repository:none/hello:pull", Authorization=login)
    assert (status, errors(body)["message"]) == (401, "Image organization does not exist")


def test_token_is_for_one_repository_and_its_actions(swr: ScriptedSwr) -> None:
    pull = token(swr, "repository:org/hello:pull")
    assert ask(f"{swr.registry}/v2/org/hello/manifests/v1", Authorization=pull)[0] == 200
    assert ask(f"{swr.registry}/v2/org/other/manifests/v1", Authorization=pull)[0] == 401
    status, headers, _ = ask(f"{swr.registry}/v2/org/hello/blobs/uploads/", "POST", Authorization=pull)
    assert status == 401
    assert headers["www-authenticate"].endswith(',scope="repository:org/hello:"')


def test_upload_in_chunks(swr: ScriptedSwr) -> None:
    allowed = token(swr)
    _, headers, _ = ask(f"{swr.registry}/v2/org/hello/blobs/uploads/", "POST", Authorization=allowed)
    first = headers["location"]
    assert first.startswith("/v2/org/hello/blobs/uploads/")
    status, headers, _ = ask(f"{swr.registry}{first}", "PATCH", b"abc", Authorization=allowed, Content_Range="0-2")
    assert (status, headers["range"]) == (202, "0-0")
    assert ask(f"{swr.registry}{first}", "PATCH", b"abc", Authorization=allowed)[0] == 400  # an old location
    last = headers["location"]
    assert ask(f"{swr.registry}{last}", "PATCH", b"x", Authorization=allowed, Content_Range="9-9")[0] == 416
    digest = digest_of(b"abcd")
    target = f"{swr.registry}{last}&digest={digest}"
    status, headers, _ = ask(target, "PUT", b"d", Authorization=allowed, Content_Range="3-3")
    assert (status, headers["docker-content-digest"]) == (201, digest)
    assert swr.blob("org/hello", digest) == b"abcd"


def test_blob_that_is_not_what_was_announced(swr: ScriptedSwr) -> None:
    allowed = token(swr)
    _, headers, _ = ask(f"{swr.registry}/v2/org/hello/blobs/uploads/", "POST", Authorization=allowed)
    target = f"{swr.registry}{headers['location']}&digest={digest_of(b'other')}"
    status, _, body = ask(target, "PUT", b"abc", Authorization=allowed)
    assert (status, errors(body)["code"]) == (400, "DIGEST_INVALID")


def test_blob_comes_from_the_object_store_without_credentials(
    swr: ScriptedSwr, recorded_images: Mapping[str, Image]
) -> None:
    data, allowed = recorded_images["hello:v1"].blobs[0], token(swr)
    url = f"{swr.registry}/v2/org/hello/blobs/{digest_of(data)}"
    status, headers, _ = ask(url, "HEAD", Authorization=allowed)
    assert (status, headers["content-length"], "docker-content-digest" in headers) == (200, str(len(data)), False)
    status, headers, _ = ask(url, Authorization=allowed)
    assert status == 302
    assert ask(headers["location"])[2] == data
    assert ask(headers["location"], Authorization=allowed)[0] == 400


@pytest.mark.parametrize(("mood", "status"), [("accept", 201), ("refuse-index", 400)])
def test_index(swr: ScriptedSwr, recorded_images: Mapping[str, Image], mood: str, status: int) -> None:
    index = recorded_images["multi:buildkit"]
    swr.reset(mood, State(("org",), (Stored("org/hello", "other", index),)))
    url = f"{swr.registry}/v2/org/hello/manifests/t"
    assert ask(url, "PUT", index.manifest, Authorization=token(swr), Content_Type=index.media_type)[0] == status


def test_manifest_needs_its_blobs(swr: ScriptedSwr, recorded_images: Mapping[str, Image]) -> None:
    image = recorded_images["other:v1"]
    url = f"{swr.registry}/v2/org/hello/manifests/t"
    status, _, body = ask(url, "PUT", image.manifest, Authorization=token(swr), Content_Type=image.media_type)
    assert (status, errors(body)["code"]) == (400, "MANIFEST_BLOB_UNKNOWN")


@pytest.mark.parametrize(
    "authorization",
    [
        "SDK-HMAC-SHA256 nonsense",
        f"SDK-HMAC-SHA256 Access={OTHER_ACCESS_KEY}, SignedHeaders=host;x-sdk-date, Signature=" + "0" * 64,
    ],
)
def test_gateway_refuses(swr: ScriptedSwr, authorization: str) -> None:
    status, _, body = ask(f"{swr.api}/v2/manage/namespaces", Authorization=authorization)
    assert (status, json.loads(body)["error_code"]) == (401, "APIG.0301")


def test_management_wants_a_signature(swr: ScriptedSwr) -> None:
    status, _, body = ask(f"{swr.api}/v2/manage/namespaces")
    assert (status, json.loads(body)[0]["errorCode"]) == (401, "SVCSTG.S2I.4019000")


def test_script_serves_once_then_goes_on(swr: ScriptedSwr) -> None:
    swr.script.before(Entry("GET", "/v2/", lambda request, match: reply(503), once=True))
    assert [ask(f"{swr.registry}/v2/")[0] for _ in range(2)] == [503, 401]


def test_script_cuts_the_connection(swr: ScriptedSwr) -> None:
    swr.script.before(Entry("PUT", "/v2/.*", abort=True, once=True))
    with pytest.raises(OSError):
        ask(f"{swr.registry}/v2/x", "PUT", b"x" * (4 << 20))
    # The server notes a request when it is through with it, which may be after the client saw the cut.
    until = time.monotonic() + 10
    while not swr.requests() and time.monotonic() < until:
        time.sleep(0.01)
    assert swr.requests()[-1][0:3] == ("PUT", "/v2/x", 0)


def test_script_depends_on_its_state(swr: ScriptedSwr) -> None:
    swr.script.before(
        Entry("GET", "/a", lambda request, match: reply(200, "after"), if_state=frozenset({"seen"})),
        Entry("GET", "/a", lambda request, match: reply(200, "before"), query={"go": "1"}, set_state="seen"),
    )
    assert ask(f"{swr.api}/a")[0] == 404
    assert [ask(f"{swr.api}/a?go=1")[2] for _ in range(2)] == [b"before", b"after"]
    assert swr.script.unexpected == [("GET", "/a")]
