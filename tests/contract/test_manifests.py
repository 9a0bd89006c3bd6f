"""Manifests: pushed and read by tag and by digest, and rejected before SWR is reached if they are invalid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from adapter.sandbox.recordings.images import DOCKER_MANIFEST, Image
from tests.contract.conftest import put_back
from tests.contract.http import Answer, Body, Door, asked, digest_of, pieces, refused, silent
from tests.running import RunningAdapter, RunningSandbox, running_adapter

MAX_BYTES = 4 << 20
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "layers": []}).encode()


@pytest.fixture(scope="session")
def image(recorded_images: Mapping[str, Image]) -> Image:
    return recorded_images["hello:v1"]


@pytest.fixture
def stored(swr: RunningSandbox, repository: str, image: Image) -> Image:
    """The image is in SWR, with the tag `v1`."""
    seed(swr, repository, image, "v1")
    return image


@pytest.fixture
def target(repository: str) -> str:
    return f"/v2/{repository}/manifests/v1"


def seed(swr: RunningSandbox, repository: str, image: Image, tag: str | None = None) -> None:
    """Puts everything that a manifest references into SWR, and the manifest itself if it has a tag."""
    for blob in image.blobs:
        swr.store.put_blob(repository, blob)
    for child in image.children:
        seed(swr, repository, child, child.digest)
    if tag is not None:
        swr.store.put_manifest(repository, tag, image.manifest, image.media_type)


def put(door: Door, repository: str, reference: str, image: Image, body: Body = None) -> Answer:
    target = f"/v2/{repository}/manifests/{reference}"
    return door.ask("PUT", target, body or image.manifest, {"Content-Type": image.media_type})


class TestReading:
    @pytest.mark.parametrize("by", ["tag", "digest"])
    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    @pytest.mark.parametrize(
        "knobs", [{}, {"head_digest": False}, {"manifest_type": "json"}, {"manifest_type": "absent"}], ids=str
    )
    @pytest.mark.parametrize("name", ["hello:v1", "hello:v2", "multi:list"])
    def test_manifest(
        self,
        door: Door,
        swr: RunningSandbox,
        repository: str,
        recorded_images: Mapping[str, Image],
        name: str,
        knobs: dict[str, object],
        method: str,
        by: str,
    ) -> None:
        """Also if SWR leaves out the digest or the type: Harbor reads a manifest by its Content-Type alone."""
        image = recorded_images[name]
        put_back(swr, **knobs)
        seed(swr, repository, image, "v1")
        answer = door.ask(method, f"/v2/{repository}/manifests/{'v1' if by == 'tag' else image.digest}")
        assert (answer.status, answer.body) == (200, image.manifest if method == "GET" else b"")
        assert answer.header("Docker-Content-Digest") == image.digest
        assert answer.header("Content-Type") == image.media_type
        assert answer.header("Content-Length") == str(len(image.manifest))

    def test_accept_of_the_client_reaches_swr(self, door: Door, swr: RunningSandbox, target: str) -> None:
        connection = door.connect()
        connection.putrequest("HEAD", target)
        connection.putheader("Authorization", door.authorization)
        for each in (DOCKER_MANIFEST, OCI_MANIFEST):
            connection.putheader("Accept", each)
        connection.endheaders()
        assert connection.getresponse().status == 404
        connection.close()
        get, *_ = asked(swr, "GET", "/manifests/")
        assert DOCKER_MANIFEST in get["headers"]["accept"]
        assert OCI_MANIFEST in get["headers"]["accept"]

    def test_without_accept_all_types_are_requested(self, door: Door, swr: RunningSandbox, target: str) -> None:
        door.ask("HEAD", target)
        (get,) = asked(swr, "GET", "/manifests/")
        for kind in ("docker.distribution.manifest.list.v2", "oci.image.index.v1", "oci.image.manifest.v1"):
            assert kind in get["headers"]["accept"]

    @pytest.mark.parametrize("reference", ["missing", "sha256:" + "0" * 64])
    def test_missing_manifest(self, door: Door, repository: str, stored: Image, reference: str) -> None:
        assert door.ask("HEAD", f"/v2/{repository}-missing/manifests/{reference}").status == 404
        assert door.ask("HEAD", f"/v2/{repository}/manifests/{reference}").status == 404
        answer = door.ask("GET", f"/v2/{repository}/manifests/{reference}")
        refused(answer, 404, repository, reference, code="MANIFEST_UNKNOWN")

    @pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"cut_after_bytes": 0}, {"status": 429}])
    def test_transient_errors_are_retried(
        self, door: Door, swr: RunningSandbox, target: str, stored: Image, fault: dict[str, object]
    ) -> None:
        swr.faults({"path": "/manifests/", **fault})
        assert door.ask("HEAD", target).header("Docker-Content-Digest") == stored.digest


class TestPushing:
    @pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
    @pytest.mark.parametrize("by", ["tag", "digest"])
    @pytest.mark.parametrize("put_digest", [True, False], ids=["SWR sends the digest", "SWR does not"])
    def test_put(
        self,
        door: Door,
        swr: RunningSandbox,
        repository: str,
        image: Image,
        by: str,
        framing: str,
        put_digest: bool,
    ) -> None:
        put_back(swr, put_digest=put_digest)
        seed(swr, repository, image)
        # Harbor's PUT is retried after a transient error.
        swr.faults({"method": "PUT", "status": 503})
        reference = "v1" if by == "tag" else image.digest
        body = image.manifest if framing == "Content-Length" else pieces(image.manifest, 100)
        answer = put(door, repository, reference, image, body)
        assert answer.status == 201, answer.body
        assert answer.header("Docker-Content-Digest") == image.digest
        assert answer.header("Location") == f"/v2/{repository}/manifests/{image.digest}"
        found = swr.store.manifest(repository, reference)
        assert found is not None
        assert (found.data, found.media_type) == (image.manifest, image.media_type)

    def test_another_digest_from_swr_is_an_error(
        self, door: Door, swr: RunningSandbox, repository: str, image: Image
    ) -> None:
        headers = {"Docker-Content-Digest": digest_of(b"other")}
        swr.faults({"method": "PUT", "status": 201, "headers": headers, "read_bytes": len(image.manifest)})
        refused(put(door, repository, "v1", image), 502, digest_of(b"other"))

    def test_without_content_type_the_media_type_of_the_document_counts(
        self, door: Door, swr: RunningSandbox, repository: str, target: str, image: Image
    ) -> None:
        seed(swr, repository, image)
        assert door.ask("PUT", target, image.manifest).status == 201
        found = swr.store.manifest(repository, "v1")
        assert found is not None
        assert found.media_type == image.media_type

    @pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
    def test_size_limit(self, door: Door, swr: RunningSandbox, repository: str, image: Image, framing: str) -> None:
        """4 MiB, which a registry must accept."""
        seed(swr, repository, image)
        data = image.manifest.ljust(MAX_BYTES)
        answer = put(door, repository, "v1", image, data if framing == "Content-Length" else pieces(data, 1 << 20))
        assert (answer.status, answer.header("Docker-Content-Digest")) == (201, digest_of(data))
        data += b" "
        with silent(swr, tokens=framing == "chunked"):
            answer = put(door, repository, "v1", image, data if framing == "Content-Length" else pieces(data, 1 << 20))
        refused(answer, 413, str(MAX_BYTES))

    @pytest.mark.parametrize(
        "data",
        [b"{", b"no JSON", b"[]", b"null", b"\xff\xfe{}", b"[" * 100_000, b'{"a":' * 100_000],
        ids=["open", "text", "array", "null", "not UTF-8", "deep array", "deep object"],
    )
    def test_not_a_json_object(self, door: Door, swr: RunningSandbox, target: str, data: bytes) -> None:
        with silent(swr, tokens=True):
            answer = door.ask("PUT", target, data, {"Content-Type": DOCKER_MANIFEST})
        refused(answer, 400, "JSON", code="MANIFEST_INVALID")

    @pytest.mark.parametrize("kind", [None, 17, "", "a/b\r\nX-Injected: 1", " a/b", "a/\x00b", "a/ь", "a/\ud800"])
    def test_missing_or_invalid_media_type(self, door: Door, swr: RunningSandbox, target: str, kind: object) -> None:
        data = json.dumps({"schemaVersion": 2, "mediaType": kind}).encode()
        with silent(swr, tokens=True):
            answer = door.ask("PUT", target, data)
        refused(answer, 400, "media type", code="MANIFEST_INVALID")

    def test_digest_mismatch_of_the_request(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        wrong = digest_of(b"another")
        with silent(swr, tokens=True):
            answer = door.ask("PUT", f"/v2/{repository}/manifests/{wrong}", EMPTY, {"Content-Type": DOCKER_MANIFEST})
        refused(answer, 400, f"expected {wrong}, got {digest_of(EMPTY)}", code="DIGEST_INVALID")

    @pytest.mark.parametrize(
        ("head", "body"),
        [
            (f"Content-Length: {len(EMPTY) + 5}", EMPTY),
            (f"Content-Length: {len(EMPTY)}", b""),
            ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(EMPTY), EMPTY)),
            ("Transfer-Encoding: chunked", b""),
            ("Transfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n"),
        ],
    )
    def test_truncated_body(self, door: Door, swr: RunningSandbox, target: str, head: str, body: bytes) -> None:
        request = door.head("PUT", target, head, f"Content-Type: {DOCKER_MANIFEST}") + body
        with silent(swr, tokens=True):
            refused(door.raw(request, half_close=True), 400)

    def test_missing_blob(self, door: Door, repository: str, image: Image) -> None:
        answer = refused(put(door, repository, "v1", image), 400, "blob unknown", code="MANIFEST_INVALID")
        assert answer.error["detail"]["swr_code"] == "MANIFEST_BLOB_UNKNOWN"


@pytest.fixture(scope="session")
def refusing_adapter(regions: dict[str, dict[str, str]]) -> Iterator[RunningAdapter]:
    with running_adapter(regions, oci_index="refuse") as adapter:
        yield adapter


class TestWithoutConversion:
    """`SWR_ADAPTER_OCI_INDEX=refuse`; `test_indexes.py` has the other choice."""

    @pytest.fixture
    def door(self, refusing_adapter: RunningAdapter, swr: RunningSandbox) -> Door:
        return Door(refusing_adapter.contract)

    @pytest.mark.parametrize(
        ("name", "knobs", "words"),
        [
            ("multi:buildkit", {}, ("oci-mediatypes=false", "--provenance=false")),
            ("hello:v2", {"oci": "refuse-all"}, ("oci-mediatypes=false",)),
        ],
    )
    def test_oci_images_that_swr_rejects(
        self,
        door: Door,
        swr: RunningSandbox,
        repository: str,
        recorded_images: Mapping[str, Image],
        name: str,
        knobs: dict[str, object],
        words: tuple[str, ...],
    ) -> None:
        put_back(swr, **knobs)
        image = recorded_images[name]
        seed(swr, repository, image)
        answer = put(door, repository, "v1", image)
        refused(answer, 400, f"{repository}:v1", image.media_type, *words, code="MANIFEST_INVALID")
        refused(put(door, repository, image.digest, image), 400, f"{repository}@{image.digest}")
        assert swr.store.tags(repository) == {}

    def test_no_other_requests_are_sent(self, door: Door, swr: RunningSandbox, repository: str, stored: Image) -> None:
        """HEAD stays HEAD, and a blob is no manifest."""
        swr.store.put_blob(repository, b"{}")
        assert door.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 200
        assert door.ask("HEAD", f"/v2/{repository}/manifests/{digest_of(b'{}')}").status == 404
        assert [entry["method"] for entry in asked(swr, "", "/manifests/")] == ["HEAD", "HEAD"]
        assert not asked(swr, "", "/blobs/")
