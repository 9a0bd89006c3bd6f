"""What SWR sends as a manifest is one, and the one that it says: Harbor takes whatever has a digest for the image."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from adapter.credentials import Credentials, parse_credentials
from adapter.errors import Unexpected
from adapter.manifests.service import ManifestService
from adapter.references import RepositoryName, digest_of
from adapter.sandbox.recordings.images import OCI_INDEX, Image
from adapter.swr.client import SwrClient
from adapter.swr.media_types import ACCEPT, DOCKER_LIST, DOCKER_MANIFEST
from adapter.swr.repository import Repository
from tests.contract.conftest import put_back
from tests.contract.http import Door, asked, refused
from tests.contract.test_manifests import seed
from tests.credentials import ACCESS_ID, PROJECT, SECRET_KEY
from tests.running import RunningSandbox, running_adapter
from tests.swr.scripted import Swr, client_of

ME: Credentials = parse_credentials(ACCESS_ID, SECRET_KEY, [PROJECT])
REPOSITORY = RepositoryName("team", "app")
GOOD = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": {}, "layers": []}).encode()
SCHEMA_1 = json.dumps({"schemaVersion": 1, "name": "app", "tag": "v1", "fsLayers": []}).encode()
PRETTY = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def said(data: bytes, kind: str = DOCKER_MANIFEST, **headers: str) -> Response:
    return Response(data, 200, {name.replace("_", "-"): value for name, value in headers.items()}, content_type=kind)


ODD: list[tuple[Response, str]] = [
    (said(b"<html>sign in</html>", "text/html"), "content type text/html"),
    (said(b""), "not a JSON object"),
    (said(b"[]", "application/json"), "not a JSON object"),
    (said(b'{"error":"sign in"}', "application/json"), "without schemaVersion"),
    (said(GOOD, Docker_Content_Digest=digest_of(b"other")), digest_of(b"other")),
    (said(GOOD, Docker_Content_Digest=digest_of(b"other", "sha512")), digest_of(b"other", "sha512")),
    (said(gzip.compress(GOOD), Content_Encoding="gzip"), "gzip"),
    (said(GOOD, Content_Encoding="br"), "br"),
    (said(SCHEMA_1, "application/json"), "schema 1"),
    (said(SCHEMA_1, PRETTY, Docker_Content_Digest=digest_of(SCHEMA_1)), "schema 1"),
]
IDS = ["page", "nothing", "array", "JSON", "another digest", "another sha512", "gzip", "br", "schema 1", "signed"]


@pytest.fixture
def swr(scripted_server: HTTPServer) -> Iterator[Swr]:
    swr = Swr(scripted_server)
    swr.grant()
    yield swr
    scripted_server.clear()


@pytest.fixture
def client(swr: Swr) -> SwrClient:
    return client_of(swr)


def answers(swr: Swr, reference: str, answer: Response) -> None:
    for method in ("HEAD", "GET"):
        swr.answer(method, f"/v2/{REPOSITORY}/manifests/{reference}", answer)


class TestContent:
    @pytest.mark.parametrize(("answer", "says"), ODD, ids=IDS)
    @pytest.mark.parametrize("head", [True, False], ids=["HEAD", "GET"])
    def test_what_is_not_the_manifest_of_a_tag(
        self, swr: Swr, client: SwrClient, answer: Response, says: str, head: bool
    ) -> None:
        answers(swr, "v1", answer)
        with pytest.raises(Unexpected) as caught:
            ManifestService(client, convert=True).pull(Repository(ME, REPOSITORY), "v1", ACCEPT, head=head)
        assert says in caught.value.sentence

    @pytest.mark.parametrize("convert", [True, False])
    def test_a_head_of_a_digest_that_announces_another_one(self, swr: Swr, client: SwrClient, convert: bool) -> None:
        answers(swr, digest_of(GOOD), said(GOOD, Docker_Content_Digest=digest_of(b"other")))
        with pytest.raises(Unexpected, match="damaged"):
            ManifestService(client, convert=convert).pull(
                Repository(ME, REPOSITORY), digest_of(GOOD), ACCEPT, head=True
            )

    def test_a_page_is_not_a_blob(self, swr: Swr, client: SwrClient) -> None:
        """A client that took it for a blob would not send the layer."""
        digest = digest_of(b"layer")
        for method in ("HEAD", "GET"):
            swr.answer(method, f"/v2/{REPOSITORY}/blobs/{digest}", said(b"<html>", "text/html; charset=utf-8"))
        with pytest.raises(Unexpected, match="an HTML page was returned in place of blob"):
            client.registry.blob(Repository(ME, REPOSITORY), digest)

    @pytest.mark.parametrize("header", ["Docker_Content_Digest", "Docker_Distribution_Api_Version", "forserver"])
    def test_a_blob_whose_type_says_nothing_is_one(self, swr: Swr, client: SwrClient, header: str) -> None:
        digest = digest_of(b"layer")
        value = digest if header == "Docker_Content_Digest" else "swr"
        swr.answer("HEAD", f"/v2/{REPOSITORY}/blobs/{digest}", said(b"layer", "text/html", **{header: value}))
        assert client.registry.blob(Repository(ME, REPOSITORY), digest).length == 5

    @pytest.mark.parametrize("digest", ["", "nonsense", digest_of(GOOD), digest_of(GOOD, "sha512")])
    @pytest.mark.parametrize("head", [True, False])
    def test_what_is(self, swr: Swr, client: SwrClient, digest: str, head: bool) -> None:
        answers(swr, "v1", said(GOOD, Docker_Content_Digest=digest))
        for convert in (True, False):
            found = ManifestService(client, convert=convert).pull(Repository(ME, REPOSITORY), "v1", ACCEPT, head=head)
            assert found.digest == digest_of(GOOD)
            assert found.length == len(GOOD)


@pytest.fixture(scope="module")
def door(sandbox: RunningSandbox) -> Iterator[Door]:
    with running_adapter({"eu-de": {"registry": sandbox.registry, "api": sandbox.api}}) as adapter:
        yield Door(adapter.contract)


@pytest.fixture
def box(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    yield put_back(sandbox)
    put_back(sandbox)


@pytest.mark.parametrize("reference", ["-v1", "v" * 129, "sha256:short", "md5:" + "0" * 32, "a%20b"])
def test_an_impossible_reference_is_not_there(door: Door, box: RunningSandbox, reference: str) -> None:
    target = f"/v2/team/app/manifests/{reference}"
    assert door.ask("HEAD", target).status == 404
    refused(door.ask("GET", target), 404, "manifest not found", code="MANIFEST_UNKNOWN")
    refused(door.ask("PUT", target, GOOD, {"Content-Type": DOCKER_MANIFEST}), 400)
    assert not asked(box, "", "/manifests/")


class TestAccept:
    @pytest.fixture
    def index(self, box: RunningSandbox, recorded_images: Mapping[str, Image]) -> Image:
        index = recorded_images["multi:buildkit"]
        box.set_knobs(oci="accept", accept_types=True)
        seed(box, "team/app", index)
        box.store.put_manifest("team/app", "v1", index.manifest, index.media_type)
        return index

    def test_what_it_excludes_is_named(self, door: Door, index: Image) -> None:
        answer = door.ask("GET", "/v2/team/app/manifests/v1", headers={"Accept": DOCKER_LIST})
        refused(answer, 404, OCI_INDEX, "Accept", code="MANIFEST_UNKNOWN")
        missing = door.ask("GET", "/v2/team/app/manifests/v2", headers={"Accept": DOCKER_LIST})
        refused(missing, 404, "has no manifest v2")

    @pytest.mark.parametrize("accept", [f"{OCI_INDEX};q=0, */*", f"{DOCKER_LIST}, {OCI_INDEX};q=0.0"])
    def test_q_0_excludes(self, door: Door, box: RunningSandbox, index: Image, accept: str) -> None:
        """SWR has a Docker list under the tag then, and the original beside it."""
        box.set_knobs(oci="refuse-index", accept_types=False)
        target = "/v2/team/app/manifests/v3"
        assert door.ask("PUT", target, index.manifest, {"Content-Type": OCI_INDEX}).status == 201
        assert door.ask("GET", target, headers={"Accept": accept}).header("Content-Type") == DOCKER_LIST
        assert door.ask("GET", target, headers={"Accept": "*/*"}).header("Content-Type") == OCI_INDEX
