"""Manifests: pushed and read by tag and by digest, and refused before SWR is asked where they cannot be right."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from adapter.sandbox.recordings.images import DOCKER_MANIFEST, Image
from tests.contract.conftest import put_back
from tests.contract.http import Door, asked, digest_of, pieces, refused, silent
from tests.running import RunningAdapter, RunningSandbox, running_adapter

LARGEST = 4 << 20
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "layers": []}).encode()


@pytest.fixture(scope="session")
def image(recorded_images: Mapping[str, Image]) -> Image:
    return recorded_images["hello:v1"]


@pytest.fixture
def stored(swr: RunningSandbox, repository: str, image: Image) -> Image:
    """The image is in SWR, with the tag `v1`."""
    seed(swr, repository, image)
    swr.store.put_manifest(repository, "v1", image.manifest, image.media_type)
    return image


def seed(swr: RunningSandbox, repository: str, image: Image) -> None:
    """Everything that a manifest names is in SWR."""
    for blob in image.blobs:
        swr.store.put_blob(repository, blob)
    for child in image.children:
        seed(swr, repository, child)
        swr.store.put_manifest(repository, child.digest, child.manifest, child.media_type)


class TestReading:
    @pytest.mark.parametrize("by", ["tag", "digest"])
    @pytest.mark.parametrize("head_digest", [True, False], ids=["SWR tells the digest", "SWR leaves it out"])
    def test_head(
        self, door: Door, swr: RunningSandbox, repository: str, image: Image, by: str, head_digest: bool
    ) -> None:
        put_back(swr, head_digest=head_digest)
        seed(swr, repository, image)
        swr.store.put_manifest(repository, "v1", image.manifest, image.media_type)
        answer = door.ask("HEAD", f"/v2/{repository}/manifests/{'v1' if by == 'tag' else image.digest}")
        assert answer.status == 200
        assert answer.header("Docker-Content-Digest") == image.digest
        assert answer.header("Content-Type") == image.media_type
        assert answer.header("Content-Length") == str(len(image.manifest))
        assert answer.body == b""

    @pytest.mark.parametrize("by", ["tag", "digest"])
    def test_get(self, door: Door, repository: str, stored: Image, by: str) -> None:
        answer = door.ask("GET", f"/v2/{repository}/manifests/{'v1' if by == 'tag' else stored.digest}")
        assert (answer.status, answer.body) == (200, stored.manifest)
        assert answer.header("Docker-Content-Digest") == stored.digest
        assert answer.header("Content-Type") == stored.media_type
        assert answer.header("Content-Length") == str(len(stored.manifest))

    @pytest.mark.parametrize("kind", ["json", "absent"])
    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    @pytest.mark.parametrize("name", ["hello:v1", "hello:v2", "multi:list"])
    def test_the_type_is_told_even_where_swr_does_not(
        self,
        door: Door,
        swr: RunningSandbox,
        repository: str,
        recorded_images: Mapping[str, Image],
        name: str,
        method: str,
        kind: str,
    ) -> None:
        """Harbor reads a manifest by its Content-Type alone."""
        image = recorded_images[name]
        put_back(swr, manifest_type=kind)
        seed(swr, repository, image)
        swr.store.put_manifest(repository, "v1", image.manifest, image.media_type)
        answer = door.ask(method, f"/v2/{repository}/manifests/v1")
        assert answer.header("Content-Type") == image.media_type
        assert answer.header("Docker-Content-Digest") == image.digest
        assert answer.header("Content-Length") == str(len(image.manifest))

    def test_the_types_that_are_asked_for_reach_swr(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        connection = door.connect()
        connection.putrequest("HEAD", f"/v2/{repository}/manifests/v1")
        connection.putheader("Authorization", door.authorization)
        for each in (DOCKER_MANIFEST, OCI_MANIFEST):
            connection.putheader("Accept", each)
        connection.endheaders()
        assert connection.getresponse().status == 404
        connection.close()
        get, *_ = asked(swr, "GET", "/manifests/")
        assert DOCKER_MANIFEST in get["headers"]["accept"]
        assert OCI_MANIFEST in get["headers"]["accept"]

    def test_all_types_are_asked_for_when_none_is_named(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        door.ask("HEAD", f"/v2/{repository}/manifests/v1")
        (get,) = asked(swr, "GET", "/manifests/")
        for kind in ("docker.distribution.manifest.list.v2", "oci.image.index.v1", "oci.image.manifest.v1"):
            assert kind in get["headers"]["accept"]

    @pytest.mark.parametrize("reference", ["missing", "sha256:" + "0" * 64])
    def test_missing(self, door: Door, repository: str, stored: Image, reference: str) -> None:
        assert door.ask("HEAD", f"/v2/{repository}/manifests/{reference}").status == 404
        answer = door.ask("GET", f"/v2/{repository}/manifests/{reference}")
        refused(answer, 404, repository, reference, code="MANIFEST_UNKNOWN")

    def test_a_missing_repository(self, door: Door, repository: str) -> None:
        assert door.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 404

    def test_one_that_does_not_hash_to_its_digest(
        self, door: Door, swr: RunningSandbox, repository: str, stored: Image
    ) -> None:
        swr.faults({"method": "GET", "path": "/manifests/", "status": 200, "body": "{}"})
        refused(door.ask("GET", f"/v2/{repository}/manifests/{stored.digest}"), 502, stored.digest, "damaged")

    def test_one_that_breaks_off(self, door: Door, swr: RunningSandbox, repository: str, stored: Image) -> None:
        swr.faults({"method": "GET", "path": "/manifests/", "cut_after_bytes": 100, "times": 0})
        refused(door.ask("GET", f"/v2/{repository}/manifests/v1"), {502, 503}, "was cut off")

    @pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"cut_after_bytes": 0}, {"status": 429}])
    def test_what_passes_is_tried_again(
        self, door: Door, swr: RunningSandbox, repository: str, stored: Image, fault: dict[str, object]
    ) -> None:
        swr.faults({"path": "/manifests/", **fault})
        assert door.ask("HEAD", f"/v2/{repository}/manifests/v1").header("Docker-Content-Digest") == stored.digest


class TestPushing:
    @pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
    @pytest.mark.parametrize("by", ["tag", "digest"])
    def test_put(self, door: Door, swr: RunningSandbox, repository: str, image: Image, by: str, framing: str) -> None:
        seed(swr, repository, image)
        reference = "v1" if by == "tag" else image.digest
        body = image.manifest if framing == "Content-Length" else pieces(image.manifest, 100)
        target = f"/v2/{repository}/manifests/{reference}"
        answer = door.ask("PUT", target, body, {"Content-Type": image.media_type})
        assert answer.status == 201, answer.body
        assert answer.header("Docker-Content-Digest") == image.digest
        assert answer.header("Location") == f"/v2/{repository}/manifests/{image.digest}"
        found = swr.store.manifest(repository, reference)
        assert found is not None
        assert (found.data, found.media_type) == (image.manifest, image.media_type)

    def test_without_a_digest_from_swr(self, door: Door, swr: RunningSandbox, repository: str, image: Image) -> None:
        put_back(swr, put_digest=False)
        seed(swr, repository, image)
        answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", image.manifest, {"Content-Type": image.media_type})
        assert answer.header("Docker-Content-Digest") == image.digest

    def test_another_digest_from_swr_is_not_believed(
        self, door: Door, swr: RunningSandbox, repository: str, image: Image
    ) -> None:
        headers = {"Docker-Content-Digest": digest_of(b"other")}
        swr.faults({"method": "PUT", "status": 201, "headers": headers, "read_bytes": len(image.manifest)})
        answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", image.manifest, {"Content-Type": image.media_type})
        refused(answer, 502, digest_of(b"other"))

    def test_the_type_of_the_document_serves_when_none_is_sent(
        self, door: Door, swr: RunningSandbox, repository: str, image: Image
    ) -> None:
        seed(swr, repository, image)
        answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", image.manifest)
        assert answer.status == 201, answer.body
        found = swr.store.manifest(repository, "v1")
        assert found is not None
        assert found.media_type == image.media_type

    def test_a_docker_manifest_list(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        every = recorded_images["multi:list"]
        seed(swr, repository, every)
        target = f"/v2/{repository}/manifests/v1"
        assert door.ask("PUT", target, every.manifest, {"Content-Type": every.media_type}).status == 201

    def test_the_largest_that_a_registry_must_take(
        self, door: Door, swr: RunningSandbox, repository: str, image: Image
    ) -> None:
        seed(swr, repository, image)
        data = image.manifest.ljust(LARGEST)
        answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", data, {"Content-Type": image.media_type})
        assert answer.status == 201, answer.body
        assert answer.header("Docker-Content-Digest") == digest_of(data)

    @pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
    def test_larger_ones(self, door: Door, swr: RunningSandbox, repository: str, framing: str) -> None:
        data = EMPTY + b" " * (LARGEST + 1 - len(EMPTY))
        body = data if framing == "Content-Length" else pieces(data, 1 << 20)
        with silent(swr, tokens=framing == "chunked"):
            answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", body, {"Content-Type": DOCKER_MANIFEST})
        refused(answer, 413, str(LARGEST))

    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b"no JSON", b"[]", b'"text"', b"null", b"17", b"\xff\xfe{}", b"[" * 100_000, b'{"a":' * 100_000],
        ids=["empty", "open", "words", "array", "string", "null", "number", "no UTF-8", "deep array", "deep object"],
    )
    def test_what_is_no_json_object(self, door: Door, swr: RunningSandbox, repository: str, data: bytes) -> None:
        with silent(swr, tokens=True):
            answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", data, {"Content-Type": DOCKER_MANIFEST})
        refused(answer, 400, "JSON", code="MANIFEST_INVALID")

    @pytest.mark.parametrize("kind", [None, 17, "", ["a"]])
    def test_no_type_anywhere(self, door: Door, swr: RunningSandbox, repository: str, kind: object) -> None:
        data = json.dumps({"schemaVersion": 2, "mediaType": kind}).encode()
        with silent(swr, tokens=True):
            answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", data)
        refused(answer, 400, "media type", code="MANIFEST_INVALID")

    @pytest.mark.parametrize("kind", ["a/b\r\nX-Injected: 1", " a/b", "a/\x00b", "a/ь", "a/\ud800"])
    def test_types_that_no_header_can_carry(self, door: Door, swr: RunningSandbox, repository: str, kind: str) -> None:
        data = json.dumps({"schemaVersion": 2, "mediaType": kind}).encode()
        answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", data)
        refused(answer, 400)
        assert asked(swr, "PUT") == []

    def test_a_digest_that_is_not_the_manifests(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        wrong = digest_of(b"another")
        with silent(swr, tokens=True):
            answer = door.ask("PUT", f"/v2/{repository}/manifests/{wrong}", EMPTY, {"Content-Type": DOCKER_MANIFEST})
        refused(answer, 400, wrong, digest_of(EMPTY), code="DIGEST_INVALID")

    @pytest.mark.parametrize("sent", [0, 20, len(EMPTY)])
    @pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
    def test_a_short_one(self, door: Door, swr: RunningSandbox, repository: str, framing: str, sent: int) -> None:
        head, body = f"Content-Length: {len(EMPTY) + 5}", EMPTY[:sent]
        if framing == "chunked":
            head, body = "Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (sent, body) if sent else b""
        target = f"/v2/{repository}/manifests/v1"
        with silent(swr, tokens=True):
            answer = door.raw(
                door.head("PUT", target, head, f"Content-Type: {DOCKER_MANIFEST}") + body, half_close=True
            )
        refused(answer, 400)

    def test_broken_chunks(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        head = door.head("PUT", f"/v2/{repository}/manifests/v1", "Transfer-Encoding: chunked")
        with silent(swr, tokens=True):
            answer = door.raw(head + b"zz\r\n{}\r\n0\r\n\r\n")
        assert answer is not None
        assert answer.status == 400

    def test_a_blob_that_swr_does_not_have(self, door: Door, repository: str, image: Image) -> None:
        answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", image.manifest, {"Content-Type": image.media_type})
        refused(answer, 400, "blob unknown", code="MANIFEST_INVALID")
        assert answer.error["detail"]["swr_code"] == "MANIFEST_BLOB_UNKNOWN"

    def test_what_passes_is_tried_again(self, door: Door, swr: RunningSandbox, repository: str, image: Image) -> None:
        seed(swr, repository, image)
        swr.faults({"method": "PUT", "status": 503})
        target = f"/v2/{repository}/manifests/v1"
        assert door.ask("PUT", target, image.manifest, {"Content-Type": image.media_type}).status == 201


@pytest.fixture(scope="session")
def refusing_adapter(regions: dict[str, dict[str, str]]) -> Iterator[RunningAdapter]:
    """With `SWR_ADAPTER_OCI_INDEX=refuse`: what SWR does not take is nobody's."""
    with running_adapter(regions, oci_index="refuse") as adapter:
        yield adapter


class TestRefusedTypes:
    """Where nothing is translated; `test_indexes.py` has what else becomes of them."""

    @pytest.fixture
    def door(self, refusing_adapter: RunningAdapter, swr: RunningSandbox) -> Door:
        return Door(refusing_adapter.contract)

    def test_an_oci_index(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        index = recorded_images["multi:buildkit"]
        seed(swr, repository, index)
        answer = door.ask("PUT", f"/v2/{repository}/manifests/v1", index.manifest, {"Content-Type": index.media_type})
        words = (f"{repository}:v1", index.media_type, "oci-mediatypes=false", "--provenance=false")
        refused(answer, 400, *words, code="MANIFEST_INVALID")
        assert swr.store.tags(repository) == {}

    def test_an_oci_manifest_where_swr_takes_none(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        put_back(swr, oci="refuse-all")
        image = recorded_images["hello:v2"]
        seed(swr, repository, image)
        answer = door.ask("PUT", f"/v2/{repository}/manifests/v2", image.manifest, {"Content-Type": image.media_type})
        refused(answer, 400, image.media_type, "oci-mediatypes=false", code="MANIFEST_INVALID")

    def test_by_digest_the_digest_is_named_rightly(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        put_back(swr, oci="refuse-all")
        image = recorded_images["hello:v2"]
        seed(swr, repository, image)
        target = f"/v2/{repository}/manifests/{image.digest}"
        answer = door.ask("PUT", target, image.manifest, {"Content-Type": image.media_type})
        refused(answer, 400, f"{repository}@{image.digest}")

    def test_there_are_no_fallbacks(self, door: Door, swr: RunningSandbox, repository: str, image: Image) -> None:
        """A HEAD is a HEAD, and a blob is no manifest."""
        seed(swr, repository, image)
        swr.store.put_manifest(repository, "v1", image.manifest, image.media_type)
        swr.store.put_blob(repository, b"{}")
        assert door.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 200
        assert door.ask("HEAD", f"/v2/{repository}/manifests/{digest_of(b'{}')}").status == 404
        assert [entry["method"] for entry in asked(swr, "", "/manifests/")] == ["HEAD", "HEAD"]
        assert not asked(swr, "", "/blobs/")
