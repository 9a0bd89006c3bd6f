"""The scripted SWR behaves as docs/facts/swr.md says, and its script can cut and change answers."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapter.sandbox.recordings.images import Image
from adapter.swr.signing import sign
from tests.credentials import ACCESS_ID, ACCESS_KEY, LOGIN_KEY, OTHER_ACCESS_KEY, SECRET_KEY, basic
from tests.replay.holdings import Holdings, digest_of
from tests.replay.profiles import PROFILES
from tests.replay.scenarios import State, Stored
from tests.replay.script import Entry, reply
from tests.replay.scripted import ScriptedSwr

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


def test_each_mood_has_a_project(swr: ScriptedSwr) -> None:
    for profile in PROFILES.values():
        assert ask(f"{swr.registry}{TOKEN}", Authorization=basic(profile.access_id, LOGIN_KEY))[0] == 200
    assert ask(f"{swr.registry}{TOKEN}", Authorization=basic(f"other@{ACCESS_KEY}", LOGIN_KEY))[0] == 401


@pytest.mark.parametrize(
    ("what", "gone"),
    [("nothing", set()), ("blobs", {b"loose"}), ("manifests", {"untagged"}), ("both", {"untagged", "layer", b"loose"})],
)
def test_what_is_forgotten(recorded_images: Mapping[str, Image], what: str, gone: set[str | bytes]) -> None:
    listed, untagged = recorded_images["multi:list"], recorded_images["hello:v2"]
    held = Holdings.of(
        State((), (Stored("a/b", "t", listed), Stored("a/b", None, untagged)), (("a/b", b"loose"), ("a/c", b"loose")))
    )
    held.forget("a/b", what)
    assert (("a/b", untagged.digest) in held.manifests) == ("untagged" not in gone)
    assert (("a/b", digest_of(untagged.blobs[0])) in held.blobs) == ("layer" not in gone)
    assert (("a/b", digest_of(b"loose")) in held.blobs) == (b"loose" not in gone)
    assert ("a/c", digest_of(b"loose")) in held.blobs
    for child in listed.children:
        assert ("a/b", child.digest) in held.manifests
        assert {("a/b", digest_of(blob)) for blob in child.blobs} <= set(held.blobs)


def test_a_push_to_a_tag_makes_it_forget(swr: ScriptedSwr, recorded_images: Mapping[str, Image]) -> None:
    image = recorded_images["hello:v1"]
    start = State(("org",), (Stored("org/hello", "v1", image),), (("org/hello", b"loose"),))
    url = f"{swr.registry}/v2/org/hello/manifests"
    for profile, reference, kept in (("refuse-index", "v1", True), ("forgetful", "v1", False)):
        swr.reset(profile, start)
        for each in (image.digest, reference):
            assert swr.blob("org/hello", digest_of(b"loose")) == b"loose"
            answer = ask(
                f"{url}/{each}", "PUT", image.manifest, Authorization=token(swr), Content_Type=image.media_type
            )
            assert answer[0] == 201
        assert (swr.blob("org/hello", digest_of(b"loose")) is not None) == kept


@pytest.mark.parametrize(("profile", "status"), [("accept", 201), ("refuse-index", 400)])
def test_index(swr: ScriptedSwr, recorded_images: Mapping[str, Image], profile: str, status: int) -> None:
    index = recorded_images["multi:buildkit"]
    swr.reset(profile, State(("org",), (Stored("org/hello", "other", index),)))
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


# The management API's repositories and tags


@pytest.fixture
def listed(scripted: ScriptedSwr, recorded_images: Mapping[str, Image]) -> ScriptedSwr:
    """Two repositories in `org`, one in an organization whose name holds that, one of another account."""
    one, two = recorded_images["hello:v1"], recorded_images["hello:v2"]
    places = (("org/hello", "v1", one), ("org/hello", "v1b", one), ("org/hello", "v2", two), ("org/a/b", "v1", one))
    stored = [Stored(*each) for each in (*places, ("my-org/x", "v1", one), ("taken/x", "v1", one))]
    scripted.reset("refuse-index", State(("org", "my-org"), tuple(stored)), page=2)
    scripted.take_name("taken")
    return scripted


def manage(swr: ScriptedSwr, path: str, method: str = "GET") -> tuple[int, str | None, Any]:
    """Status, Content-Range and document of a signed request."""
    url = f"{swr.api}/v2/manage/{path}"
    headers = sign(method, url, {}, b"", access_key=ACCESS_KEY, secret_key=SECRET_KEY, now=datetime.now(UTC))
    del headers["Host"]
    status, answered, body = ask(url, method, b"", **{name.replace("-", "_"): value for name, value in headers.items()})
    return status, answered.get("content-range"), json.loads(body) if body else None


@pytest.mark.parametrize("query", ["namespace=org", "filter=namespace%3A%3Aorg", "filter=center%3A%3Aself"])
def test_repositories_page_by_page_of_every_organization_that_is_alike(listed: ScriptedSwr, query: str) -> None:
    first = manage(listed, f"repos?{query}&offset=0&limit=100")
    second = manage(listed, f"repos?{query}&offset=2&limit=100")
    assert (first[0], first[1], second[1]) == (200, "0-2/3", "2-1/3")
    names = [(each["namespace"], each["name"]) for each in [*first[2], *second[2]]]
    assert names == [("my-org", "x"), ("org", "a/b"), ("org", "hello")]
    assert manage(listed, f"repos?{query}")[1] is None


def test_repositories_want_a_filter_and_whole_pages(listed: ScriptedSwr) -> None:
    assert manage(listed, "repos?offset=0&limit=9")[2][0]["errorCode"] == "SVCSTG.SWR.4000055"
    assert manage(listed, "repos?namespace=org&limit=9")[2][0]["errorCode"] == "SVCSTG.SWR.4000056"


def test_tags_the_newest_first_or_by_name(listed: ScriptedSwr, recorded_images: Mapping[str, Image]) -> None:
    tags = "namespaces/org/repos/hello/tags"
    status, _, found = manage(listed, tags)
    assert (status, [each["Tag"] for each in found]) == (200, ["v2", "v1b"])
    _, total, found = manage(listed, f"{tags}?offset=1&limit=9&order_column=tag&order_type=asc")
    assert (total, [each["Tag"] for each in found]) == ("1-2/3", ["v1b", "v2"])
    assert found[0]["digest"] == recorded_images["hello:v1"].digest
    assert found[0]["manifest"].encode() == recorded_images["hello:v1"].manifest


def test_nested_name_is_written_with_dollars(listed: ScriptedSwr) -> None:
    assert [each["Tag"] for each in manage(listed, "namespaces/org/repos/a%24b/tags")[2]] == ["v1"]
    for path in ("org/repos/none", "taken/repos/x"):
        assert manage(listed, f"namespaces/{path}/tags")[2][0]["errorCode"] == "SVCSTG.SWR.4040113"


def test_deleted_tag(listed: ScriptedSwr, recorded_images: Mapping[str, Image]) -> None:
    """Another tag of the digest stays; with the last one the manifest is gone."""
    tags, digest = "namespaces/org/repos/hello/tags", recorded_images["hello:v1"].digest
    assert manage(listed, f"{tags}/v1", "DELETE")[0] == 204
    assert listed.contents().tags["org/hello"] == {"v1b": digest, "v2": recorded_images["hello:v2"].digest}
    assert manage(listed, f"{tags}/v1", "DELETE")[2][0]["errorCode"] == "SVCSTG.SWR.4040115"
    assert manage(listed, f"{tags}/v1b", "DELETE")[0] == 204
    assert digest not in listed.contents().manifests["org/hello"]


@pytest.mark.parametrize(("method", "path"), [("GET", "repos"), ("GET", "t"), ("DELETE", "t/v1")])
def test_unsigned_listing_and_deletion(listed: ScriptedSwr, method: str, path: str) -> None:
    path = path.replace("t", "namespaces/org/repos/hello/tags", 1) if path[0] == "t" else path
    assert ask(f"{listed.api}/v2/manage/{path}", method, Authorization="SDK-HMAC-SHA256 x")[0] == 401
    assert listed.contents().tags["org/hello"].keys() == {"v1", "v1b", "v2"}


def test_manifest_is_not_deleted_by_the_registry(swr: ScriptedSwr) -> None:
    status, _, body = ask(f"{swr.registry}/v2/org/hello/manifests/v1", "DELETE", Authorization=token(swr))
    assert (status, errors(body)["code"]) == (405, "UNSUPPORTED")


def test_mount(swr: ScriptedSwr, recorded_images: Mapping[str, Image]) -> None:
    """Of what is in the source; else an upload is opened."""
    data, uploads = recorded_images["hello:v1"].blobs[0], f"{swr.registry}/v2/org/new/blobs/uploads/"
    allowed = token(swr, "repository:org/new:pull,push")
    wanted = f"{uploads}?mount={digest_of(data)}&from=org/"
    assert ask(f"{wanted}other", "POST", Authorization=allowed)[0] == 202
    assert swr.blob("org/new", digest_of(data)) is None
    status, headers, _ = ask(f"{wanted}hello", "POST", Authorization=allowed)
    assert (status, headers["docker-content-digest"]) == (201, digest_of(data))
    assert swr.blob("org/new", digest_of(data)) == data


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
