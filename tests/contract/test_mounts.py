"""Mounts: blobs that are not sent twice. `tests/transfer/test_mount.py` has all responses of SWR."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.contract.conftest import OTHER, Start, put_back
from tests.contract.http import LARGE, SMALL, Answer, Door, asked, digest_of, refused, silent
from tests.credentials import ACCESS_ID, WRONG_SECRET, basic
from tests.running import RunningSandbox

HARBOR = {"User-Agent": "harbor-registry-client"}
DIGEST = digest_of(LARGE)


def places(door: Door, digest: str = DIGEST, authorization: str | None = "") -> list[str]:
    """The repositories from which a blob can be mounted, requested as Harbor does."""
    target = f"/api/v2.0/repositories?q=blob_digest={digest}&page_size=1&page_number=1"
    answer = door.ask("GET", target, authorization=authorization)
    assert answer.status == 200, answer
    names = [str(each["name"]) for each in answer.json]
    assert answer.header("X-Total-Count") == str(len(names))
    return names


def mount(door: Door, target: str, source: str, digest: str = DIGEST, harbor: bool = True) -> Answer:
    query = f"mount={digest}&from={quote(source, safe='')}"
    return door.ask("POST", f"/v2/{target}/blobs/uploads/?{query}", b"", HARBOR if harbor else {})


def fill(door: Door, answer: Answer) -> None:
    """Sends the blob to the upload that a mount opened."""
    assert answer.status == 202
    assert door.put(answer.header("Location"), DIGEST, LARGE).status == 201


@pytest.fixture
def own(start: Start) -> Door:
    """An adapter that knows nothing yet."""
    return Door(start().contract)


def test_swr_that_does_not_mount(own: Door, swr: RunningSandbox) -> None:
    assert places(own) == []
    own.push("team/first", LARGE)
    assert places(own) == ["team/first"]
    answer = mount(own, "team/second", "team/first")
    assert answer.status == 201
    assert answer.header("Location") == f"/v2/team/second/blobs/{DIGEST}"
    assert answer.header("Docker-Content-Digest") == DIGEST
    assert swr.store.read_blob("team/second", DIGEST) == LARGE
    # SWR opened an upload instead: from now on Harbor sends layers itself.
    assert places(own) == []
    assert own.push("team/third", LARGE) == DIGEST


@pytest.mark.parametrize(("mode", "mounts"), [("auto", True), ("copy", False)])
def test_every_further_mount(start: Start, swr: RunningSandbox, mode: str, mounts: bool) -> None:
    put_back(swr, mount="201" if mounts else "202")
    door = Door(start(mount=mode).contract)
    door.push("team/first", LARGE)
    uploads = len(asked(swr, "PUT"))
    # A missing organization is created for a copy.
    for target in ("team/more", "team/evenmore" if mounts else "fresh/more"):
        (source,) = places(door)
        assert mount(door, target, source).status == 201
        assert swr.store.read_blob(target, DIGEST) == LARGE
    assert (len(asked(swr, "PUT")) == uploads) == mounts


def test_mounts_switched_off(start: Start, swr: RunningSandbox) -> None:
    door = Door(start(mount="never").contract)
    door.push("team/first", LARGE)
    assert places(door) == []
    refused(mount(door, "team/second", "team/first"), 400, "SWR_ADAPTER_MOUNT", code="UNSUPPORTED")
    fill(door, mount(door, "team/second", "team/first", harbor=False))


@pytest.mark.parametrize("answer", ["202", "201"])
def test_deleted_source(own: Door, swr: RunningSandbox, answer: str) -> None:
    put_back(swr, mount=answer)
    own.push("team/first", LARGE)
    assert places(own) == ["team/first"]
    swr.store.blob_path("team/first", DIGEST).unlink()
    refused(mount(own, "team/second", "team/first"), 404, "team/first", code="BLOB_UNKNOWN")
    assert places(own) == []
    fill(own, mount(own, "team/new", "team/old", harbor=False))


def test_what_makes_a_source(own: Door, swr: RunningSandbox) -> None:
    """A successful HEAD, GET or upload, not a failed one."""
    refused(own.put(own.start("team/first"), DIGEST, SMALL), 400, code="DIGEST_INVALID")
    assert places(own) == []
    for method in ("HEAD", "GET"):
        swr.store.put_blob("team/old", LARGE)
        assert own.ask(method, f"/v2/team/old/blobs/{DIGEST}").status == 200
        assert places(own) == ["team/old"]
        swr.store.blob_path("team/old", DIGEST).unlink()
        assert own.ask("HEAD", f"/v2/team/old/blobs/{DIGEST}").status == 404
        assert places(own) == []
    answer = own.ask("PATCH", own.start("team/first"), SMALL, {"Content-Range": f"0-{len(SMALL) - 1}"})
    assert own.put(answer.header("Location"), digest_of(SMALL), b"").status == 201
    assert places(own, digest_of(SMALL)) == ["team/first"]


@pytest.mark.parametrize(("mode", "status"), [("auto", 202), ("copy", 201)])
def test_client_of_the_oci_spec(start: Start, swr: RunningSandbox, mode: str, status: int) -> None:
    door = Door(start(mount=mode).contract)
    swr.store.put_blob("team/old", LARGE)
    answer = mount(door, "team/new", "team/old", harbor=False)
    assert answer.status == status
    if status == 202:
        assert not swr.store.has_blob("team/new", DIGEST)
        fill(door, answer)
    assert swr.store.read_blob("team/new", DIGEST) == LARGE


class TestOtherTenants:
    def test_see_no_sources(self, own: Door, swr: RunningSandbox) -> None:
        own.push("team/first", LARGE)
        with silent(swr):
            assert places(own, authorization=OTHER) == []
            assert places(own, authorization=basic(ACCESS_ID, WRONG_SECRET)) == []
            refused(own.ask("GET", f"/api/v2.0/repositories?q=blob_digest={DIGEST}", authorization=None), 401)
        assert places(own) == ["team/first"]


class TestQueries:
    def test_forms_of_the_query(self, door: Door) -> None:
        door.push("team/first", LARGE)
        for query in (f"blob_digest%3D{DIGEST}", quote(f"blob_digest={DIGEST}", safe=""), f"x=1,blob_digest={DIGEST}"):
            answer = door.ask("GET", f"/api/v2.0/repositories?q={query}")
            assert [each["name"] for each in answer.json] == ["team/first"], query
        for query in ("", "?q=", "?q=name%3Dx", "?page=1"):
            assert door.ask("GET", f"/api/v2.0/repositories{query}").json == []

    @pytest.mark.parametrize("source", ["", "one", "Team/App", "../../x", "team/app?x=1"])
    def test_malformed_sources(self, door: Door, swr: RunningSandbox, source: str) -> None:
        with silent(swr):
            refused(mount(door, "team/new", source), 400, code="NAME_INVALID")
        fill(door, mount(door, "team/new", source, harbor=False))
