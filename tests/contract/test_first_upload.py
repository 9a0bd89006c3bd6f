"""An organization that is missing is made at the first upload, for who asks for none before (docker-registry type)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.conftest import put_back
from tests.contract.http import SMALL, Door, asked, digest_of, refused
from tests.credentials import ACCESS_ID, LOGIN_KEY, basic
from tests.running import OTHER_TENANT, TENANT, RunningAdapter, RunningSandbox

CREATION = "/v2/manage/namespaces"


@pytest.fixture
def name(number: int) -> str:
    return f"first{number}"


def creations(swr: RunningSandbox) -> int:
    return len(asked(swr, "POST", "/namespaces"))


class TestMade:
    @pytest.mark.parametrize("secret", [None, LOGIN_KEY], ids=["SK", "login key"])
    @pytest.mark.parametrize("denied", [True, False], ids=["the token is refused", "the token is worthless"])
    def test_at_the_first_upload(
        self, usual_adapter: RunningAdapter, swr: RunningSandbox, name: str, denied: bool, secret: str | None
    ) -> None:
        put_back(swr, deny_missing_organization=denied)
        door = Door(usual_adapter.contract, basic(ACCESS_ID, secret) if secret else None)
        digest = door.push(f"{name}/app", SMALL)
        assert swr.store.has_blob(f"{name}/app", digest)
        organization = swr.store.organization(name)
        assert organization is not None
        assert organization.tenant == TENANT
        assert creations(swr) == 1

    def test_as_docker_does_it_too(self, door: Door, swr: RunningSandbox, name: str) -> None:
        """HEAD of the blob first: it is told that nothing is there, and nothing is made."""
        assert door.ask("HEAD", f"/v2/{name}/app/blobs/{digest_of(SMALL)}").status == 404
        assert creations(swr) == 0
        door.push(f"{name}/app", SMALL)
        assert creations(swr) == 1

    def test_in_one_request(self, door: Door, swr: RunningSandbox, name: str) -> None:
        digest = digest_of(SMALL)
        answer = door.ask("POST", f"/v2/{name}/app/blobs/uploads/?digest={digest}", SMALL)
        assert answer.status == 201
        assert swr.store.has_blob(f"{name}/app", digest)

    def test_once_however_many_ask(self, door: Door, swr: RunningSandbox, name: str) -> None:
        together = threading.Barrier(16)

        def push(number: int) -> bool:
            together.wait()
            repository = f"{name}/app{number % 4}"
            return swr.store.has_blob(repository, door.push(repository, f"layer {number}".encode()))

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(push, range(16)))
        assert creations(swr) == 1

    def test_one_that_is_there_is_not_asked_for(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        door.push(repository, SMALL)
        assert not asked(swr, "", CREATION)


class TestNotMade:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "manifests/v1"),
            ("HEAD", "manifests/v1"),
            ("PUT", "manifests/v1"),
            ("DELETE", "manifests/v1"),
            ("GET", f"blobs/{digest_of(SMALL)}"),
            ("HEAD", f"blobs/{digest_of(SMALL)}"),
            ("GET", "tags/list"),
        ],
    )
    def test_by_any_other_request(self, door: Door, swr: RunningSandbox, name: str, method: str, path: str) -> None:
        answer = door.ask(method, f"/v2/{name}/app/{path}", b'{"mediaType":"a/b"}' if method == "PUT" else None)
        assert answer.status == 404
        assert swr.store.organization(name) is None
        assert creations(swr) == 0

    def test_where_it_must_not(self, strict_door: Door, swr: RunningSandbox, name: str) -> None:
        answer = strict_door.ask("POST", f"/v2/{name}/app/blobs/uploads/", b"")
        refused(answer, 403, name, "SWR_ADAPTER_CREATE_NAMESPACES", code="DENIED")
        assert creations(swr) == 0

    def test_of_another_account(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.store.create_organization(name, OTHER_TENANT)
        refused(door.ask("POST", f"/v2/{name}/app/blobs/uploads/", b""), 403, "another account", code="DENIED")

    def test_beyond_the_quota(self, door: Door, swr: RunningSandbox, name: str) -> None:
        put_back(swr, organizations=1)
        refused(door.ask("POST", f"/v2/{name}/app/blobs/uploads/", b""), 403, "quota", code="DENIED")

    @pytest.mark.parametrize(("bad", "status"), [("library", 403), ("1team", 400)])
    def test_what_swr_takes_for_no_name(self, door: Door, swr: RunningSandbox, bad: str, status: int) -> None:
        refused(door.ask("POST", f"/v2/{bad}/app/blobs/uploads/", b""), status, "destination namespace")
        assert creations(swr) == 0

    def test_a_login_key_that_can_make_none(
        self, usual_adapter: RunningAdapter, swr: RunningSandbox, name: str
    ) -> None:
        swr.set_knobs(dockyard=False)
        door = Door(usual_adapter.contract, basic(ACCESS_ID, LOGIN_KEY))
        refused(door.ask("POST", f"/v2/{name}/app/blobs/uploads/", b""), 403, name, "enter the SK", code="DENIED")
