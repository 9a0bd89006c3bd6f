from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from werkzeug import Response

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    BlobUnknown,
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
from tests.swr.scripted import TOKEN_PATH, Swr, client_of, error, scopeless_only
from tests.swr.test_management import NAMESPACES, entry

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


def head(client: SwrClient, repository: Repository, reference: str = "v1") -> Manifest:
    return client.registry.manifest(repository, reference, DOCKER, head=True)


def put(client: SwrClient, repository: Repository, media_type: str = DOCKER) -> str:
    return client.registry.put_manifest(repository, "v1", MANIFEST, media_type, DIGEST)


def described(data: bytes = MANIFEST, **leave: bool) -> Response:
    headers = {"Docker-Content-Digest": digest_of(data), "Content-Type": DOCKER}
    return Response(data, headers={name: value for name, value in headers.items() if not leave.get(name[:6].lower())})


def test_head_costs_one_token_and_one_request(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("HEAD", BY_TAG, described())
    assert head(client, repository) == Manifest(DOCKER, DIGEST, len(MANIFEST))
    assert [request.method for request in swr.seen] == ["GET", "HEAD"]
    assert swr.seen[1].headers["Accept"] == DOCKER
    assert swr.seen[1].headers["Authorization"].startswith("Bearer ")


def test_head_without_a_digest_is_completed_or_checked(swr: Swr, client: SwrClient, repository: Repository) -> None:
    by_digest = f"/v2/org/repo/manifests/{DIGEST}"
    swr.answer("HEAD", BY_TAG, described(docker=True))
    swr.answer("GET", BY_TAG, described(docker=True))
    assert head(client, repository) == Manifest(DOCKER, DIGEST, len(MANIFEST), MANIFEST)
    swr.answer("HEAD", by_digest, described(docker=True))
    assert head(client, repository, DIGEST).digest == DIGEST
    swr.answer("GET", by_digest, described(b"{}"))
    with pytest.raises(Unexpected, match="damaged"):
        client.registry.manifest(repository, DIGEST, DOCKER, head=False)


@pytest.mark.parametrize("answer", [404, error(404, "words", "MANIFEST_UNKNOWN"), error(404, "words", "NAME_UNKNOWN")])
def test_a_missing_manifest_raises(swr: Swr, client: SwrClient, repository: Repository, answer: Response) -> None:
    swr.answer("HEAD", BY_TAG, answer)
    swr.answer("GET", BY_TAG, answer)
    with pytest.raises(ManifestUnknown):
        head(client, repository)
    with pytest.raises(ManifestUnknown):
        client.registry.manifest(repository, "v1", DOCKER, head=False)


def test_a_stale_token_is_replaced_once(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("HEAD", BY_TAG, 401, described())
    assert head(client, repository).digest == DIGEST
    assert swr.count("GET", TOKEN_PATH) == 2


MESSAGES = ["you do not have the permission", "Image organization does not exist", ""]
GONE = Response(json.dumps([{"errorCode": "SVCSTG.SWR.4040058", "errorMessage": "words"}]), 404)
FOREIGN = Response(json.dumps([{"errorCode": "SVCSTG.SWR.4039001", "errorMessage": "words"}]), 403)


def deny(swr: Swr, status: int, message: str) -> None:
    for method, path in (("HEAD", BY_TAG), ("GET", BY_TAG), ("DELETE", BY_TAG), ("POST", UPLOADS)):
        swr.answer(method, path, error(status, message))
    swr.answer("GET", NAMESPACES, {"namespaces": []})


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize(
    ("organization", "kind", "sentence"),
    [
        (GONE, OrganizationUnknown, "'org' not found"),
        *(
            (each, Denied, "'org' not found in SWR, or owned by another account")
            for each in (FOREIGN, Response("", 404), Response(json.dumps(entry("org"))))
        ),
    ],
    ids=["missing", "403", "404", "200"],
)
def test_401_or_403_means_missing_only_if_the_organization_is(
    swr: Swr,
    client: SwrClient,
    repository: Repository,
    status: int,
    message: str,
    organization: Response,
    kind: type[AdapterError],
    sentence: str,
) -> None:
    """Harbor treats a 404 as a deletion. Before a push, the adapter creates the organization after a 404."""
    deny(swr, status, message)
    swr.answer("GET", f"{NAMESPACES}/org", organization)
    for method in ("HEAD", "GET", "DELETE"):
        with pytest.raises(kind, match=sentence):
            client.registry.exchange(method, repository, BY_TAG, actions=PULL)
    swr.answer("POST", NAMESPACES, 201)
    with pytest.raises(OrganizationUnknown):
        client.uploads.start(repository)
    assert swr.count("POST", NAMESPACES) == 1


def test_with_the_login_key_the_message_of_swr_decides(swr: Swr, client: SwrClient, key_only: Credentials) -> None:
    repository = Repository(key_only, RepositoryName("org", "repo"))
    swr.answer("GET", "/dockyard/v2/visible/namespaces", {"namespaces": []})
    deny(swr, 401, "Image organization does not exist")
    swr.answer("HEAD", BY_TAG, 401)
    with pytest.raises(OrganizationUnknown):
        head(client, repository)
    deny(swr, 401, "you do not have the permission")
    with pytest.raises(Denied):
        head(client, repository)


@pytest.mark.parametrize(
    ("status", "message", "kind", "sentence"),
    [
        (401, "you do not have the permission", Denied, "access to org/repo denied"),
        (403, "you do not have the permission", Denied, "access to org/repo denied"),
        (403, "Not allow to login, upload or download image", AccountBlocked, "30 minutes"),
        (404, "words", RepositoryUnknown, "org/repo"),
    ],
)
def test_an_upload_to_an_existing_organization_may_be_rejected(
    swr: Swr,
    client: SwrClient,
    repository: Repository,
    status: int,
    message: str,
    kind: type[AdapterError],
    sentence: str,
) -> None:
    swr.answer("POST", UPLOADS, error(status, message, "NAME_UNKNOWN" if status == 404 else "DENIED"))
    with pytest.raises(kind, match=sentence):
        client.uploads.start(repository)


def test_a_token_denied_for_a_missing_organization_means_missing(
    swr: Swr, client: SwrClient, repository: Repository
) -> None:
    swr.answer("GET", TOKEN_PATH, scopeless_only(error(401, "insufficient")))
    with pytest.raises(Denied):
        head(client, repository)
    swr.answer("GET", NAMESPACES, {"namespaces": []})
    swr.answer("GET", f"{NAMESPACES}/org", GONE)
    with pytest.raises(OrganizationUnknown):
        head(client, repository)


def test_404_for_the_start_of_an_upload_creates_the_organization(
    swr: Swr, client: SwrClient, repository: Repository
) -> None:
    swr.answer("POST", UPLOADS, error(404, "words", "NAME_UNKNOWN"))
    swr.answer("GET", NAMESPACES, {"namespaces": []})
    swr.answer("POST", NAMESPACES, 201)
    with pytest.raises(OrganizationUnknown, match="'org'"):
        client.uploads.start(repository)


def test_a_manifest_is_put(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("PUT", BY_TAG, 503, Response("", 201, {"Docker-Content-Digest": DIGEST}), 201, 202)
    for _ in range(2):
        assert put(client, repository) == DIGEST
    assert swr.seen[-1].get_data() == MANIFEST
    assert swr.seen[-1].headers["Content-Type"] == DOCKER
    with pytest.raises(Unexpected):
        put(client, repository)


@pytest.mark.parametrize(
    "answer",
    [
        error(400, "Invalid image, fail to parse 'manifest.json'", "MANIFEST_INVALID"),
        *(error(400, "words", f"SVCSTG.SWR.{number}") for number in (4000068, 4000069)),
        error(415, "words", "UNSUPPORTED"),
        Response("", 406),
    ],
)
def test_a_rejected_type_names_the_build_flags(
    swr: Swr, client: SwrClient, repository: Repository, answer: Response
) -> None:
    swr.answer("PUT", BY_TAG, answer)
    with pytest.raises(TypeRefused) as caught:
        put(client, repository, INDEX)
    for words in ("--provenance=false", "oci-mediatypes=false", INDEX):
        assert words in caught.value.sentence
    for media_type, code in ((DOCKER, "MANIFEST_INVALID"), (INDEX, "MANIFEST_BLOB_UNKNOWN")):
        swr.answer("PUT", BY_TAG, error(400, "words", code))
        with pytest.raises(ManifestInvalid) as other:
            put(client, repository, media_type)
        assert type(other.value) is ManifestInvalid


def test_head_of_a_blob_follows_redirects(swr: Swr, client: SwrClient, repository: Repository) -> None:
    redirect = Response("", 302, {"Location": "/bucket/x?Signature=s"})
    swr.answer("HEAD", BLOB, Response(MANIFEST), redirect, 404)
    swr.answer("GET", BLOB, redirect, 404, error(404, "words", "BLOB_UNKNOWN"))
    swr.answer("GET", "/bucket/x", Response(MANIFEST))
    for _ in range(2):
        assert client.registry.blob(repository, DIGEST).length == len(MANIFEST)
    with pytest.raises(BlobUnknown):
        client.registry.blob(repository, DIGEST)
    for _ in range(2):
        with pytest.raises(BlobUnknown):
            client.registry.open_blob(repository, DIGEST)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_blob_is_fetched_without_credentials(
    swr: Swr, client: SwrClient, repository: Repository, status: int
) -> None:
    swr.answer("GET", BLOB, Response("", status, {"Location": f"{swr.url}/bucket/x?Signature=s"}))
    swr.answer("GET", "/bucket/x", Response(MANIFEST))
    response = client.registry.open_blob(repository, DIGEST, "bytes=1-2")
    assert read_document(response) == MANIFEST
    assert "Authorization" not in swr.seen[-1].headers
    assert swr.seen[-1].headers["Range"] == "bytes=1-2"
    assert swr.seen[-1].args["Signature"] == "s"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://x/y", "", BLOB])
def test_an_invalid_or_endless_redirect_raises(
    swr: Swr, client: SwrClient, repository: Repository, location: str
) -> None:
    swr.answer("GET", BLOB, Response("", 302, {"Location": location}))
    with pytest.raises(Unexpected):
        client.registry.open_blob(repository, DIGEST)
    assert len(swr.seen) < 8


def test_a_redirect_to_a_host_outside_objects_raises(swr: Swr, repository: Repository) -> None:
    client = client_of(swr, regions={"eu-de": RegionHosts(swr.url, swr.url, ("obs.example",))})
    swr.answer("GET", BLOB, Response("", 302, {"Location": "http://elsewhere.example/x"}))
    with pytest.raises(Unexpected, match=r"elsewhere\.example"):
        client.registry.open_blob(repository, DIGEST)


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
def test_an_upload_location_becomes_a_path(
    swr: Swr, client: SwrClient, repository: Repository, location: str, path: str
) -> None:
    host = swr.url.removeprefix("http://")
    filled = location.format(url=swr.url, host=host, name=host.partition(":")[0])
    swr.answer("POST", UPLOADS, 503, Response("", 202, {"Location": filled}))
    assert client.uploads.start(repository) == path


@pytest.mark.parametrize("location", [None, "https://evil.example/v2/up/1", "//evil.example/x", "http://u:p@{host}/x"])
def test_an_invalid_upload_location_raises(
    swr: Swr, client: SwrClient, repository: Repository, location: str | None
) -> None:
    headers = {} if location is None else {"Location": location.format(host=swr.url.removeprefix("http://"))}
    swr.answer("POST", UPLOADS, Response("", 202, headers))
    with pytest.raises(Unexpected):
        client.uploads.start(repository)


def test_finish_adds_the_digest_and_checks_it(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("PUT", "/up", Response("", 201, {"Docker-Content-Digest": DIGEST}))
    client.uploads.finish(repository, "/up?_state=a%2Bb", DIGEST, MANIFEST, "5-9")
    request = swr.seen[-1]
    assert request.query_string.decode() == f"_state=a%2Bb&digest={DIGEST.replace(':', '%3A')}"
    assert request.headers["Content-Range"] == "5-9"
    assert request.get_data() == MANIFEST
    client.uploads.finish(repository, "/up", DIGEST, b"")
    assert swr.seen[-1].headers["Content-Length"] == "0"
    assert "Content-Range" not in swr.seen[-1].headers
    swr.answer("PUT", "/up", Response("", 201, {"Docker-Content-Digest": "sha256:" + "0" * 64}), 202)
    with pytest.raises(Unexpected, match="stored the upload as"):
        client.uploads.finish(repository, "/up", DIGEST, MANIFEST)
    with pytest.raises(Unexpected):
        client.uploads.finish(repository, "/up", DIGEST, MANIFEST)


def test_a_rejected_upload_raises(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("PUT", "/up", error(400, "words", "DIGEST_INVALID"), 404)
    swr.answer("PATCH", "/up", 404)
    swr.answer("DELETE", "/up", 204, 404)
    with pytest.raises(DigestInvalid):
        client.uploads.finish(repository, "/up", DIGEST, MANIFEST)
    client.uploads.cancel(repository, "/up")
    requests: list[Callable[[], object]] = [
        lambda: client.uploads.finish(repository, "/up", DIGEST, MANIFEST),
        lambda: client.uploads.chunk(repository, "/up", MANIFEST, None),
        lambda: client.uploads.cancel(repository, "/up"),
    ]
    for send in requests:
        with pytest.raises(UploadUnknown):
            send()


def test_only_a_body_in_memory_is_sent_again(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("PUT", "/up", 503, 429, 201)
    client.uploads.finish(repository, "/up", DIGEST, MANIFEST)
    assert [request.get_data() for request in swr.seen if request.path == "/up"] == [MANIFEST] * 3
    swr.answer("PUT", "/up", 503, 201)
    with pytest.raises(Unavailable):
        client.uploads.finish(repository, "/up", DIGEST, iter([MANIFEST]))


def test_a_token_that_expires_during_a_stream_is_replaced(swr: Swr, client: SwrClient, repository: Repository) -> None:
    swr.answer("PUT", "/up", 401)
    with pytest.raises(Unavailable, match="send the upload again"):
        client.uploads.finish(repository, "/up", DIGEST, iter([MANIFEST]))
    assert swr.count("PUT", "/up") == 1
    client.tokens.bearer(repository, PUSH)
    assert swr.count("GET", TOKEN_PATH) == 2


@pytest.mark.parametrize(
    ("path", "location", "expected"),
    [
        ("/up/1?part=a", "2?part=b", "/up/2?part=b"),
        ("/up/1", "/up?2", "/up?2"),
        # The path stays as it is, even if it resembles a host.
        ("//up/1?part=a", None, "//up/1?part=a"),
    ],
)
def test_a_chunk_or_status_returns_the_next_location(
    swr: Swr, client: SwrClient, repository: Repository, path: str, location: str | None, expected: str
) -> None:
    headers = {"Range": "0-18"} | ({"Location": location} if location else {})
    for method in ("PATCH", "GET"):
        swr.answer(method, "/up/1", Response("", 202, headers))
    assert client.uploads.chunk(repository, path, MANIFEST, "0-18") == expected
    assert client.uploads.status(repository, path)[0] == expected
