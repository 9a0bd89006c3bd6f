"""Layers that are not sent twice, as Harbor goes about it and as a client of the OCI distribution spec does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from adapter.sandbox.recordings.images import Image
from tests.contract.conftest import Start, put_back
from tests.contract.http import LARGE, SMALL, Answer, Door, asked, digest_of, refused, silent
from tests.contract.skopeo import remote, skopeo, write
from tests.credentials import (
    ACCESS_ID,
    OTHER_ACCESS_KEY,
    OTHER_SECRET_KEY,
    PROJECT,
    SECRET_KEY,
    WRONG_SECRET,
    basic,
)
from tests.running import OTHER_TENANT, RunningSandbox

HARBOR = {"User-Agent": "harbor-registry-client"}
OTHER = basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY)
DIGEST = digest_of(LARGE)


def places(door: Door, digest: str = DIGEST, authorization: str | None = "") -> list[str]:
    """The question in Harbor's own form."""
    target = f"/api/v2.0/repositories?q=blob_digest={digest}&page_size=1&page_number=1"
    answer = door.ask("GET", target, authorization=authorization)
    assert answer.status == 200, answer
    names = [str(each["name"]) for each in answer.json]
    assert answer.header("X-Total-Count") == str(len(names))
    return names


def mount(door: Door, target: str, source: str, digest: str = DIGEST, harbor: bool = True) -> Answer:
    query = f"mount={digest}&from={quote(source, safe='')}"
    return door.ask("POST", f"/v2/{target}/blobs/uploads/?{query}", b"", HARBOR if harbor else {})


@pytest.fixture
def own(start: Start) -> Door:
    """The door of an adapter that knows nothing yet."""
    return Door(start().contract)


def test_as_harbor_goes_about_it(own: Door, swr: RunningSandbox) -> None:
    assert places(own) == []
    own.push("team/first", LARGE)
    assert places(own) == ["team/first"]
    answer = mount(own, "team/second", "team/first")
    assert answer.status == 201
    assert answer.header("Location") == f"/v2/team/second/blobs/{DIGEST}"
    assert answer.header("Docker-Content-Digest") == DIGEST
    assert swr.store.read_blob("team/second", DIGEST) == LARGE
    # This SWR opens an upload instead: from now on Harbor sends layers itself.
    assert places(own) == []
    assert own.push("team/third", LARGE) == DIGEST


def test_with_an_swr_that_mounts(own: Door, swr: RunningSandbox) -> None:
    put_back(swr, mount="201")
    own.push("team/first", LARGE)
    uploads = len(asked(swr, "PUT"))
    for number in range(3):
        (source,) = places(own)
        assert mount(own, f"team/more{number}", source).status == 201
        assert swr.store.read_blob(f"team/more{number}", DIGEST) == LARGE
    assert len(asked(swr, "PUT")) == uploads


def test_copying_goes_on_where_it_is_wanted(start: Start, swr: RunningSandbox) -> None:
    door = Door(start(mount="copy").contract)
    door.push("team/first", LARGE)
    for number in range(3):
        (source,) = places(door)
        assert mount(door, f"team/more{number}", source).status == 201
        assert swr.store.read_blob(f"team/more{number}", DIGEST) == LARGE


def test_never(start: Start, swr: RunningSandbox) -> None:
    door = Door(start(mount="never").contract)
    door.push("team/first", LARGE)
    assert places(door) == []
    refused(mount(door, "team/second", "team/first"), 400, "SWR_ADAPTER_MOUNT", code="UNSUPPORTED")
    answer = mount(door, "team/second", "team/first", harbor=False)
    assert answer.status == 202
    assert door.put(answer.header("Location"), DIGEST, LARGE).status == 201


@pytest.mark.parametrize("answer", ["202", "201"])
def test_a_source_that_has_gone(own: Door, swr: RunningSandbox, answer: str) -> None:
    put_back(swr, mount=answer)
    own.push("team/first", LARGE)
    assert places(own) == ["team/first"]
    swr.store.blob_path("team/first", DIGEST).unlink()
    refused(mount(own, "team/second", "team/first"), 404, "team/first", code="BLOB_UNKNOWN")
    assert places(own) == []
    assert own.push("team/second", LARGE) == DIGEST


def test_a_head_that_finds_nothing_is_no_place(own: Door, swr: RunningSandbox) -> None:
    own.push("team/first", LARGE)
    swr.store.blob_path("team/first", DIGEST).unlink()
    assert own.ask("HEAD", f"/v2/team/first/blobs/{DIGEST}").status == 404
    assert places(own) == []


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_what_was_only_read_can_be_mounted_too(own: Door, swr: RunningSandbox, method: str) -> None:
    swr.store.put_blob("team/old", LARGE)
    assert own.ask(method, f"/v2/team/old/blobs/{DIGEST}").status == 200
    assert places(own) == ["team/old"]


def test_chunks_count_too(own: Door) -> None:
    answer = own.ask("PATCH", own.start("team/first"), SMALL, {"Content-Range": f"0-{len(SMALL) - 1}"})
    assert own.put(answer.header("Location"), digest_of(SMALL), b"").status == 201
    assert places(own, digest_of(SMALL)) == ["team/first"]


def test_a_failed_upload_is_no_place(own: Door) -> None:
    refused(own.put(own.start("team/first"), DIGEST, SMALL), 400, code="DIGEST_INVALID")
    assert places(own) == []


@pytest.mark.parametrize(("mode", "status"), [("auto", 202), ("copy", 201)])
def test_a_client_of_the_spec(start: Start, swr: RunningSandbox, mode: str, status: int) -> None:
    door = Door(start(mount=mode).contract)
    swr.store.put_blob("team/old", LARGE)
    answer = mount(door, "team/new", "team/old", harbor=False)
    assert answer.status == status
    if status == 202:
        assert not swr.store.has_blob("team/new", DIGEST)
        assert door.put(answer.header("Location"), DIGEST, LARGE).status == 201
    assert swr.store.read_blob("team/new", DIGEST) == LARGE


def test_a_client_of_the_spec_whose_source_is_gone(own: Door, swr: RunningSandbox) -> None:
    answer = mount(own, "team/new", "team/old", harbor=False)
    assert answer.status == 202
    assert own.put(answer.header("Location"), DIGEST, LARGE).status == 201


def test_a_new_organization_is_made_for_what_is_copied_into_it(start: Start, swr: RunningSandbox) -> None:
    door = Door(start(mount="copy").contract)
    swr.store.put_blob("team/old", LARGE)
    assert mount(door, "fresh/new", "team/old").status == 201
    assert swr.store.read_blob("fresh/new", DIGEST) == LARGE


@pytest.mark.parametrize("answer", ["202", "201"])
@pytest.mark.parametrize("mode", ["auto", "copy", "never"])
def test_skopeo(
    start: Start,
    swr: RunningSandbox,
    recorded_images: Mapping[str, Image],
    tmp_path: Path,
    mode: str,
    answer: str,
) -> None:
    """It asks for a mount by itself when it copies from one repository to another of the same registry."""
    put_back(swr, mount=answer)
    door, image = Door(start(mount=mode).contract), recorded_images["hello:v1"]
    credentials = f"{ACCESS_ID}:{SECRET_KEY}"
    arguments = ("copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--dest-creds", credentials)
    first, second = remote(door, "team/first"), remote(door, "team/second")
    pushed = skopeo(*arguments, write(tmp_path / "image", image), first)
    assert pushed.returncode == 0, pushed.stderr
    copied = skopeo(*arguments, "--src-creds", credentials, first, second)
    assert copied.returncode == 0, copied.stderr
    assert swr.store.tags("team/second") == {"v1": image.digest}
    for blob in image.blobs:
        assert swr.store.read_blob("team/second", digest_of(blob)) == blob


class TestOthers:
    def test_are_not_told_where_a_blob_is(self, own: Door, swr: RunningSandbox) -> None:
        own.push("team/first", LARGE)
        with silent(swr):
            assert places(own, authorization=OTHER) == []
            assert places(own, authorization=basic(ACCESS_ID, WRONG_SECRET)) == []
        assert places(own) == ["team/first"]

    @pytest.mark.parametrize("answer", ["202", "201"])
    @pytest.mark.parametrize("mode", ["auto", "copy"])
    def test_get_no_blob_by_naming_it(self, start: Start, swr: RunningSandbox, answer: str, mode: str) -> None:
        put_back(swr, mount=answer)
        door = Door(start(mount=mode).contract)
        door.push("team/first", LARGE)
        swr.store.create_organization("theirs", OTHER_TENANT)
        thief = Door(door.url, OTHER)
        refused(mount(thief, "theirs/copy", "team/first"), {403, 404})
        assert mount(thief, "theirs/copy", "team/first", harbor=False).status == 202
        assert not swr.store.has_blob("theirs/copy", DIGEST)
        assert places(thief) == []

    def test_no_credentials(self, door: Door, swr: RunningSandbox) -> None:
        with silent(swr):
            refused(door.ask("GET", f"/api/v2.0/repositories?q=blob_digest={DIGEST}", authorization=None), 401)


class TestQuestions:
    def test_escaped(self, door: Door) -> None:
        door.push("team/first", LARGE)
        for query in (f"blob_digest%3D{DIGEST}", quote(f"blob_digest={DIGEST}", safe=""), f"x=1,blob_digest={DIGEST}"):
            answer = door.ask("GET", f"/api/v2.0/repositories?q={query}")
            assert [each["name"] for each in answer.json] == ["team/first"], query

    @pytest.mark.parametrize("query", ["", "?q=", "?q=name%3Dx", "?page=1"])
    def test_others_are_answered_with_nothing(self, door: Door, query: str) -> None:
        door.push("team/first", LARGE)
        assert door.ask("GET", f"/api/v2.0/repositories{query}").json == []

    @pytest.mark.parametrize("digest", ["", "sha256:abc", "md5:" + "a" * 32, "../x"])
    def test_malformed_digests(self, door: Door, swr: RunningSandbox, digest: str) -> None:
        with silent(swr):
            refused(door.ask("GET", f"/api/v2.0/repositories?q=blob_digest={digest}"), 400, "digest")
            refused(mount(door, "team/new", "team/old", digest), 400, "digest", code="DIGEST_INVALID")

    @pytest.mark.parametrize("source", ["", "one", "Team/App", "../../x", "a//b", "team/app?x=1"])
    def test_malformed_sources(self, door: Door, swr: RunningSandbox, source: str) -> None:
        with silent(swr):
            refused(mount(door, "team/new", source), 400, code="NAME_INVALID")
        answer = mount(door, "team/new", source, harbor=False)
        assert answer.status == 202
        assert door.put(answer.header("Location"), DIGEST, LARGE).status == 201

    @pytest.mark.parametrize("source", ["", "Team/App", "team/other"])
    def test_a_client_of_the_spec_after_harbor_asked(self, own: Door, swr: RunningSandbox, source: str) -> None:
        """The offer was for Harbor, and names another repository."""
        own.push("team/first", LARGE)
        assert places(own) == ["team/first"]
        assert mount(own, "team/new", source, harbor=False).status == 202
