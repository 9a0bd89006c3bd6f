"""Any index of images to SWR and back, in every profile of SWR and after everything that it may forget.

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

# The stage


@dataclass(frozen=True)
class Stage:
    """A stand-in with a project for each profile, and an adapter in front of it."""

    swr: RunningSandbox
    contract: str

    def repositories(self) -> Iterator[tuple[Profile, Repository]]:
        """A new repository in each profile, which the stand-in has until the next one is asked for."""
        for profile in PROFILES.values():
            print(f"with the profile {profile.name}")
            self.swr.set_knobs(**profile.knobs)
            yield profile, Repository(self.swr, Door(self.contract, basic(profile.access_id)))

    def otherwise(self, repository: Repository, profile: Profile) -> Repository:
        """The same as a caller sees it for whom the adapter has nothing in mind: that one has the login key alone."""
        return repository.through(Door(self.contract, basic(profile.access_id, LOGIN_KEY)))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with profile_sandbox() as swr:
        hosts = {"registry": swr.registry, "api": swr.api}
        swr.store.create_organization(ORGANIZATION, TENANT, ACCESS_KEY)
        with running_adapter({profile.project: hosts for profile in PROFILES.values()}) as adapter:
            yield Stage(swr, adapter.contract)
            assert "Traceback" not in adapter.service.output


# What SWR must hold


def _contents(document: dict[str, Any]) -> list[str]:
    return [part["digest"] for part in (document["config"], *(document["layers"] or ()))]


def check_held(repository: Repository, profile: Profile, source: Index | Image, tag: str = TAG) -> None:
    """SWR has the image under the tag: as it is if it takes that, else in Docker's formats, platform by platform."""
    held = repository.held(tag)
    media_type = OCI_INDEX if isinstance(source, Index) else source.media_type
    if not profile.rejects(media_type, source.manifest):
        assert held.data == source.manifest
    elif isinstance(source, Image):
        _check_image(repository, held, _contents(json.loads(source.manifest)))
    else:
        assert held.media_type == DOCKER_LIST
        assert faults(MANIFEST_LIST, held.data) == []
        entries = json.loads(held.data)["manifests"]
        assert [entry["platform"] for entry in entries] == [platform for platform, _ in source.contents]
        for entry, member in zip(entries, source.images, strict=True):
            _check_child(repository, profile, entry, member)


def _check_child(repository: Repository, profile: Profile, entry: dict[str, Any], member: Member) -> None:
    child = repository.held(entry["digest"])
    assert (entry["size"], entry["mediaType"]) == (len(child.data), child.media_type)
    if child.media_type == member.image.media_type:
        assert child.data == member.image.manifest
    else:
        assert profile.child_type == DOCKER_MANIFEST
        _check_image(repository, child, member.contents)


def _check_image(repository: Repository, held: Manifest, contents: list[str]) -> None:
    document = json.loads(held.data)
    assert held.media_type == DOCKER_MANIFEST
    assert faults(SCHEMA_2, held.data) == []
    assert _contents(document) == contents
    for part in (document["config"], *document["layers"]):
        assert "urls" in part or repository.swr.store.has_blob(repository.name, part["digest"])


def announces_sources(profile: Profile) -> bool:
    """Whether a push rule sees its own digest again: not where SWR takes no annotation or forgets at once."""
    return profile.oci == "accept" or (profile.unknown_fields and not profile.collects_garbage)


# Properties


@settings(FEW, max_examples=3)
@given(index=indexes(most=3), fresh=members(), image=images(), data=st.data())
def test_an_index_goes_to_swr_and_comes_back(
    stage: Stage, index: Index, fresh: Member, image: Image, data: st.DataObject
) -> None:
    assume(fresh.image.digest not in {member.image.digest for member in index.members})
    changed = index_of(*_with_one_changed(index.members, fresh, data))
    for profile, repository in stage.repositories():
        before = ""
        for source in (index, image, index, changed):
            announced = repository.push(source)
            check_held(repository, profile, source)
            found = repository.read()
            assert found.digest != before
            before = found.digest
            assert announced == found.digest or profile.collects_garbage
            assert found.data == source.manifest or not announces_sources(profile)
        # Who takes Docker's types alone gets what SWR has.
        assert repository.read(accept=DOCKER).data == repository.held().data
        assert repository.pulled() == stage.otherwise(repository, profile).pulled() == found


def _with_one_changed(before: tuple[Member, ...], fresh: Member, data: st.DataObject) -> Iterable[Member]:
    """The members, one image of which is another one for the same platform."""
    at = data.draw(st.sampled_from([at for at, member in enumerate(before) if not member.attests]))
    replaced = {**fresh.descriptor, "platform": before[at].descriptor["platform"]}
    return (*before[:at], Member(fresh.image, replaced), *before[at + 1 :])


@settings(FEW, max_examples=2)
@given(index=indexes(most=2), what=st.lists(st.sampled_from(COLLECTABLE), min_size=1, max_size=2), looked=st.booleans())
def test_what_swr_forgot_is_not_announced(stage: Stage, index: Index, what: list[str], looked: bool) -> None:
    for profile, repository in stage.repositories():
        repository.push(index)
        if looked:
            repository.pulled()  # with what the adapter has just read in mind
        for each in what:
            repository.forget(each)
            repository.pulled()
        stage.otherwise(repository, profile).pulled()
        check_held(repository, profile, index)

        repository.push(index)
        check_held(repository, profile, index)
        assert repository.pulled().digest == index.digest or not announces_sources(profile)


# Examples


def test_an_image_is_known_again_as_long_as_all_of_it_is_there(stage: Stage, recorded_images: dict[str, Image]) -> None:
    index = recorded(recorded_images)
    for profile, repository in stage.repositories():
        repository.push(index)
        caller = stage.otherwise(repository, profile)
        repository.forget("manifests")
        if announces_sources(profile):
            found = caller.read()
            assert found.digest == index.digest
            assert all(repository.stores(child) for child in found.children)
        # The index may be in mind now, its attestation is not.
        repository.forget("both")
        caller.pulled()


def test_two_tags_of_one_index(stage: Stage, recorded_images: dict[str, Image]) -> None:
    index, tags = recorded(recorded_images), ("v1", "v2", "v3")
    for profile, repository in stage.repositories():
        assert len({repository.push(index, tag) for tag in tags}) == 1
        assert len({repository.read(tag).digest for tag in tags}) == 1

        name = repository.name.partition("/")[2]
        target = f"/api/v2.0/projects/{ORGANIZATION}/repositories/{name}/artifacts/v1/tags/v1"
        assert repository.door.ask("DELETE", target).status == 200
        assert [repository.status(tag) for tag in tags] == [404, 200, 200]
        check_held(repository, profile, index, "v2")

        digest = repository.read("v2").digest
        assert digest == index.digest or not announces_sources(profile)
        assert repository.door.ask("DELETE", f"/v2/{repository.name}/manifests/{digest}").status == 202
        assert [repository.status(tag) for tag in tags] == [404, 404, 404]


def recorded(recorded_images: dict[str, Image]) -> Index:
    """What BuildKit made in the recordings."""
    image = recorded_images["multi:buildkit"]
    entries = json.loads(image.manifest)["manifests"]
    pairs = zip(image.children, entries, strict=True)
    found = tuple(Member(child, entry, entry["platform"]["os"] == "unknown") for child, entry in pairs)
    return Index(image.manifest, found)


def test_two_accounts_with_different_profiles(sandbox: RunningSandbox, recorded_images: dict[str, Image]) -> None:
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
        check_held(theirs, PROFILES["accept"], index)

        # What SWR refused is remembered, of the one account alone; what it took is not.
        for door, organization, knob in ((own, "ours", "accept"), (other, "theirs", "refuse-all")):
            sandbox.set_knobs(oci=knob)
            again = Repository(sandbox, door, organization)
            assert again.push(index) == index.digest
            check_held(again, PROFILES["refuse-all"], index)

        with running_adapter(regions) as replica:
            assert ours.through(Door(replica.contract)).pulled().digest == index.digest

        # What the adapter has in mind for one caller it tells no other one, who sees what SWR lets him see.
        assert ours.pulled().digest == index.digest
        ours.forget("blobs")
        assert ours.through(other).pulled().digest == ours.held().digest
        sandbox.store.create_organization("ours", TENANT, ACCESS_KEY, auth={OTHER_ACCESS_KEY: 0})
        assert ours.through(other).status(index.digest) == ours.through(other).status(TAG) == 403
        assert theirs.through(own).status(index.digest) == theirs.through(own).status(TAG) == 403
