"""Which blobs are originals, how much of a blob is read to find out, and for whom it is cached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from adapter.credentials import parse_credentials
from adapter.errors import AdapterError, Denied, ManifestInvalid, Unavailable, Unexpected
from adapter.manifests import preserved_original as module
from adapter.manifests.conversion import Document
from adapter.manifests.preserved_original import (
    MAX_LARGE_ENTRIES,
    MAX_MANIFEST_BYTES,
    MAX_PARTS,
    MAX_SHARED_BYTES,
    PreservedOriginals,
    original_in,
)
from adapter.references import RepositoryName, digest_of
from adapter.state import MemoryState
from adapter.swr.client import SwrClient
from adapter.swr.media_types import OCI_INDEX, OCI_MANIFEST
from adapter.swr.repository import Repository
from tests.credentials import ACCESS_ID, LOGIN_KEY, SECRET_KEY
from tests.swr.scripted import Swr, client_of

ME = parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])
REPOSITORY = Repository(ME, RepositoryName("org", "repo"))
OTHERS = [
    Repository(parse_credentials(ACCESS_ID, LOGIN_KEY, ["eu-de"]), REPOSITORY.name),
    Repository(ME, RepositoryName("org", "other")),
]
PART = {"mediaType": "a/b", "digest": digest_of(b""), "size": 0}
INDEX: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [PART, PART]}
IMAGE: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": PART, "layers": [PART]}
NO_DESCRIPTORS: list[object] = [None, {}, "", 0, 7, [7], [PART, {}], [[PART]]]


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


DATA = encoded(INDEX)
DIGEST = digest_of(DATA)
ORIGINAL = Document(OCI_INDEX, DIGEST, DATA)


def without(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


class TestForm:
    @pytest.mark.parametrize(
        ("document", "kind"),
        [
            (INDEX, OCI_INDEX),
            (without(INDEX, "mediaType"), OCI_INDEX),
            ({**INDEX, "manifests": []}, OCI_INDEX),
            ({**INDEX, "subject": PART, "annotations": {}, "x": 1}, OCI_INDEX),
            (IMAGE, OCI_MANIFEST),
            (without(IMAGE, "mediaType"), OCI_MANIFEST),
            (without(IMAGE, "layers"), OCI_MANIFEST),
            ({**IMAGE, "layers": None, "artifactType": "a/b"}, OCI_MANIFEST),
        ],
    )
    def test_originals(self, document: object, kind: str) -> None:
        data = encoded(document)
        for algorithm in ("sha256", "sha512"):
            digest = digest_of(data, algorithm)
            assert original_in(data, digest) == Document(kind, digest, data)
        assert original_in(data, digest_of(data + b" ")) is None

    @pytest.mark.parametrize(
        "document",
        [
            {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]}, "rootfs": {"type": "layers"}},
            {"schemaVersion": 2, "config": {"Cmd": ["/x"]}},
            *({**INDEX, "mediaType": kind} for kind in (OCI_MANIFEST, "application/json", 7, "")),
            *({**IMAGE, "mediaType": kind} for kind in (OCI_INDEX, "application/vnd.docker.distribution.manifest.v2")),
            *({**each, "schemaVersion": version} for each in (INDEX, IMAGE) for version in (1, "2", None, 2.0)),
            *(without(each, "schemaVersion") for each in (INDEX, IMAGE)),
            {**INDEX, "config": PART},
            {**INDEX, "layers": []},
            {**IMAGE, "manifests": []},
            {**without(IMAGE, "mediaType"), "manifests": []},
            *({**INDEX, "manifests": value} for value in NO_DESCRIPTORS),
            *({**IMAGE, "layers": value} for value in NO_DESCRIPTORS if value is not None),
            without(IMAGE, "config"),
            *({**IMAGE, "config": without(PART, key)} for key in PART),
            *({**IMAGE, "config": {**PART, "size": size}} for size in (-1, "1", 1.5, True, None)),
            *({**IMAGE, "config": {**PART, "digest": digest}} for digest in ("", 7, None, "sha256:0", "md5:00")),
            {**IMAGE, "config": {**PART, "mediaType": None}},
            *([], 7, None, "text"),
            *(b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000),
        ],
    )
    def test_anything_else(self, document: object) -> None:
        data = document if isinstance(document, bytes) else encoded(document)
        assert original_in(data, digest_of(data)) is None


@pytest.fixture
def swr(scripted_server: HTTPServer) -> Iterator[Swr]:
    swr = Swr(scripted_server)
    swr.grant()
    yield swr
    scripted_server.clear()


@pytest.fixture
def client(swr: Swr) -> SwrClient:
    return client_of(swr)


@pytest.fixture
def originals(client: SwrClient) -> PreservedOriginals:
    return PreservedOriginals(client)


def path(data: bytes = DATA) -> str:
    return f"/v2/org/repo/blobs/{digest_of(data)}"


class TestFind:
    def test_found_original_is_cached_for_its_caller(self, swr: Swr, originals: PreservedOriginals) -> None:
        swr.answer("GET", path(), Response(DATA))
        swr.answer("GET", f"/v2/org/other/blobs/{DIGEST}", 404)
        assert originals.cached(REPOSITORY, DIGEST) is None
        for _ in range(3):
            assert originals.find(REPOSITORY, DIGEST) == ORIGINAL
        assert originals.cached(REPOSITORY, DIGEST) == ORIGINAL
        assert swr.count("GET", path()) == 1
        assert all(originals.cached(other, DIGEST) is None for other in OTHERS)
        assert originals.find(OTHERS[1], DIGEST) is None

    def test_cache_expires(self, swr: Swr, originals: PreservedOriginals, monkeypatch: pytest.MonkeyPatch) -> None:
        assert module.FOUND_TTL_SECONDS == 600
        monkeypatch.setattr(module, "FOUND_TTL_SECONDS", 0.0)
        swr.answer("GET", path(), Response(DATA), 404)
        assert originals.find(REPOSITORY, DIGEST) is not None
        assert originals.find(REPOSITORY, DIGEST) is None

    def test_few_large_originals_are_cached(self, swr: Swr, originals: PreservedOriginals) -> None:
        large = [DATA.ljust(MAX_SHARED_BYTES + 1 + more) for more in range(MAX_LARGE_ENTRIES + 1)]
        for data in large:
            swr.answer("GET", path(data), Response(data))
            for _ in range(2):
                assert originals.find(REPOSITORY, digest_of(data)) is not None
            assert swr.count("GET", path(data)) == 1
        assert originals.cached(REPOSITORY, digest_of(large[0])) is None

    def test_missing_blob_is_requested_each_time(self, swr: Swr, originals: PreservedOriginals) -> None:
        """Another replica may push it at any time."""
        body = json.dumps({"errors": [{"code": "BLOB_UNKNOWN", "message": "words"}]})
        swr.answer("GET", path(), Response(body, 404))
        assert [originals.find(REPOSITORY, DIGEST) for _ in range(2)] == [None, None]
        assert swr.count("GET", path()) == 2

    @pytest.mark.parametrize("fresh", [True, False])
    @pytest.mark.parametrize("size", [0, MAX_MANIFEST_BYTES + 1])
    def test_other_blob_is_read_once(self, swr: Swr, originals: PreservedOriginals, size: int, fresh: bool) -> None:
        data = encoded({"config": {"Cmd": ["/x"]}}).ljust(size)
        swr.answer("GET", path(data), Response(data))
        assert [originals.find(REPOSITORY, digest_of(data), fresh=fresh) for _ in range(3)] == [None] * 3
        assert swr.count("GET", path(data)) == 1

    def test_number_of_parts_is_limited(self, swr: Swr, originals: PreservedOriginals) -> None:
        layers = [{**PART, "digest": digest_of(b"%d" % number)} for number in range(MAX_PARTS)]
        data = encoded({**IMAGE, "layers": layers})
        swr.answer("GET", path(data), Response(data))
        with pytest.raises(ManifestInvalid, match="500 blobs"):
            originals.preserve(REPOSITORY, Document(OCI_MANIFEST, digest_of(data), data), cache=True)
        before = len(swr.seen)
        assert originals.find(REPOSITORY, digest_of(data), fresh=True) is None
        assert len(swr.seen) <= before + 2

    @pytest.mark.parametrize(
        ("data", "body", "found"),
        [
            (DATA, DATA + b" ", False),
            (DATA.ljust(MAX_MANIFEST_BYTES), None, True),
            (DATA.ljust(MAX_MANIFEST_BYTES + 1), None, False),
            (encoded(IMAGE), None, True),
        ],
        ids=["damaged", "largest", "too large", "image"],
    )
    @pytest.mark.parametrize("length", [True, False])
    def test_size_and_digest_decide(
        self,
        swr: Swr,
        originals: PreservedOriginals,
        monkeypatch: pytest.MonkeyPatch,
        data: bytes,
        body: bytes | None,
        found: bool,
        length: bool,
    ) -> None:
        content = data if body is None else body
        if length and len(content) > MAX_MANIFEST_BYTES:
            monkeypatch.setattr(module, "read_document", lambda *_: pytest.fail("the blob is read"))
        swr.answer("GET", path(data), lambda _: Response(content if length else iter([content])))
        assert (originals.find(REPOSITORY, digest_of(data)) is not None) == found

    def test_failure_is_raised(self, swr: Swr, originals: PreservedOriginals) -> None:
        swr.answer("GET", "/v2/manage/namespaces", {"namespaces": [{"id": 1, "name": "org", "auth": 7}]})
        for status, error in ((403, Denied), (501, Unavailable)):
            swr.answer("GET", path(), status)
            with pytest.raises(error):
                originals.find(REPOSITORY, DIGEST)

    def test_invalid_values_in_the_state_are_ignored(self, swr: Swr, originals: PreservedOriginals) -> None:
        swr.answer("GET", path(), 404)
        originals._cache.put(f"kept:{ME.fingerprint}:{REPOSITORY}:{DIGEST}", DATA + b" ", 60)
        assert originals.find(REPOSITORY, DIGEST) is None


class TestPreserve:
    UPLOADS, UPLOAD = "/v2/org/repo/blobs/uploads/", "/v2/org/repo/blobs/uploads/1"

    @pytest.fixture(autouse=True)
    def _started(self, swr: Swr) -> None:
        swr.answer("POST", self.UPLOADS, Response(status=202, headers={"Location": self.UPLOAD}))

    @pytest.mark.parametrize("cache", [True, False])
    def test_original_is_uploaded_as_a_blob(self, swr: Swr, originals: PreservedOriginals, cache: bool) -> None:
        swr.answer("PUT", self.UPLOAD, 201)
        originals.preserve(REPOSITORY, ORIGINAL, cache=cache)
        (put,) = [request for request in swr.seen if request.method == "PUT"]
        assert (put.args["digest"], put.get_data()) == (DIGEST, DATA)
        assert originals.cached(REPOSITORY, DIGEST) == (ORIGINAL if cache else None)

    @pytest.mark.parametrize(("status", "error"), [(416, Unexpected), (501, Unavailable)])
    def test_rejection_is_raised(
        self, swr: Swr, originals: PreservedOriginals, status: int, error: type[AdapterError]
    ) -> None:
        swr.answer("PUT", self.UPLOAD, status)
        with pytest.raises(error):
            originals.preserve(REPOSITORY, ORIGINAL, cache=True)
        assert originals.cached(REPOSITORY, DIGEST) is None


def test_missing_digests(client: SwrClient, originals: PreservedOriginals) -> None:
    """They are kept apart from other state, because callers choose them."""
    client.state.put("another value", b"1", 60)
    for number in range(10):
        originals.record_missing(REPOSITORY, digest_of(b"%d" % number))
    assert isinstance(client.state, MemoryState)
    assert len(client.state._values) == 1
    one, missing = digest_of(b"1"), originals.is_missing
    assert missing(REPOSITORY, one)
    assert not any(missing(*each) for each in [(REPOSITORY, DIGEST), *((other, one) for other in OTHERS)])
    originals.clear_missing(REPOSITORY, [DIGEST, one])
    assert not missing(REPOSITORY, one)
