"""Organizations that are missing or cannot be created: by Harbor's request for a project, and by a first upload."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.conftest import SECRETS, put_back
from tests.contract.http import SMALL, Answer, Door, asked, bad_signatures, digest_of, refused, silent
from tests.contract.listing import create
from tests.credentials import ACCESS_KEY, basic
from tests.running import OTHER_TENANT, TENANT, RunningSandbox

Way = Callable[[Door, str], Answer]


def upload(door: Door, name: str) -> Answer:
    return door.ask("POST", f"/v2/{name}/app/blobs/uploads/", b"")


ways = pytest.mark.parametrize("way", [create, upload])
missing_profiles = pytest.mark.parametrize(
    "denied", [True, False], ids=["SWR denies the token", "SWR rejects the request"]
)


class TestCreationByUpload:
    """For clients that request no project before (Harbor's docker-registry type, Docker)."""

    @pytest.mark.parametrize("secret", SECRETS)
    @missing_profiles
    def test_first_upload_creates_it(
        self, door: Door, swr: RunningSandbox, name: str, denied: bool, secret: str
    ) -> None:
        put_back(swr, deny_missing_organization=denied)
        client = Door(door.url, basic(secret=secret))
        # Docker requests the blob first.
        assert client.ask("HEAD", f"/v2/{name}/app/blobs/{digest_of(SMALL)}").status == 404
        assert asked(swr, "POST", "/namespaces") == []
        assert swr.store.has_blob(f"{name}/app", client.push(f"{name}/app", SMALL))
        organization = swr.store.organization(name)
        assert organization is not None
        assert organization.tenant == TENANT
        assert len(asked(swr, "POST", "/namespaces")) == 1

    def test_single_post_creates_it(self, door: Door, swr: RunningSandbox, name: str) -> None:
        answer = door.ask("POST", f"/v2/{name}/app/blobs/uploads/?digest={digest_of(SMALL)}", SMALL)
        assert answer.status == 201
        assert swr.store.has_blob(f"{name}/app", digest_of(SMALL))

    def test_concurrent_uploads_create_it_once(self, door: Door, swr: RunningSandbox, name: str) -> None:
        together = threading.Barrier(16)

        def push(number: int) -> bool:
            together.wait()
            repository = f"{name}/app{number % 4}"
            return swr.store.has_blob(repository, door.push(repository, f"layer {number}".encode()))

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(push, range(16)))
        assert len(asked(swr, "POST", "/namespaces")) == 1

    def test_existing_organization_is_not_requested(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        door.push(repository, SMALL)
        assert not asked(swr, "", "/v2/manage/namespaces")

    @missing_profiles
    @pytest.mark.parametrize("secret", SECRETS)
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "manifests/v1"),
            ("PUT", "manifests/v1"),
            ("DELETE", "manifests/v1"),
            ("GET", "blobs/{digest}"),
            ("GET", "tags/list"),
        ],
    )
    def test_other_requests_do_not_create_it(
        self, door: Door, swr: RunningSandbox, name: str, method: str, path: str, secret: str, denied: bool
    ) -> None:
        put_back(swr, deny_missing_organization=denied)
        target = f"/v2/{name}/app/{path.format(digest=digest_of(SMALL))}"
        body = b'{"mediaType":"a/b"}' if method == "PUT" else None
        answer = door.ask(method, target, body, authorization=basic(secret=secret))
        refused(answer, 404, "organization", "not found", code="NAME_UNKNOWN")
        if method == "GET":
            assert f"'{name}'" in answer.message
            assert door.ask("HEAD", target, authorization=basic(secret=secret)).status in {404, 405}
        assert swr.store.organization(name) is None
        assert asked(swr, "POST", "/namespaces") == []


class TestCreationErrors:
    @ways
    def test_quota(self, door: Door, swr: RunningSandbox, name: str, way: Way) -> None:
        put_back(swr, organizations=1)
        answer = refused(way(door, name), 403, "quota", "default: 5", "use an existing organization", code="DENIED")
        assert "SVCSTG.SWR.4000097" in answer.message
        assert swr.store.organization(name) is None

    @ways
    @pytest.mark.parametrize("shape", ["array", "object"])
    @pytest.mark.parametrize("secret", SECRETS)
    def test_organization_of_another_tenant(
        self, door: Door, swr: RunningSandbox, name: str, way: Way, shape: str, secret: str
    ) -> None:
        put_back(swr, error_shape=shape)
        swr.store.create_organization(name, OTHER_TENANT)
        client = Door(door.url, basic(secret=secret))
        words = ("choose another destination namespace",) if way is create else ()
        refused(way(client, name), 403, name, "another account", *words, code="DENIED")
        # 404 would mean deleted, and the access key may only have lost its permission.
        assert client.ask("GET", f"/v2/{name}/app/manifests/v1").status == 403

    @ways
    @pytest.mark.parametrize(("invalid", "status"), [("library", 403), ("1team", 400)])
    def test_names_that_swr_rejects(self, door: Door, swr: RunningSandbox, way: Way, invalid: str, status: int) -> None:
        refused(way(door, invalid), status, "destination namespace" if way is upload or status == 403 else "lowercase")
        assert asked(swr, "POST", "/namespaces") == []

    def test_name_that_only_this_swr_reserves(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.reset(reserved=f"library,{name}")
        refused(create(door, name), 403, name, "choose another destination namespace")

    def test_no_permission_to_create(self, door: Door, swr: RunningSandbox, name: str) -> None:
        body = [{"errorCode": "SVCSTG.SWR.4039002", "errorMessage": "no permission", "detail": ""}]
        swr.faults({"origin": "api", "method": "POST", "status": 403, "body": body})
        refused(create(door, name), 403, "permission", "administrator")

    def test_read_only_organization(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.store.create_organization(name, OTHER_TENANT, auth={ACCESS_KEY: 1})
        refused(create(door, name), 403, name, "read-only", "permission")
        refused(upload(door, name), 403, f"{name}/app", "permission", code="DENIED")
        assert door.ask("HEAD", f"/v2/{name}/app/manifests/v1").status == 404

    @ways
    def test_creation_switched_off(self, strict_door: Door, swr: RunningSandbox, name: str, way: Way) -> None:
        refused(way(strict_door, name), 403, name, "SWR_ADAPTER_CREATE_NAMESPACES", code="DENIED")
        assert asked(swr, "POST", "/namespaces") == []
        swr.store.create_organization(name, TENANT)
        refused(create(strict_door, name), 409, name, "exists")

    def test_login_key_without_dockyard(self, key_door: Door, swr: RunningSandbox, name: str) -> None:
        swr.set_knobs(dockyard=False)
        refused(upload(key_door, name), 403, name, "enter the SK", code="DENIED")

    def test_wrong_secret_after_a_creation(self, door: Door, swr: RunningSandbox, name: str, wrong: str) -> None:
        assert create(door, name).status == 201
        refused(create(door, name, authorization=wrong), 401, "rejected the credentials")
        assert bad_signatures(swr) == {"count": 0, "locked": []}

    @pytest.mark.parametrize("invalid", ["", " ", "UPPER", "a..b", "a/b", "ümlaut", "a\nb", "a\x00b", "%2e", "a" * 65])
    def test_invalid_names(self, door: Door, swr: RunningSandbox, invalid: str) -> None:
        with silent(swr):
            answer = create(door, invalid)
        refused(answer, 400, "invalid SWR organization name", "lowercase", code="NAME_INVALID")

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"null", b"17", b"{}", b"\xff\xfe", b"[" * 60_000, b'{"project_name": ["a"]}']
    )
    def test_invalid_bodies(self, door: Door, swr: RunningSandbox, body: bytes) -> None:
        with silent(swr):
            answer = door.ask("POST", "/api/v2.0/projects", body)
        refused(answer, 400)
        assert set(answer.error) == {"code", "message"}

    @pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
    def test_truncated_body(self, door: Door, swr: RunningSandbox, head: str) -> None:
        body = b'{"project_name": "half"' if "Length" in head else b'17\r\n{"project_name": "half"\r\n'
        with silent(swr):
            answer = door.raw(door.head("POST", "/api/v2.0/projects", head) + body, half_close=True)
        refused(answer, 400)
