"""Deletions: what was requested is deleted, and nothing else. `tests/swr/test_deletion.py` has rare responses."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.sandbox.recordings.images import Image
from tests.contract.http import Door, asked, refused, silent
from tests.contract.test_manifests import seed
from tests.credentials import ACCESS_KEY
from tests.running import OTHER_TENANT, RunningSandbox


@pytest.fixture
def old(swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]) -> Image:
    """An image with two tags, `v1` and `v1b`."""
    for tag in ("v1", "v1b"):
        seed(swr, repository, recorded_images["hello:v1"], tag)
    return recorded_images["hello:v1"]


@pytest.fixture
def new(swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]) -> Image:
    """Another image of the same repository, with the tag `v2`."""
    seed(swr, repository, recorded_images["hello:v2"], "v2")
    return recorded_images["hello:v2"]


def digest_route(repository: str, image: Image) -> str:
    return f"/v2/{repository}/manifests/{image.digest}"


def tag_route(repository: str, tag: str, reference: str | None = None, slash: str = "%252F") -> str:
    project, _, name = repository.partition("/")
    path = f"/api/v2.0/projects/{project}/repositories/{name.replace('/', slash)}"
    return f"{path}/artifacts/{reference or tag}/tags/{tag}"


class TestByDigest:
    def test_all_its_tags_and_no_other(
        self, door: Door, swr: RunningSandbox, repository: str, old: Image, new: Image
    ) -> None:
        swr.faults({"origin": "api", "method": "DELETE", "status": 503})
        answer = door.ask("DELETE", digest_route(repository, old))
        assert (answer.status, answer.body) == (202, b"")
        assert swr.store.tags(repository) == {"v2": new.digest}
        assert not asked(swr, "DELETE", "/manifests/")
        assert door.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 404

    def test_list_without_its_children(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image]
    ) -> None:
        nested, image = f"{repository}/deep/er", recorded_images["multi:list"]
        seed(swr, nested, image, "multi")
        seed(swr, nested, image.children[0], "amd64")
        assert door.ask("DELETE", digest_route(nested, image)).status == 202
        assert list(swr.store.tags(nested)) == ["amd64"]

    def test_missing_manifest_or_repository(self, door: Door, repository: str, old: Image) -> None:
        missing = "sha256:" + "0" * 64
        for path in ("team/missing", "nobody/app"):
            refused(door.ask("DELETE", f"/v2/{path}/manifests/{missing}"), 404, code="NAME_UNKNOWN")
            refused(door.ask("DELETE", tag_route(path, "v1")), 404)
        assert door.ask("DELETE", f"/v2/{repository}/manifests/{missing}").status == 404
        # SWR keeps a manifest without tags for a while; the second request deletes it.
        for _ in range(2):
            assert door.ask("DELETE", digest_route(repository, old)).status == 202
        refused(door.ask("DELETE", digest_route(repository, old)), 404, old.digest, code="MANIFEST_UNKNOWN")

    def test_permission_to_push_is_not_enough(
        self, door: Door, other_door: Door, swr: RunningSandbox, repository: str, old: Image
    ) -> None:
        for target in (digest_route(repository, old), f"/v2/{repository}/manifests/v1", tag_route(repository, "v1")):
            refused(other_door.ask("DELETE", target), {403, 404})
        swr.store.create_organization(repository.partition("/")[0], OTHER_TENANT, auth={ACCESS_KEY: 3})
        refused(door.ask("DELETE", digest_route(repository, old)), 403, "permission")
        assert len(swr.store.tags(repository)) == 2


class TestByTag:
    def test_only_that_tag(self, door: Door, swr: RunningSandbox, repository: str, old: Image) -> None:
        assert door.ask("DELETE", f"/v2/{repository}/manifests/v1").status == 202
        assert swr.store.tags(repository) == {"v1b": old.digest}
        refused(door.ask("DELETE", f"/v2/{repository}/manifests/v1"), 404, "v1", code="MANIFEST_UNKNOWN")

    @pytest.mark.parametrize("slash", ["%252F", "%2F"], ids=["escaped twice, as Harbor does", "escaped once"])
    def test_only_that_tag_on_harbors_route(
        self, door: Door, swr: RunningSandbox, repository: str, recorded_images: Mapping[str, Image], slash: str
    ) -> None:
        nested, image = f"{repository}/deep/er", recorded_images["hello:v1"]
        for tag in ("v1", "v2"):
            seed(swr, nested, image, tag)
        answer = door.ask("DELETE", tag_route(nested, "v1", slash=slash))
        assert (answer.status, answer.body) == (200, b"")
        assert swr.store.tags(nested) == {"v2": image.digest}
        refused(door.ask("DELETE", tag_route(nested, "v1", slash=slash)), 404)

    def test_with_the_digest_of_its_artifact(
        self, door: Door, swr: RunningSandbox, repository: str, old: Image, new: Image
    ) -> None:
        refused(door.ask("DELETE", tag_route(repository, "v1", new.digest)), 404, "no artifact")
        assert door.ask("DELETE", tag_route(repository, "v1", old.digest)).status == 200
        assert list(swr.store.tags(repository)) == ["v1b", "v2"]

    def test_malformed_references_never_reach_swr(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        with silent(swr):
            refused(door.ask("DELETE", f"/v2/{repository}/manifests/-x"), 400, code="TAG_INVALID")
            refused(door.ask("DELETE", f"/v2/{repository}/manifests/sha256:0"), 400, code="DIGEST_INVALID")
            refused(door.ask("DELETE", "/v2/app/manifests/v1"), 400, code="NAME_INVALID")
            for path, tag in (("team/a%252F..%252Fb", "v1"), ("team/app", "-x"), ("team/app", "sha256:0")):
                refused(door.ask("DELETE", tag_route(path, tag)), 400)


class TestWithTheLoginKey:
    @pytest.mark.parametrize("manifest_delete", ["accept", "digest", "tag"])
    @pytest.mark.parametrize("by_tag", ["tag", "manifest"])
    @pytest.mark.parametrize("actions", ["push", "all"])
    def test_by_digest(
        self, key_door: Door, swr: RunningSandbox, repository: str, old: Image, new: Image, manifest_delete: str,
        by_tag: str, actions: str,
    ) -> None:  # fmt: skip
        swr.set_knobs(manifest_delete=manifest_delete, delete_by_tag=by_tag, delete_actions=actions)
        assert key_door.ask("DELETE", digest_route(repository, old)).status == 202
        assert swr.store.tags(repository) == {"v2": new.digest}
        assert not asked(swr, "", "/v2/manage")

    @pytest.mark.parametrize("by_tag", ["tag", "manifest"])
    def test_one_of_two_tags_is_not_risked(
        self, key_door: Door, swr: RunningSandbox, repository: str, old: Image, new: Image, by_tag: str
    ) -> None:
        """SWR may delete the manifest with both tags."""
        swr.set_knobs(delete_by_tag=by_tag)
        refused(key_door.ask("DELETE", tag_route(repository, "v1")), 403, "v1b", "enter the SK")
        assert key_door.ask("DELETE", tag_route(repository, "v2")).status == 200
        assert list(swr.store.tags(repository)) == ["v1", "v1b"]
