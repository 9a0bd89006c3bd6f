"""Which blobs are originals, how much of one is read to find out, and for whom it is remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from adapter.credentials import parse_credentials
from adapter.errors import Denied, ManifestInvalid, Unavailable, Unexpected
from adapter.manifests import preserved_original as module
from adapter.manifests.conversion import Document
from adapter.manifests.preserved_original import (
    CACHED,
    LARGEST,
    MOST_LARGE,
    MOST_PARTS,
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
SAME_BY_KEY = parse_credentials(ACCESS_ID, LOGIN_KEY, ["eu-de"])
REPOSITORY = RepositoryName("org", "repo")
PART = {"mediaType": "a/b", "digest": digest_of(b""), "size": 0}
INDEX: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [PART, PART]}
IMAGE: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": PART, "layers": [PART]}

NO_DESCRIPTORS: list[object] = [None, {}, "", 0, 7, [7], [PART, {}], [[PART]]]


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def refusal(status: int, code: str) -> Response:
    return Response(json.dumps({"errors": [{"code": code, "message": "words"}]}), status)


def without(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


def read(data: bytes) -> str | None:
    found = original_in(data, digest_of(data))
    assert found is None or (found.data, found.digest) == (data, digest_of(data))
    return None if found is None else found.media_type


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
    def test_oci_documents(self, document: object, kind: str) -> None:
        assert read(encoded(document)) == kind

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
        ],
        ids=str,
    )
    def test_anything_else(self, document: object) -> None:
        assert read(encoded(document)) is None

    @pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000])
    def test_what_is_no_json(self, data: bytes) -> None:
        assert read(data) is None

    def test_the_digest_decides(self) -> None:
        data = encoded(INDEX)
        assert original_in(data, digest_of(data, "sha512")) is not None
        assert original_in(data, digest_of(data + b" ")) is None


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture
def swr(server: HTTPServer) -> Iterator[Swr]:
    swr = Swr(server)
    swr.grant()
    yield swr
    server.clear()


@pytest.fixture
def client(swr: Swr) -> SwrClient:
    return client_of(swr)


def path(data: bytes) -> str:
    return f"/v2/org/repo/blobs/{digest_of(data)}"


def looked(swr: Swr, data: bytes) -> int:
    return swr.count("GET", path(data))


class TestFinding:
    def test_one_that_is_there(self, swr: Swr, client: SwrClient) -> None:
        data = encoded(INDEX)
        swr.answer("GET", path(data), Response(data))
        kept = PreservedOriginals(client)
        assert kept.recall(Repository(ME, REPOSITORY), digest_of(data)) is None
        for _ in range(3):
            assert kept.find(Repository(ME, REPOSITORY), digest_of(data)) == Document(OCI_INDEX, digest_of(data), data)
        assert kept.recall(Repository(ME, REPOSITORY), digest_of(data)) is not None
        assert looked(swr, data) == 1

    def test_nobody_else_is_told_without_asking(self, swr: Swr, client: SwrClient) -> None:
        data, other = encoded(INDEX), RepositoryName("org", "other")
        swr.answer("GET", path(data), Response(data))
        swr.answer("GET", f"/v2/org/other/blobs/{digest_of(data)}", 404)
        kept = PreservedOriginals(client)
        kept.find(Repository(ME, REPOSITORY), digest_of(data))
        assert kept.recall(Repository(SAME_BY_KEY, REPOSITORY), digest_of(data)) is None
        assert kept.find(Repository(ME, other), digest_of(data)) is None

    def test_what_was_found_is_taken_to_be_there_for_ten_minutes(
        self, swr: Swr, client: SwrClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = encoded(INDEX)
        assert module.LIFE == 600
        monkeypatch.setattr(module, "LIFE", 0.0)
        swr.answer("GET", path(data), Response(data), 404)
        kept = PreservedOriginals(client)
        assert kept.find(Repository(ME, REPOSITORY), digest_of(data)) is not None
        assert kept.find(Repository(ME, REPOSITORY), digest_of(data)) is None

    def test_large_ones_are_remembered_too_but_few_of_them(self, swr: Swr, client: SwrClient) -> None:
        kept, all_of_them = (
            PreservedOriginals(client),
            [encoded(INDEX).ljust(CACHED + 1 + more) for more in range(MOST_LARGE + 1)],
        )
        for data in all_of_them:
            swr.answer("GET", path(data), Response(data))
            for _ in range(2):
                assert kept.find(Repository(ME, REPOSITORY), digest_of(data)) is not None
            assert looked(swr, data) == 1
        assert kept.recall(Repository(ME, REPOSITORY), digest_of(all_of_them[0])) is None

    def test_what_is_not_there_is_asked_for_each_time(self, swr: Swr, client: SwrClient) -> None:
        """It may come at any time, through another replica."""
        data = encoded(INDEX)
        swr.answer("GET", path(data), refusal(404, "BLOB_UNKNOWN"))
        kept = PreservedOriginals(client)
        for _ in range(2):
            assert kept.find(Repository(ME, REPOSITORY), digest_of(data)) is None
        assert looked(swr, data) == 2

    @pytest.mark.parametrize("fresh", [True, False])
    @pytest.mark.parametrize("size", [0, LARGEST + 1])
    def test_a_blob_that_is_no_manifest_is_read_once(self, swr: Swr, client: SwrClient, size: int, fresh: bool) -> None:
        """A layer, or an image's configuration: what it is never changes."""
        data = encoded({"config": {"Cmd": ["/x"]}}).ljust(size)
        swr.answer("GET", path(data), Response(data))
        kept = PreservedOriginals(client)
        for _ in range(3):
            assert kept.find(Repository(ME, REPOSITORY), digest_of(data), fresh=fresh) is None
        assert looked(swr, data) == 1

    def test_more_parts_than_are_asked_for_one_by_one(self, swr: Swr, client: SwrClient) -> None:
        layers = [{**PART, "digest": digest_of(b"%d" % number)} for number in range(MOST_PARTS)]
        data = encoded({**IMAGE, "layers": layers})
        swr.answer("GET", path(data), Response(data))
        original = Document(OCI_MANIFEST, digest_of(data), data)
        with pytest.raises(ManifestInvalid, match="500 blobs"):
            PreservedOriginals(client).keep(Repository(ME, REPOSITORY), original, remembered=True)
        before = len(swr.seen)
        assert PreservedOriginals(client).find(Repository(ME, REPOSITORY), digest_of(data), fresh=True) is None
        assert len(swr.seen) <= before + 2

    def test_damage_is_absence(self, swr: Swr, client: SwrClient) -> None:
        data = encoded(INDEX)
        swr.answer("GET", path(data), Response(data + b" "))
        assert PreservedOriginals(client).find(Repository(ME, REPOSITORY), digest_of(data)) is None

    def test_the_largest_that_a_registry_must_take(self, swr: Swr, client: SwrClient) -> None:
        data = encoded(INDEX).ljust(LARGEST)
        swr.answer("GET", path(data), Response(data))
        assert PreservedOriginals(client).find(Repository(ME, REPOSITORY), digest_of(data)) is not None

    @pytest.mark.parametrize("told", [True, False], ids=["by its length", "by its bytes"])
    def test_a_layer_is_not_read_to_find_out(
        self, swr: Swr, client: SwrClient, monkeypatch: pytest.MonkeyPatch, told: bool
    ) -> None:
        data = encoded(INDEX).ljust(LARGEST + 1)
        response = Response(iter([data]))
        if told:
            monkeypatch.setattr(module, "read_document", lambda *_: pytest.fail("it is read"))
            response = Response(data)
        swr.answer("GET", path(data), lambda _: response)
        assert PreservedOriginals(client).find(Repository(ME, REPOSITORY), digest_of(data)) is None

    def test_one_without_a_length(self, swr: Swr, client: SwrClient) -> None:
        data = encoded(IMAGE)
        swr.answer("GET", path(data), lambda _: Response(iter([data])))
        assert PreservedOriginals(client).find(Repository(ME, REPOSITORY), digest_of(data)) is not None

    def test_a_failure_is_no_absence(self, swr: Swr, client: SwrClient) -> None:
        data = encoded(INDEX)
        for status, kind in ((403, Denied), (501, Unavailable)):
            swr.answer("GET", path(data), status)
            swr.answer("GET", "/v2/manage/namespaces", {"namespaces": [{"id": 1, "name": "org", "auth": 7}]})
            with pytest.raises(kind):
                PreservedOriginals(client).find(Repository(ME, REPOSITORY), digest_of(data))

    def test_what_another_program_left_in_the_state_is_not_believed(self, swr: Swr, client: SwrClient) -> None:
        data = encoded(INDEX)
        swr.answer("GET", path(data), 404)
        kept = PreservedOriginals(client)
        kept._cache.put(f"kept:{ME.fingerprint}:{REPOSITORY}:{digest_of(data)}", data + b" ", 60)
        assert kept.find(Repository(ME, REPOSITORY), digest_of(data)) is None


class TestKeeping:
    UPLOADS, UPLOAD = "/v2/org/repo/blobs/uploads/", "/v2/org/repo/blobs/uploads/1"

    @pytest.fixture
    def original(self, swr: Swr) -> Document:
        data = encoded(INDEX)
        swr.answer("POST", self.UPLOADS, Response(status=202, headers={"Location": self.UPLOAD}))
        swr.answer("PUT", self.UPLOAD, 201)
        return Document(OCI_INDEX, digest_of(data), data)

    @pytest.mark.parametrize("remembered", [True, False])
    def test_as_a_blob_under_its_digest(
        self, swr: Swr, client: SwrClient, original: Document, remembered: bool
    ) -> None:
        kept = PreservedOriginals(client)
        kept.keep(Repository(ME, REPOSITORY), original, remembered=remembered)
        (put,) = [request for request in swr.seen if request.method == "PUT"]
        assert (put.args["digest"], put.get_data()) == (original.digest, original.data)
        assert kept.recall(Repository(ME, REPOSITORY), original.digest) == (original if remembered else None)

    def test_a_refusal_is_told(self, swr: Swr, client: SwrClient, original: Document) -> None:
        kept = PreservedOriginals(client)
        for status, kind in ((416, Unexpected), (501, Unavailable)):
            swr.answer("PUT", self.UPLOAD, status)
            with pytest.raises(kind):
                kept.keep(Repository(ME, REPOSITORY), original, remembered=True)
        assert kept.recall(Repository(ME, REPOSITORY), original.digest) is None


class TestMissed:
    def test_a_digest_that_was_not_found_displaces_nothing_else(self, client: SwrClient) -> None:
        kept = PreservedOriginals(client)
        client.state.put("of somebody else", b"1", 60)
        for number in range(10):
            kept.missed(Repository(ME, REPOSITORY), digest_of(b"%d" % number))
        assert isinstance(client.state, MemoryState)
        assert len(client.state._values) == 1

    def test_until_it_comes(self, client: SwrClient) -> None:
        kept, one, two = PreservedOriginals(client), digest_of(b"1"), digest_of(b"2")
        kept.missed(Repository(ME, REPOSITORY), one)
        assert kept.lacks(Repository(ME, REPOSITORY), [two, one])
        assert not kept.lacks(Repository(ME, REPOSITORY), [two])
        assert not kept.lacks(Repository(ME, RepositoryName("org", "other")), [one])
        assert not kept.lacks(Repository(SAME_BY_KEY, REPOSITORY), [one])
        kept.arrived(Repository(ME, REPOSITORY), [one])
        assert not kept.lacks(Repository(ME, REPOSITORY), [two, one])
