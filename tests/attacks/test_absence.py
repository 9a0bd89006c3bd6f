"""Nothing is absent because something else than SWR's registry answered, or because a permission was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from adapter.sandbox.recordings.images import Image
from tests.contract.conftest import put_back
from tests.contract.http import Door, asked, digest_of, refused
from tests.contract.test_manifests import put, seed
from tests.credentials import ACCESS_ID, LOGIN_KEY, basic
from tests.running import OTHER_TENANT, RunningSandbox, running_adapter

REPOSITORY = "team/absence"
BLOB = digest_of(b"a blob")
HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json"}
ANSWERS: list[tuple[Mapping[str, str], Any, str]] = [
    (HTML, "<html>no such page</html>", "text/html"),
    ({}, "", "status 404"),
    (JSON, {"error_code": "APIGW.0101", "error_msg": "The API does not exist", "request_id": "r"}, "APIGW.0101"),
    (JSON, {"error_code": "APIG.0101", "error_msg": "The API does not exist", "request_id": "r"}, "APIG.0101"),
    (JSON, {"errors": [{"code": "APIGW.0101", "message": "The API does not exist"}]}, "APIGW.0101"),
    (JSON, {"message": "no Route matched with those values"}, "application/json"),
    (JSON, {"errors": [{"code": "UNSUPPORTED", "message": "not found"}]}, "UNSUPPORTED"),
    (JSON, [{"errorCode": "SVCSTG.SWR.4040083", "errorMessage": "The URL does not exist"}], "4040083"),
]
IDS = ["page", "nothing", "gateway", "older gateway", "gateway in the form", "router", "other code", "URL unknown"]
odd = pytest.mark.parametrize(("headers", "body", "says"), ANSWERS, ids=IDS)

VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
ABSENT: list[tuple[Mapping[str, str], Any]] = [
    (VERSION, ""),
    (VERSION | JSON, {"message": "Digest not found"}),
    (VERSION | JSON, {}),
    (VERSION | {"Content-Type": "text/plain; charset=utf-8"}, "404 page not found"),
    ({"forserver": "swr"}, ""),
    (VERSION | JSON, {"errors": [{"code": 404, "message": "blob"}]}),
    (JSON, [{"errorCode": "SVCSTG.SWR.4041051", "errorMessage": "layer"}]),
    (JSON, {"errors": [{"errorCode": "SVCSTG.SWR.4041060", "errorMessage": "manifest"}], "error_code": "4041060"}),
    (JSON, {"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown to registry"}]}),
    (JSON, {"errors": [{"code": "NOT_FOUND", "message": "artifact team/x@sha256:y not found"}]}),
]
"""What SWR, the registries that it may descend from, and Harbor may answer. With the headers alone it is HEAD too."""
FORMS = [
    *("empty", "a message", "an empty object", "plain text", "SWR's header", "a number as code"),
    *("SWR's array", "SWR's object", "docker-registry", "Harbor"),
]


@pytest.fixture(scope="module")
def regions(sandbox: RunningSandbox) -> dict[str, dict[str, str]]:
    return {"eu-de": {"registry": sandbox.registry, "api": sandbox.api}}


@pytest.fixture(scope="module", params=["translate", "refuse"])
def door(regions: dict[str, dict[str, str]], request: pytest.FixtureRequest) -> Iterator[Door]:
    with running_adapter(regions, oci_index=request.param) as adapter:
        yield Door(adapter.contract)


@pytest.fixture
def swr(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    yield put_back(sandbox)
    put_back(sandbox)


def answers(swr: RunningSandbox, path: str, headers: Mapping[str, str], body: Any) -> None:
    """All that is asked for below the path gets this 404, HEAD without its body."""
    swr.faults({"path": path, "status": 404, "headers": dict(headers), "body": body, "times": 0})


class TestWhatAnswered:
    @odd
    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    @pytest.mark.parametrize("path", ["manifests/v1", f"manifests/{BLOB}", f"blobs/{BLOB}"])
    def test_is_named_instead_of_absent(
        self,
        door: Door,
        swr: RunningSandbox,
        headers: Mapping[str, str],
        body: Any,
        says: str,
        method: str,
        path: str,
    ) -> None:
        answers(swr, "/v2/team/", headers, body)
        answer = door.ask(method, f"/v2/{REPOSITORY}/{path}")
        assert answer.status == 502
        if method == "GET":
            refused(answer, 502, says, "status 404", "check" if says != "UNSUPPORTED" else "report")

    @odd
    def test_to_a_push(self, door: Door, swr: RunningSandbox, headers: Mapping[str, str], body: Any, says: str) -> None:
        """Nothing is created because of it either."""
        answers(swr, "/v2/team/", headers, body)
        refused(door.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b""), 502, says)
        assert not asked(swr, "POST", "/namespaces")

    @odd
    def test_from_the_token_endpoint(
        self, door: Door, swr: RunningSandbox, headers: Mapping[str, str], body: Any, says: str
    ) -> None:
        answers(swr, "/auth/", headers, body)
        assert door.ask("GET", "/v2/team/elsewhere/manifests/v1").status == 502

    def test_from_a_registry_without_this_token_endpoint(self, door: Door, swr: RunningSandbox) -> None:
        """As CNCF distribution answers any path that it does not know."""
        answers(swr, "/auth/", VERSION | {"Content-Type": "text/plain; charset=utf-8"}, "404 page not found")
        refused(door.ask("GET", "/v2/team/nowhere/manifests/v1"), 502, "no token endpoint", "status 404")

    @pytest.mark.parametrize("body", ["<Error><Code>NoSuchBucket</Code></Error>", "<html>no such page</html>"])
    def test_from_the_object_store(self, door: Door, swr: RunningSandbox, body: str) -> None:
        """Only of the object itself may it say that it is not there: then a push sends it again."""
        swr.store.put_blob(REPOSITORY, b"a blob")
        answers(swr, "/data/tarsum/", {"Content-Type": "application/xml"}, body)
        refused(door.ask("GET", f"/v2/{REPOSITORY}/blobs/{BLOB}"), 502, "object store", "404")
        answers(swr, "/data/tarsum/", {"Content-Type": "application/xml"}, "<Error><Code>NoSuchKey</Code></Error>")
        refused(door.ask("GET", f"/v2/{REPOSITORY}/blobs/{BLOB}"), 404, "object store", code="BLOB_UNKNOWN")

    def test_a_page_with_the_version_of_a_registry_in_its_head(self, door: Door, swr: RunningSandbox) -> None:
        """Docker's documentation has nginx add it to all that nginx answers."""
        answers(swr, "/v2/team/", HTML | VERSION, "<html>no such page</html>")
        for method in ("HEAD", "GET"):
            for path in ("manifests/v1", f"blobs/{BLOB}"):
                assert door.ask(method, f"/v2/{REPOSITORY}/{path}").status == 502


class TestRegistrys:
    @pytest.mark.parametrize(("headers", "body"), ABSENT, ids=FORMS)
    @pytest.mark.parametrize("path", ["manifests/v1", f"manifests/{BLOB}", f"blobs/{BLOB}"])
    def test_any_form_is_absence(
        self, door: Door, swr: RunningSandbox, headers: Mapping[str, str], body: Any, path: str
    ) -> None:
        """Harbor looks for each blob and manifest before it sends it: anything but 404 ends the push."""
        answers(swr, "/v2/team/", headers, body)
        for method in ("HEAD", "GET"):
            answer = door.ask(method, f"/v2/{REPOSITORY}/{path}")
            assert (method, answer.status, answer.body if answer.status != 404 else b"") == (method, 404, b"")

    def test_an_image_is_pushed_whatever_its_form(
        self, door: Door, swr: RunningSandbox, recorded_images: Mapping[str, Image]
    ) -> None:
        image = recorded_images["hello:v1"]
        headers, body = ABSENT[1]
        once = {"status": 404, "headers": dict(headers), "body": body, "times": 0}
        swr.faults({"path": "/blobs/sha256", **once}, {"path": "/manifests/", "method": "HEAD", **once})
        for reference in ("form", image.digest):
            assert door.ask("HEAD", f"/v2/{REPOSITORY}/manifests/{reference}").status in (404, 200)
        for blob in image.blobs:
            assert door.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{digest_of(blob)}").status == 404
            door.push(REPOSITORY, blob)
        put(door, REPOSITORY, "form", image)

    def test_an_upload_that_cannot_go_on_is_gone(self, door: Door, swr: RunningSandbox) -> None:
        """CNCF distribution's answer. Harbor begins the blob again at a 404 alone."""
        location = door.start(REPOSITORY)
        body = {"errors": [{"code": "BLOB_UPLOAD_INVALID", "message": "blob upload invalid"}]}
        answers(swr, "/blobs/uploads/", JSON | VERSION, body)
        refused(door.put(location, BLOB, b"a blob"), 404, code="BLOB_UPLOAD_UNKNOWN")

    @pytest.mark.parametrize("path", ["manifests/v1", f"manifests/{BLOB}", f"blobs/{BLOB}"])
    def test_what_is_not_there_stays_absent(self, door: Door, swr: RunningSandbox, path: str) -> None:
        for method in ("HEAD", "GET"):
            assert door.ask(method, f"/v2/{REPOSITORY}/{path}").status == 404

    def test_a_head_of_a_registry_needs_no_second_request(self, door: Door, swr: RunningSandbox) -> None:
        assert door.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{BLOB}").status == 404
        assert [entry["method"] for entry in asked(swr, "", "/blobs/")] == ["HEAD"]

    def test_one_that_shows_no_registry_is_decided_by_one_more(self, door: Door, swr: RunningSandbox) -> None:
        swr.store.put_blob(REPOSITORY, b"a blob")
        swr.faults({"path": "/blobs/", "method": "HEAD", "status": 404, "times": 1})
        answer = door.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{BLOB}")
        assert (answer.status, answer.header("Content-Length")) == (200, "6")


class TestLostPermission:
    """Harbor 2.14.4 deletes its cached copy at a 404."""

    @pytest.mark.parametrize("secret", [None, LOGIN_KEY], ids=["SK", "login key"])
    @pytest.mark.parametrize("path", ["manifests/v1", f"manifests/{BLOB}", f"blobs/{BLOB}", "tags/list"])
    def test_is_403(
        self, door: Door, swr: RunningSandbox, recorded_images: Mapping[str, Image], path: str, secret: str | None
    ) -> None:
        image = recorded_images["hello:v1"]
        swr.store.create_organization("lost", OTHER_TENANT)
        seed(swr, "lost/app", image)
        swr.store.put_manifest("lost/app", "v1", image.manifest, image.media_type)
        authorization = basic(ACCESS_ID, secret) if secret else None
        for method in ("HEAD", "GET") if path != "tags/list" else ("GET",):
            answer = door.ask(method, f"/v2/lost/app/{path}", authorization=authorization or "")
            assert answer.status == 403, answer.body
            if method == "GET":
                refused(answer, 403, "'lost' not found in SWR, or owned by another account", code="DENIED")

    def test_a_push_is_refused_as_ever(self, door: Door, swr: RunningSandbox) -> None:
        swr.store.create_organization("lost", OTHER_TENANT)
        refused(door.ask("POST", "/v2/lost/app/blobs/uploads/", b""), 403, "another account", code="DENIED")

    def test_an_organization_that_swr_calls_missing_is_404(self, door: Door, swr: RunningSandbox) -> None:
        """Harbor's type docker-registry looks for an image before it pushes the first one into an organization."""
        assert door.ask("HEAD", "/v2/nowhere/app/manifests/v1").status == 404
        assert door.ask("HEAD", f"/v2/nowhere/app/blobs/{BLOB}").status == 404
