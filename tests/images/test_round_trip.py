"""Random indexes to SWR and back, with every profile of SWR and after every garbage collection.

The images are drawn; adapter and stand-in are processes. Blobs are laid into SWR: here only manifests travel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from adapter.sandbox.garbage_collection import COLLECTABLE
from adapter.sandbox.recordings.images import Image
from adapter.sandbox.store import Manifest
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX
from tests.contract.http import Door
from tests.credentials import ACCESS_KEY, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, basic
from tests.docker_formats import MANIFEST_LIST, SCHEMA_2, faults
from tests.images.repository import ORGANIZATION, TAG, Repository
from tests.oci_images import Index, Member, images, index_of, indexes, members
from tests.replay.profiles import PROFILES, Profile
from tests.replay.swr import profile_sandbox
from tests.running import OTHER_TENANT, TENANT, RunningSandbox, running_adapter

DOCKER: Final = f"{DOCKER_LIST}, {DOCKER_MANIFEST}"

# Each example is hundreds of requests, one set per profile: a failure is shown as drawn, not reduced.
FEW: Final = settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Environment:
    """A sandbox with a project for each profile, and an adapter in front of it."""

    swr: RunningSandbox
    contract: str

    def repositories(self) -> Iterator[tuple[Profile, Repository]]:
        """A new repository for each profile; the sandbox has the profile until the next iteration."""
        for profile in PROFILES.values():
            print(f"with the profile {profile.name}")
            self.swr.set_knobs(**profile.knobs)
            yield profile, Repository(self.swr, Door(self.contract, basic(profile.access_id)))

    def with_login_key(self, repository: Repository, profile: Profile) -> Repository:
        """The repository with the login key as credentials, for which the adapter has cached nothing."""
        return repository.through(Door(self.contract, basic(profile.access_id, LOGIN_KEY)))


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    with profile_sandbox() as swr:
        hosts = {"registry": swr.registry, "api": swr.api}
        swr.store.create_organization(ORGANIZATION, TENANT, ACCESS_KEY)
        with running_adapter({profile.project: hosts for profile in PROFILES.values()}) as adapter:
            yield Environment(swr, adapter.contract)
            assert "Traceback" not in adapter.service.output


def _contents(document: dict[str, Any]) -> list[str]:
    return [part["digest"] for part in (document["config"], *(document["layers"] or ()))]


def check_stored(repository: Repository, profile: Profile, source: Index | Image, tag: str = TAG) -> None:
    """SWR contains the image with this tag: unchanged if SWR accepts it, else converted to the Docker formats."""
    stored = repository.stored(tag)
    media_type = OCI_INDEX if isinstance(source, Index) else source.media_type
    if not profile.rejects(media_type, source.manifest):
        assert stored.data == source.manifest
    elif isinstance(source, Image):
        _check_image(repository, stored, _contents(json.loads(source.manifest)))
    else:
        assert stored.media_type == DOCKER_LIST
        assert faults(MANIFEST_LIST, stored.data) == []
        entries = json.loads(stored.data)["manifests"]
        assert [entry["platform"] for entry in entries] == [platform for platform, _ in source.contents]
        for entry, member in zip(entries, source.images, strict=True):
            _check_child(repository, profile, entry, member)


def _check_child(repository: Repository, profile: Profile, entry: dict[str, Any], member: Member) -> None:
    child = repository.stored(entry["digest"])
    assert (entry["size"], entry["mediaType"]) == (len(child.data), child.media_type)
    if child.media_type == member.image.media_type:
        assert child.data == member.image.manifest
    else:
        assert profile.child_type == DOCKER_MANIFEST
        _check_image(repository, child, member.contents)


def _check_image(repository: Repository, stored: Manifest, contents: list[str]) -> None:
    document = json.loads(stored.data)
    assert stored.media_type == DOCKER_MANIFEST
    assert faults(SCHEMA_2, stored.data) == []
    assert _contents(document) == contents
    for part in (document["config"], *document["layers"]):
        assert "urls" in part or repository.swr.store.has_blob(repository.name, part["digest"])


def announces_sources(profile: Profile) -> bool:
    """Whether a push rule gets its own digest: not if SWR rejects annotations or collects garbage."""
    return profile.oci == "accept" or (profile.unknown_fields and not profile.collects_garbage)


@settings(FEW, max_examples=3)
@given(index=indexes(most=3), fresh=members(), image=images(), data=st.data())
def test_index_round_trip(
    environment: Environment, index: Index, fresh: Member, image: Image, data: st.DataObject
) -> None:
    assume(fresh.image.digest not in {member.image.digest for member in index.members})
    changed = index_of(*_with_one_changed(index.members, fresh, data))
    for profile, repository in environment.repositories():
        before = ""
        for source in (index, image, index, changed):
            announced = repository.push(source)
            check_stored(repository, profile, source)
            found = repository.read()
            assert found.digest != before
            before = found.digest
            assert announced == found.digest or profile.collects_garbage
            assert found.data == source.manifest or not announces_sources(profile)
        # A client that accepts only Docker types gets what SWR contains.
        assert repository.read(accept=DOCKER).data == repository.stored().data
        assert repository.pulled() == environment.with_login_key(repository, profile).pulled() == found


def _with_one_changed(before: tuple[Member, ...], fresh: Member, data: st.DataObject) -> Iterable[Member]:
    """The members with one image replaced by another image of that platform."""
    at = data.draw(st.sampled_from([at for at, member in enumerate(before) if not member.attests]))
    replaced = {**fresh.descriptor, "platform": before[at].descriptor["platform"]}
    return (*before[:at], Member(fresh.image, replaced), *before[at + 1 :])


@settings(FEW, max_examples=2)
@given(index=indexes(most=2), what=st.lists(st.sampled_from(COLLECTABLE), min_size=1, max_size=2), cached=st.booleans())
def test_deleted_manifests_are_not_announced(
    environment: Environment, index: Index, what: list[str], cached: bool
) -> None:
    for profile, repository in environment.repositories():
        repository.push(index)
        if cached:
            repository.pulled()  # fills the caches of the adapter
        for each in what:
            repository.collect_garbage(each)
            repository.pulled()
        environment.with_login_key(repository, profile).pulled()
        check_stored(repository, profile, index)

        repository.push(index)
        check_stored(repository, profile, index)
        assert repository.pulled().digest == index.digest or not announces_sources(profile)


def test_original_is_returned_while_swr_contains_all_of_it(
    environment: Environment, recorded_images: dict[str, Image]
) -> None:
    index = recorded(recorded_images)
    for profile, repository in environment.repositories():
        repository.push(index)
        caller = environment.with_login_key(repository, profile)
        repository.collect_garbage("manifests")
        if announces_sources(profile):
            found = caller.read()
            assert found.digest == index.digest
            assert all(repository.stores(child) for child in found.children)
        # The adapter may have cached the index, but not its attestation.
        repository.collect_garbage("both")
        caller.pulled()


def test_two_tags_of_one_index(environment: Environment, recorded_images: dict[str, Image]) -> None:
    index, tags = recorded(recorded_images), ("v1", "v2", "v3")
    for profile, repository in environment.repositories():
        assert len({repository.push(index, tag) for tag in tags}) == 1
        assert len({repository.read(tag).digest for tag in tags}) == 1

        name = repository.name.partition("/")[2]
        target = f"/api/v2.0/projects/{ORGANIZATION}/repositories/{name}/artifacts/v1/tags/v1"
        assert repository.door.ask("DELETE", target).status == 200
        assert [repository.status(tag) for tag in tags] == [404, 200, 200]
        check_stored(repository, profile, index, "v2")

        digest = repository.read("v2").digest
        assert digest == index.digest or not announces_sources(profile)
        assert repository.door.ask("DELETE", f"/v2/{repository.name}/manifests/{digest}").status == 202
        assert [repository.status(tag) for tag in tags] == [404, 404, 404]


def recorded(recorded_images: dict[str, Image]) -> Index:
    """The index of BuildKit in the recordings."""
    image = recorded_images["multi:buildkit"]
    entries = json.loads(image.manifest)["manifests"]
    pairs = zip(image.children, entries, strict=True)
    found = tuple(Member(child, entry, entry["platform"]["os"] == "unknown") for child, entry in pairs)
    return Index(image.manifest, found)


def test_two_tenants_with_different_profiles(sandbox: RunningSandbox, recorded_images: dict[str, Image]) -> None:
    index = recorded(recorded_images)
    regions = {PROJECT: {"registry": sandbox.registry, "api": sandbox.api}}
    sandbox.reset()
    sandbox.store.create_organization("ours", TENANT, ACCESS_KEY, auth={OTHER_ACCESS_KEY: 1})
    sandbox.store.create_organization("theirs", OTHER_TENANT, OTHER_ACCESS_KEY)
    with running_adapter(regions) as adapter:
        own = Door(adapter.contract)
        other = Door(adapter.contract, basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY))

        sandbox.set_knobs(oci="refuse-all")
        ours = Repository(sandbox, own, "ours")
        assert ours.push(index) == index.digest
        sandbox.set_knobs(oci="accept")
        theirs = Repository(sandbox, other, "theirs")
        assert theirs.push(index) == index.digest
        check_stored(theirs, PROFILES["accept"], index)

        # The adapter caches what SWR rejected, per tenant; not what SWR accepted.
        for door, organization, knob in ((own, "ours", "accept"), (other, "theirs", "refuse-all")):
            sandbox.set_knobs(oci=knob)
            again = Repository(sandbox, door, organization)
            assert again.push(index) == index.digest
            check_stored(again, PROFILES["refuse-all"], index)

        with running_adapter(regions) as replica:
            assert ours.through(Door(replica.contract)).pulled().digest == index.digest

        # Caches of one tenant do not serve another tenant, who sees what SWR permits.
        assert ours.pulled().digest == index.digest
        ours.collect_garbage("blobs")
        assert ours.through(other).pulled().digest == ours.stored().digest
        sandbox.store.create_organization("ours", TENANT, ACCESS_KEY, auth={OTHER_ACCESS_KEY: 0})
        assert ours.through(other).status(index.digest) == ours.through(other).status(TAG) == 403
        assert theirs.through(own).status(index.digest) == theirs.through(own).status(TAG) == 403
