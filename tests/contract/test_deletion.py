"""Deletions: what was asked for goes, and nothing else. `tests/swr/test_deletion.py` has what SWR does seldom."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.sandbox.recordings.images import Image
from tests.contract.http import Door, asked, refused, silent
from tests.contract.test_manifests import seed
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, basic
from tests.running import OTHER_TENANT, RunningAdapter, RunningSandbox


@pytest.fixture
def old(swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]) -> Image:
    """An image with two tags, `v1` and `v1b`."""
    return tagged(swr, repository, recorded_images["hello:v1"], "v1", "v1b")


@pytest.fixture
def new(swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]) -> Image:
    """Another image of the same repository, with the tag `v2`."""
    return tagged(swr, repository, recorded_images["hello:v2"], "v2")


@pytest.fixture
def key_door(usual_adapter: RunningAdapter) -> Door:
    """The same account with its login key alone."""
    return Door(usual_adapter.contract, basic(ACCESS_ID, LOGIN_KEY))


def tagged(swr: RunningSandbox, repository: str, image: Image, *tags: str) -> Image:
    seed(swr, repository, image)
    for tag in tags:
        swr.store.put_manifest(repository, tag, image.manifest, image.media_type)
    return image


def tag_route(repository: str, tag: str, reference: str | None = None, slash: str = "%252F") -> str:
    project, _, name = repository.partition("/")
    return (
        f"/api/v2.0/projects/{project}/repositories/{name.replace('/', slash)}/artifacts/{reference or tag}/tags/{tag}"
    )


class TestByDigest:
    def test_all_its_tags_and_no_other(
        self, door: Door, swr: RunningSandbox, repository: str, old: Image, new: Image
    ) -> None:
        answer = door.ask("DELETE", f"/v2/{repository}/manifests/{old.digest}")
        assert (answer.status, answer.body) == (202, b"")
        assert swr.store.tags(repository) == {"v2": new.digest}
        assert not asked(swr, "DELETE", "/manifests/")
        assert door.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 404

    def test_a_list_with_its_tag(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        image = tagged(swr, repository, recorded_images["multi:list"], "multi")
        child = image.children[0]
        swr.store.put_manifest(repository, "amd64", child.manifest, child.media_type)
        assert door.ask("DELETE", f"/v2/{repository}/manifests/{image.digest}").status == 202
        assert list(swr.store.tags(repository)) == ["amd64"]

    def test_a_nested_repository(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        image = tagged(swr, f"{repository}/deep/er", recorded_images["hello:v1"], "v1")
        assert door.ask("DELETE", f"/v2/{repository}/deep/er/manifests/{image.digest}").status == 202
        assert swr.store.tags(f"{repository}/deep/er") == {}

    def test_gone_is_404(self, door: Door, repository: str, old: Image) -> None:
        assert door.ask("DELETE", f"/v2/{repository}/manifests/{'sha256:' + '0' * 64}").status == 404
        swr_path = f"/v2/{repository}/manifests/{old.digest}"
        assert door.ask("DELETE", swr_path).status == 202
        # Without a tag it is still there, until SWR removes it; asked again it is deleted like any untagged one.
        assert door.ask("DELETE", swr_path).status == 202
        refused(door.ask("DELETE", swr_path), 404, old.digest, code="MANIFEST_UNKNOWN")

    @pytest.mark.parametrize("path", ["team/missing", "nobody/app"])
    def test_a_missing_repository(self, door: Door, path: str) -> None:
        refused(door.ask("DELETE", f"/v2/{path}/manifests/sha256:{'0' * 64}"), 404, code="NAME_UNKNOWN")

    @pytest.mark.parametrize("way", ["tag", "refuse"])
    def test_an_untagged_one_that_swr_keeps(
        self,
        door: Door,
        swr: RunningSandbox,
        repository: str,
        new: Image,
        recorded_images: Mapping[str, Image],
        way: str,
    ) -> None:
        swr.set_knobs(manifest_delete=way)
        image = recorded_images["hello:v1"]
        seed(swr, repository, image)
        swr.store.put_manifest(repository, image.digest, image.manifest, image.media_type)
        answer = door.ask("DELETE", f"/v2/{repository}/manifests/{image.digest}")
        refused(answer, 403, "no tag", "nothing deleted", code="DENIED")
        assert swr.store.manifest(repository, image.digest) is not None

    def test_a_tag_that_moves_meanwhile_is_spared(
        self, door: Door, swr: RunningSandbox, repository: str, old: Image, new: Image
    ) -> None:
        """SWR's list comes late: while it is under way, `v1` is pushed again."""
        head = {"Docker-Content-Digest": new.digest, "Content-Type": new.media_type, "Content-Length": "1"}
        swr.faults({"method": "HEAD", "path": "/manifests/v1$", "status": 200, "headers": head})
        assert door.ask("DELETE", f"/v2/{repository}/manifests/{old.digest}").status == 202
        assert list(swr.store.tags(repository)) == ["v1", "v2"]

    def test_who_may_only_push_may_not_delete(
        self, usual_adapter: RunningAdapter, swr: RunningSandbox, repository: str, old: Image
    ) -> None:
        swr.store.create_organization(repository.partition("/")[0], OTHER_TENANT, auth={"AKCANARY00000000000A": 3})
        refused(
            Door(usual_adapter.contract).ask("DELETE", f"/v2/{repository}/manifests/{old.digest}"), 403, "permission"
        )
        assert len(swr.store.tags(repository)) == 2

    def test_another_account_deletes_nothing(
        self, usual_adapter: RunningAdapter, swr: RunningSandbox, repository: str, old: Image
    ) -> None:
        other = Door(usual_adapter.contract, basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY))
        for target in (f"/v2/{repository}/manifests/{old.digest}", f"/v2/{repository}/manifests/v1"):
            refused(other.ask("DELETE", target), {403, 404})
        refused(other.ask("DELETE", tag_route(repository, "v1")), {403, 404})
        assert len(swr.store.tags(repository)) == 2

    def test_what_passes_is_tried_again(self, door: Door, swr: RunningSandbox, repository: str, old: Image) -> None:
        swr.faults({"origin": "api", "method": "DELETE", "status": 503})
        assert door.ask("DELETE", f"/v2/{repository}/manifests/{old.digest}").status == 202
        assert swr.store.tags(repository) == {}


class TestByTag:
    def test_that_tag_alone(self, door: Door, swr: RunningSandbox, repository: str, old: Image) -> None:
        assert door.ask("DELETE", f"/v2/{repository}/manifests/v1").status == 202
        assert swr.store.tags(repository) == {"v1b": old.digest}
        refused(door.ask("DELETE", f"/v2/{repository}/manifests/v1"), 404, "v1", code="MANIFEST_UNKNOWN")

    def test_nonsense_never_reaches_swr(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        with silent(swr):
            refused(door.ask("DELETE", f"/v2/{repository}/manifests/-x"), 400, code="TAG_INVALID")
            refused(door.ask("DELETE", f"/v2/{repository}/manifests/sha256:0"), 400, code="DIGEST_INVALID")
            refused(door.ask("DELETE", "/v2/app/manifests/v1"), 400, code="NAME_INVALID")


class TestHarborsTagRoute:
    def test_that_tag_alone(self, door: Door, swr: RunningSandbox, repository: str, old: Image) -> None:
        answer = door.ask("DELETE", tag_route(repository, "v1b"))
        assert (answer.status, answer.body) == (200, b"")
        assert swr.store.tags(repository) == {"v1": old.digest}
        refused(door.ask("DELETE", tag_route(repository, "v1b")), 404)

    @pytest.mark.parametrize("slash", ["%252F", "%2F"], ids=["escaped twice, as Harbor does", "escaped once"])
    def test_a_nested_repository(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image], slash: str
    ) -> None:
        tagged(swr, f"{repository}/deep/er", recorded_images["hello:v1"], "v1", "v2")
        assert door.ask("DELETE", tag_route(f"{repository}/deep/er", "v1", slash=slash)).status == 200
        assert list(swr.store.tags(f"{repository}/deep/er")) == ["v2"]

    def test_by_the_digest_of_its_artifact(
        self, door: Door, swr: RunningSandbox, repository: str, old: Image, new: Image
    ) -> None:
        refused(door.ask("DELETE", tag_route(repository, "v1", new.digest)), 404, "no artifact")
        assert door.ask("DELETE", tag_route(repository, "v1", old.digest)).status == 200
        assert list(swr.store.tags(repository)) == ["v1b", "v2"]

    @pytest.mark.parametrize("path", ["team/missing", "nobody/app"])
    def test_a_missing_repository(self, door: Door, path: str) -> None:
        refused(door.ask("DELETE", tag_route(path, "v1")), 404)

    def test_nonsense_never_reaches_swr(self, door: Door, swr: RunningSandbox) -> None:
        with silent(swr):
            for path, tag in (
                ("team/a%252F..%252Fb", "v1"),
                ("team/app", "-x"),
                ("team/app", "sha256:0"),
                ("TEAM/app", "v1"),
            ):
                refused(door.ask("DELETE", tag_route(path, tag)), 400)


class TestWithTheLoginKey:
    @pytest.mark.parametrize("way", ["accept", "digest", "tag"])
    @pytest.mark.parametrize("meaning", ["tag", "manifest"])
    @pytest.mark.parametrize("actions", ["push", "all"])
    def test_by_digest(
        self,
        key_door: Door,
        swr: RunningSandbox,
        repository: str,
        old: Image,
        new: Image,
        way: str,
        meaning: str,
        actions: str,
    ) -> None:
        swr.set_knobs(manifest_delete=way, delete_by_tag=meaning, delete_actions=actions)
        assert key_door.ask("DELETE", f"/v2/{repository}/manifests/{old.digest}").status == 202
        assert swr.store.tags(repository) == {"v2": new.digest}
        assert not asked(swr, "", "/v2/manage")

    @pytest.mark.parametrize("meaning", ["tag", "manifest"])
    def test_a_tag_whose_image_has_no_other(
        self, key_door: Door, swr: RunningSandbox, repository: str, old: Image, new: Image, meaning: str
    ) -> None:
        swr.set_knobs(delete_by_tag=meaning)
        assert key_door.ask("DELETE", tag_route(repository, "v2")).status == 200
        assert list(swr.store.tags(repository)) == ["v1", "v1b"]

    @pytest.mark.parametrize("meaning", ["tag", "manifest"])
    def test_one_of_two_tags_is_not_risked(
        self, key_door: Door, swr: RunningSandbox, repository: str, old: Image, meaning: str
    ) -> None:
        swr.set_knobs(delete_by_tag=meaning)
        refused(key_door.ask("DELETE", tag_route(repository, "v1")), 403, "v1b", "enter the SK")
        assert len(swr.store.tags(repository)) == 2

    def test_where_swr_deletes_nothing_it_is_explained(
        self, key_door: Door, swr: RunningSandbox, repository: str, old: Image
    ) -> None:
        swr.set_knobs(manifest_delete="refuse")
        refused(key_door.ask("DELETE", f"/v2/{repository}/manifests/{old.digest}"), 403, "enter the SK", code="DENIED")
        assert len(swr.store.tags(repository)) == 2
