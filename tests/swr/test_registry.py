from __future__ import annotations

import json

import pytest
from werkzeug import Response

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    BlobUnknown,
    CredentialsRefused,
    Denied,
    DigestInvalid,
    ManifestInvalid,
    ManifestUnknown,
    OrganizationUnknown,
    RepositoryUnknown,
    TypeRefused,
    Unavailable,
    Unexpected,
    UploadUnknown,
)
from adapter.references import RepositoryName, digest_of
from adapter.settings import RegionHosts
from adapter.swr.client import SwrClient
from adapter.swr.manifest_validation import Manifest
from adapter.swr.repository import Repository
from adapter.swr.response_body import read_document
from adapter.swr.tokens import PULL, PUSH
from tests.swr.scripted import TOKEN_PATH, Swr, client_of, jwt
from tests.swr.test_management import NAMESPACES, entry

REPOSITORY = RepositoryName("org", "repo")
MANIFEST = b'{"schemaVersion":2}'
DIGEST = digest_of(MANIFEST)
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BY_TAG = "/v2/org/repo/manifests/v1"
BLOB = f"/v2/org/repo/blobs/{DIGEST}"
UPLOADS = "/v2/org/repo/blobs/uploads/"


@pytest.fixture(autouse=True)
def _granted(swr: Swr) -> None:
    swr.grant()
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("org")]})


def head(client: SwrClient, credentials: Credentials, reference: str = "v1") -> Manifest:
    return client.registry.manifest(Repository(credentials, REPOSITORY), reference, DOCKER, head=True)


def refusal(status: int, code: str, message: str = "words") -> Response:
    return Response(json.dumps({"errors": [{"code": code, "message": message}]}), status)


def described(data: bytes = MANIFEST, **leave: bool) -> Response:
    headers = {"Docker-Content-Digest": digest_of(data), "Content-Type": DOCKER}
    return Response(data, headers={name: value for name, value in headers.items() if not leave.get(name[:6].lower())})


def test_head_costs_one_token_and_one_request(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("HEAD", BY_TAG, described())
    assert head(client, credentials) == Manifest(DOCKER, DIGEST, len(MANIFEST))
    assert [request.method for request in swr.seen] == ["GET", "HEAD"]
    assert swr.seen[1].headers["Accept"] == DOCKER
    assert swr.seen[1].headers["Authorization"].startswith("Bearer ")


def test_head_without_a_digest_is_made_good(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("HEAD", BY_TAG, described(docker=True))
    swr.answer("GET", BY_TAG, described(docker=True))
    assert head(client, credentials) == Manifest(DOCKER, DIGEST, len(MANIFEST), MANIFEST)


def test_head_by_digest_needs_no_digest_header(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("HEAD", f"/v2/org/repo/manifests/{DIGEST}", described(docker=True))
    assert head(client, credentials, DIGEST).digest == DIGEST


def test_a_damaged_manifest_is_not_passed_on(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", f"/v2/org/repo/manifests/{DIGEST}", described(b"{}"))
    with pytest.raises(Unexpected, match="damaged"):
        client.registry.manifest(Repository(credentials, REPOSITORY), DIGEST, DOCKER, head=False)


@pytest.mark.parametrize("answer", [404, refusal(404, "MANIFEST_UNKNOWN"), refusal(404, "NAME_UNKNOWN")])
def test_no_such_manifest(swr: Swr, client: SwrClient, credentials: Credentials, answer: Response) -> None:
    swr.answer("HEAD", BY_TAG, answer)
    swr.answer("GET", BY_TAG, answer)
    with pytest.raises(ManifestUnknown):
        head(client, credentials)
    with pytest.raises(ManifestUnknown):
        client.registry.manifest(Repository(credentials, REPOSITORY), "v1", DOCKER, head=False)


def test_a_stale_token_is_replaced_once(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("HEAD", BY_TAG, 401, described())
    assert head(client, credentials).digest == DIGEST
    assert swr.count("GET", TOKEN_PATH) == 2


MESSAGES = ["you do not have the permission", "Image organization does not exist", ""]
GONE = Response(json.dumps([{"errorCode": "SVCSTG.SWR.4040058", "errorMessage": "words"}]), 404)
FOREIGN = Response(json.dumps([{"errorCode": "SVCSTG.SWR.4039001", "errorMessage": "words"}]), 403)


def deny(swr: Swr, status: int, message: str) -> None:
    for method, path in (("HEAD", BY_TAG), ("GET", BY_TAG), ("DELETE", BY_TAG), ("POST", UPLOADS)):
        swr.answer(method, path, refusal(status, "DENIED", message))
    swr.answer("GET", NAMESPACES, {"namespaces": []})


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("message", MESSAGES)
def test_a_missing_organization_is_never_a_401(
    swr: Swr, client: SwrClient, credentials: Credentials, status: int, message: str
) -> None:
    deny(swr, status, message)
    swr.answer("GET", f"{NAMESPACES}/org", GONE)
    with pytest.raises(OrganizationUnknown, match="'org' not found"):
        head(client, credentials)
    swr.answer("POST", NAMESPACES, 201)
    with pytest.raises(OrganizationUnknown):
        client.uploads.start(Repository(credentials, REPOSITORY))
    assert swr.count("POST", NAMESPACES) == 1


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("said", [FOREIGN, Response("", 404), entry("org")], ids=["403", "404", "200"])
def test_what_may_be_a_lost_permission_is_denied_where_nothing_is_pushed(
    swr: Swr, client: SwrClient, credentials: Credentials, message: str, said: Response | dict[str, object]
) -> None:
    """Harbor takes a 404 for a deletion. Before a push it is one that a creation follows."""
    deny(swr, 401, message)
    swr.answer("GET", f"{NAMESPACES}/org", said)
    for method in ("HEAD", "GET", "DELETE"):
        with pytest.raises(Denied, match="'org' not found in SWR, or owned by another account"):
            client.registry.exchange(method, Repository(credentials, REPOSITORY), BY_TAG, actions=PULL)
    swr.answer("POST", NAMESPACES, 201)
    with pytest.raises(OrganizationUnknown):
        client.uploads.start(Repository(credentials, REPOSITORY))
    assert swr.count("POST", NAMESPACES) == 1


def test_with_the_login_key_the_words_of_swr_tell(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    swr.answer("GET", "/dockyard/v2/visible/namespaces", {"namespaces": []})
    deny(swr, 401, "Image organization does not exist")
    swr.answer("HEAD", BY_TAG, 401)
    with pytest.raises(OrganizationUnknown):
        head(client, key_only)
    deny(swr, 401, "you do not have the permission")
    with pytest.raises(Denied):
        head(client, key_only)


@pytest.mark.parametrize("status", [401, 403])
def test_an_organization_that_is_there_is_denied(
    swr: Swr, client: SwrClient, credentials: Credentials, status: int
) -> None:
    swr.answer("POST", UPLOADS, refusal(status, "DENIED", "you do not have the permission"))
    with pytest.raises(Denied, match="access to org/repo denied"):
        client.uploads.start(Repository(credentials, REPOSITORY))


def test_the_same_from_the_token_endpoint(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    def token(request: object) -> Response:
        if "scope" in request.args:  # type: ignore[attr-defined]
            return refusal(401, "DENIED", "insufficient")
        return Response(json.dumps({"token": jwt()}))

    swr.answer("GET", TOKEN_PATH, token)
    with pytest.raises(Denied):
        head(client, credentials)
    swr.answer("GET", NAMESPACES, {"namespaces": []})
    swr.answer("GET", f"{NAMESPACES}/org", GONE)
    with pytest.raises(OrganizationUnknown):
        head(client, credentials)


def test_a_blocked_account_is_told_so(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", UPLOADS, refusal(403, "DENIED", "Not allow to login, upload or download image"))
    with pytest.raises(AccountBlocked, match="30 minutes"):
        client.uploads.start(Repository(credentials, REPOSITORY))


def test_404_to_the_start_of_an_upload(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", UPLOADS, refusal(404, "NAME_UNKNOWN"))
    with pytest.raises(RepositoryUnknown, match="org/repo"):
        client.uploads.start(Repository(credentials, REPOSITORY))
    swr.answer("GET", NAMESPACES, {"namespaces": []})
    swr.answer("POST", NAMESPACES, 201)
    with pytest.raises(OrganizationUnknown, match="'org'"):
        client.uploads.start(Repository(credentials, REPOSITORY))


def test_accepted_is_not_stored(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("PUT", "/up", 202)
    swr.answer("PUT", BY_TAG, 202)
    with pytest.raises(Unexpected):
        client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, MANIFEST)
    with pytest.raises(Unexpected):
        client.registry.put_manifest(Repository(credentials, REPOSITORY), "v1", MANIFEST, DOCKER, DIGEST)


def test_wrong_credentials_stay_401(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", TOKEN_PATH, refusal(401, "DENIED", "Authenticate Error"))
    with pytest.raises(CredentialsRefused):
        head(client, credentials)


def test_put_manifest(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("PUT", BY_TAG, Response("", 201, {"Docker-Content-Digest": DIGEST}), Response("", 201))
    for _ in range(2):
        assert (
            client.registry.put_manifest(Repository(credentials, REPOSITORY), "v1", MANIFEST, DOCKER, DIGEST) == DIGEST
        )
    assert swr.seen[-1].get_data() == MANIFEST
    assert swr.seen[-1].headers["Content-Type"] == DOCKER


def test_a_busy_swr_is_asked_again_for_a_manifest(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("PUT", BY_TAG, 503, 201)
    assert client.registry.put_manifest(Repository(credentials, REPOSITORY), "v1", MANIFEST, DOCKER, DIGEST) == DIGEST


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "MANIFEST_INVALID", "Invalid image, fail to parse 'manifest.json'"),
        refusal(400, "SVCSTG.SWR.4000068", "fail to parse"),
        refusal(415, "UNSUPPORTED"),
        Response("", 406),
    ],
)
def test_a_refused_type_names_the_build_flags(
    swr: Swr, client: SwrClient, credentials: Credentials, answer: Response
) -> None:
    swr.answer("PUT", BY_TAG, answer)
    with pytest.raises(TypeRefused) as caught:
        client.registry.put_manifest(Repository(credentials, REPOSITORY), "v1", MANIFEST, INDEX, DIGEST)
    assert "--provenance=false" in caught.value.sentence
    assert "oci-mediatypes=false" in caught.value.sentence
    assert INDEX in caught.value.sentence


def test_other_refusals_of_a_manifest(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("PUT", BY_TAG, refusal(400, "MANIFEST_INVALID"), refusal(400, "MANIFEST_BLOB_UNKNOWN"))
    with pytest.raises(ManifestInvalid) as caught:
        client.registry.put_manifest(Repository(credentials, REPOSITORY), "v1", MANIFEST, DOCKER, DIGEST)
    assert type(caught.value) is ManifestInvalid
    with pytest.raises(ManifestInvalid) as caught:
        client.registry.put_manifest(Repository(credentials, REPOSITORY), "v1", MANIFEST, INDEX, DIGEST)
    assert type(caught.value) is ManifestInvalid


def test_blob_head(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("HEAD", BLOB, Response(MANIFEST), 404)
    assert client.registry.blob(Repository(credentials, REPOSITORY), DIGEST).length == len(MANIFEST)
    with pytest.raises(BlobUnknown):
        client.registry.blob(Repository(credentials, REPOSITORY), DIGEST)


def test_blob_head_that_redirects(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    for method in ("HEAD", "GET"):
        swr.answer(method, BLOB, Response("", 302, {"Location": "/bucket/x?Signature=s"}))
    swr.answer("GET", "/bucket/x", Response(MANIFEST))
    assert client.registry.blob(Repository(credentials, REPOSITORY), DIGEST).length == len(MANIFEST)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_blob_is_fetched_without_credentials(
    swr: Swr, client: SwrClient, credentials: Credentials, status: int
) -> None:
    swr.answer("GET", BLOB, Response("", status, {"Location": f"{swr.url}/bucket/x?Signature=s"}))
    swr.answer("GET", "/bucket/x", Response(MANIFEST))
    response = client.registry.open_blob(Repository(credentials, REPOSITORY), DIGEST, "bytes=1-2")
    assert read_document(response) == MANIFEST
    assert "Authorization" not in swr.seen[-1].headers
    assert swr.seen[-1].headers["Range"] == "bytes=1-2"
    assert swr.seen[-1].args["Signature"] == "s"


def test_redirects_have_an_end(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("GET", BLOB, Response("", 302, {"Location": BLOB}))
    with pytest.raises(Unexpected):
        client.registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)
    assert len(swr.seen) < 8


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://x/y", ""])
def test_redirects_to_nowhere(swr: Swr, client: SwrClient, credentials: Credentials, location: str) -> None:
    swr.answer("GET", BLOB, Response("", 302, {"Location": location}))
    with pytest.raises(Unexpected):
        client.registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)


def test_hosts_of_blobs_can_be_pinned(swr: Swr, credentials: Credentials) -> None:
    client = client_of(swr, regions={"eu-de": RegionHosts(swr.url, swr.url, ("obs.example",))})
    swr.answer("GET", BLOB, Response("", 302, {"Location": "http://elsewhere.example/x"}))
    with pytest.raises(Unexpected, match=r"elsewhere\.example"):
        client.registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)


@pytest.mark.parametrize("answer", [404, refusal(404, "BLOB_UNKNOWN")])
def test_no_such_blob(swr: Swr, client: SwrClient, credentials: Credentials, answer: Response) -> None:
    swr.answer("GET", BLOB, answer)
    with pytest.raises(BlobUnknown):
        client.registry.open_blob(Repository(credentials, REPOSITORY), DIGEST)


# Uploads


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/v2/org/repo/blobs/uploads/1?_state=a%2Bb", "/v2/org/repo/blobs/uploads/1?_state=a%2Bb"),
        ("{url}/v2/up/1", "/v2/up/1"),
        ("HTTP://{host}/v2/up/1", "/v2/up/1"),
        ("https://{name}/v2/up/1?x=y", "/v2/up/1?x=y"),
        ("2", f"{UPLOADS}2"),
        ("?upload=2", f"{UPLOADS}?upload=2"),
        ("../x/2", "/v2/org/repo/blobs/x/2"),
        ("{url}//v2//up/1", "//v2//up/1"),
        ("/v2/up/a b", "/v2/up/a%20b"),
    ],
)
def test_where_an_upload_goes_on(
    swr: Swr, client: SwrClient, credentials: Credentials, location: str, path: str
) -> None:
    host = swr.url.removeprefix("http://")
    filled = location.format(url=swr.url, host=host, name=host.partition(":")[0])
    swr.answer("POST", UPLOADS, Response("", 202, {"Location": filled}))
    assert client.uploads.start(Repository(credentials, REPOSITORY)) == path


@pytest.mark.parametrize("location", [None, "https://evil.example/v2/up/1", "//evil.example/x", "http://u:p@{host}/x"])
def test_where_an_upload_must_not_go(
    swr: Swr, client: SwrClient, credentials: Credentials, location: str | None
) -> None:
    host = swr.url.removeprefix("http://")
    headers = {} if location is None else {"Location": location.format(host=host)}
    swr.answer("POST", UPLOADS, Response("", 202, headers))
    with pytest.raises(Unexpected):
        client.uploads.start(Repository(credentials, REPOSITORY))


def test_the_start_of_an_upload_absorbs_trouble(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("POST", UPLOADS, 503, 429, 500, Response("", 202, {"Location": "/up"}))
    assert client.uploads.start(Repository(credentials, REPOSITORY)) == "/up"


def test_finish_adds_the_digest(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("PUT", "/up", Response("", 201, {"Docker-Content-Digest": DIGEST}))
    client.uploads.finish(Repository(credentials, REPOSITORY), "/up?_state=a%2Bb", DIGEST, MANIFEST, "5-9")
    request = swr.seen[-1]
    assert request.query_string.decode() == f"_state=a%2Bb&digest={DIGEST.replace(':', '%3A')}"
    assert request.headers["Content-Range"] == "5-9"
    assert request.get_data() == MANIFEST
    client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, b"")
    assert swr.seen[-1].headers["Content-Length"] == "0"
    assert "Content-Range" not in swr.seen[-1].headers


def test_swr_keeps_something_else(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("PUT", "/up", Response("", 201, {"Docker-Content-Digest": "sha256:" + "0" * 64}))
    with pytest.raises(Unexpected, match="stored the upload as"):
        client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, MANIFEST)


def test_refused_uploads(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("PUT", "/up", refusal(400, "DIGEST_INVALID"), 404)
    with pytest.raises(DigestInvalid):
        client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, MANIFEST)
    with pytest.raises(UploadUnknown):
        client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, MANIFEST)
    swr.answer("PATCH", "/up", 404)
    with pytest.raises(UploadUnknown):
        client.uploads.chunk(Repository(credentials, REPOSITORY), "/up", MANIFEST, None)
    swr.answer("DELETE", "/up", 204, 404)
    client.uploads.cancel(Repository(credentials, REPOSITORY), "/up")
    with pytest.raises(UploadUnknown):
        client.uploads.cancel(Repository(credentials, REPOSITORY), "/up")


def test_a_small_body_is_sent_again_when_swr_throttles(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("PUT", "/up", 503, 429, 201)
    client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, MANIFEST)
    assert [request.get_data() for request in swr.seen if request.path == "/up"] == [MANIFEST] * 3
    swr.answer("PUT", "/up", 503, 201)
    with pytest.raises(Unavailable):
        client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, iter([MANIFEST]))


def test_a_token_that_expires_before_a_stream_is_no_missing_permission(
    swr: Swr, client: SwrClient, credentials: Credentials
) -> None:
    swr.answer("PUT", "/up", 401)
    with pytest.raises(Unavailable, match="send the upload again"):
        client.uploads.finish(Repository(credentials, REPOSITORY), "/up", DIGEST, iter([MANIFEST]))
    assert swr.count("PUT", "/up") == 1
    client.tokens.bearer(Repository(credentials, REPOSITORY), PUSH)
    assert swr.count("GET", TOKEN_PATH) == 2


def test_a_chunk_moves_the_location(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.answer("PATCH", "/up", Response("", 202, {"Location": "/up?2"}), Response("", 202))
    assert client.uploads.chunk(Repository(credentials, REPOSITORY), "/up", MANIFEST, "0-18") == "/up?2"
    assert client.uploads.chunk(Repository(credentials, REPOSITORY), "/up", MANIFEST, None) == "/up"


@pytest.mark.parametrize("method", ["PATCH", "GET"])
def test_a_relative_location_is_relative_to_its_request(
    swr: Swr, client: SwrClient, credentials: Credentials, method: str
) -> None:
    swr.answer(method, "/up/1", Response("", 202, {"Location": "2?part=b", "Range": "0-18"}))
    if method == "PATCH":
        found = client.uploads.chunk(Repository(credentials, REPOSITORY), "/up/1?part=a", MANIFEST, "0-18")
    else:
        found, _ = client.uploads.status(Repository(credentials, REPOSITORY), "/up/1?part=a")
    assert found == "/up/2?part=b"


def test_an_upload_without_a_location_stays_where_it_is(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    """Also where its path looks like a host."""
    swr.answer("PATCH", "/up/1", Response("", 202))
    assert client.uploads.chunk(Repository(credentials, REPOSITORY), "//up/1?part=a", MANIFEST, None) == "//up/1?part=a"
