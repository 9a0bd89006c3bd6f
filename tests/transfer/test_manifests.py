"""Manifests against the sandbox in each of its moods: what SWR gets, what comes back, and what both cost."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from adapter.errors import (
    Denied,
    ManifestInvalid,
    ManifestUnknown,
    NotFound,
    OrganizationUnknown,
    TypeRefused,
)
from adapter.identity import Identity, parse_identity
from adapter.names import Repository, digest_of
from adapter.sandbox.recordings.images import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Image,
    dump,
    index,
    single,
)
from adapter.settings import Settings
from adapter.swr.client import SwrClient
from adapter.swr.manifest_types import ACCEPT
from adapter.swr.registry import Manifest
from adapter.swr.translated import SOURCE
from adapter.transfer.manifests import Manifests, Stored
from adapter.values import RegionHosts
from tests import docker_formats
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY
from tests.running import TENANT, RunningSandbox

ME = parse_identity(ACCESS_ID, SECRET_KEY, [PROJECT])
OTHER = parse_identity(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT])
AMD, ARM = ({"architecture": name, "os": "linux"} for name in ("amd64", "arm64"))
REFUSING = ["refuse-index", "refuse-all"]
_numbers = itertools.count()


@pytest.fixture
def swr(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    sandbox.reset()
    sandbox.store.create_organization("team", TENANT)
    yield sandbox
    sandbox.reset()


@pytest.fixture
def repository() -> Repository:
    return Repository("team", f"indexes{next(_numbers)}")


@pytest.fixture
def buildkit(recorded_images: Mapping[str, Image]) -> Image:
    """Two platforms and an attestation."""
    return recorded_images["multi:buildkit"]


class Adapter:
    """What of an adapter takes part. Nothing is remembered from another one."""

    def __init__(self, swr: RunningSandbox, *, translate: bool = True, who: Identity = ME) -> None:
        self.swr = swr
        self.who = who
        regions = {PROJECT: RegionHosts(swr.registry, swr.api)}
        client = SwrClient.build(Settings(regions=regions, requests_per_second=0.0))
        self.manifests = Manifests(client, translate=translate)

    def put(self, repository: Repository, reference: str, image: Image) -> Stored:
        return self.manifests.put(self.who, repository, reference, image.manifest, image.media_type)

    def push(self, repository: Repository, tag: str, image: Image) -> Stored:
        """As Harbor does: what is not there, children by digest, then the tag."""
        self.upload(repository, image)
        return self.put(repository, tag, image)

    def upload(self, repository: Repository, image: Image) -> None:
        """All that an image consists of."""
        for blob in image.blobs:
            self.swr.store.put_blob(str(repository), blob)
        for child in image.children:
            if not self.has(repository, child.digest):
                assert self.push(repository, child.digest, child).digest == child.digest

    def has(self, repository: Repository, reference: str) -> bool:
        try:
            self.head(repository, reference)
        except ManifestUnknown:
            return False
        return True

    def head(self, repository: Repository, reference: str, accept: str = ACCEPT) -> str:
        return self.manifests.read(self.who, repository, reference, accept, head=True).digest

    def get(self, repository: Repository, reference: str, accept: str = ACCEPT) -> Manifest:
        """After its head, which must have told the truth."""
        told = self.head(repository, reference, accept)
        found = self.manifests.read(self.who, repository, reference, accept, head=False)
        assert found.data is not None
        assert (digest_of(found.data), len(found.data)) == (told, found.length) == (found.digest, found.length)
        return found

    def requests(self) -> list[tuple[str, str, int]]:
        """What reached SWR since the last time, but the tokens: method, path and status."""
        before, self._seen = getattr(self, "_seen", 0), len(self.swr.journal())
        return [
            (entry["method"], entry["path"], entry["status"])
            for entry in self.swr.journal()[before:]
            if "/auth/" not in entry["path"]
        ]


@pytest.fixture
def adapter(swr: RunningSandbox) -> Adapter:
    return Adapter(swr)


def held(swr: RunningSandbox, repository: Repository, reference: str) -> Any:
    """The document of SWR's own."""
    found = swr.store.manifest(str(repository), reference)
    assert found is not None
    return json.loads(found.data)


def own(swr: RunningSandbox, repository: Repository, tag: str) -> str:
    return swr.store.tags(str(repository))[tag]


def forget(swr: RunningSandbox, what: str = "blobs") -> None:
    swr._control("POST", "forget", {"what": what})


def parts(document: Any) -> list[str]:
    return [part["digest"] for part in (document["config"], *document["layers"])]


def changed(image: Image, *layers: tuple[str, int]) -> Image:
    """The index with another image for its first platform."""
    rest = image.children[1:]
    entries = json.loads(image.manifest)["manifests"]
    new = single(list(layers), oci=True)
    named = [
        (child, entry["platform"], entry.get("annotations", {})) for child, entry in zip(rest, entries[1:], strict=True)
    ]
    return index([(new, entries[0]["platform"], {}), *named], oci=True)


class TestWhatSwrHas:
    @pytest.mark.parametrize("oci", REFUSING)
    def test_a_docker_list_of_the_same_images(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        stored = adapter.push(repository, "v1", buildkit)
        assert stored.digest == buildkit.digest
        found = swr.store.manifest(str(repository), "v1")
        assert found is not None
        assert docker_formats.faults(docker_formats.MANIFEST_LIST, found.data) == []
        document = json.loads(found.data)
        assert document["annotations"][SOURCE] == buildkit.digest
        assert [entry["platform"] for entry in document["manifests"]] == [AMD, ARM]
        children = [held(swr, repository, entry["digest"]) for entry in document["manifests"]]
        assert [parts(child) for child in children] == [parts(json.loads(c.manifest)) for c in buildkit.children[:2]]
        kind = OCI_MANIFEST if oci == "refuse-index" else DOCKER_MANIFEST
        assert {entry["mediaType"] for entry in document["manifests"]} == {kind}

    def test_where_it_takes_all_the_index_itself(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="accept")
        assert adapter.push(repository, "v1", buildkit) == Stored(buildkit.digest)
        assert own(swr, repository, "v1") == buildkit.digest
        assert adapter.get(repository, "v1").data == buildkit.manifest
        assert swr.store.blobs(str(repository)) == sorted(
            {digest_of(blob) for child in buildkit.children for blob in child.blobs}
        )

    def test_a_single_image_as_schema_2(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, recorded_images: Mapping[str, Image]
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        image = recorded_images["hello:v2"]
        stored = adapter.push(repository, "v2", image)
        assert stored.digest == image.digest
        found = swr.store.manifest(str(repository), "v2")
        assert found is not None
        assert found.media_type == DOCKER_MANIFEST
        assert docker_formats.faults(docker_formats.SCHEMA_2, found.data) == []
        assert parts(json.loads(found.data)) == parts(json.loads(image.manifest))
        assert adapter.get(repository, "v2").data == image.manifest

    @pytest.mark.parametrize("oci", REFUSING)
    def test_where_it_takes_no_annotations_the_list_without(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci, unknown_fields=False)
        stored = adapter.push(repository, "v1", buildkit)
        assert stored.digest == own(swr, repository, "v1") == adapter.get(repository, "v1").digest
        assert "annotations" not in held(swr, repository, "v1")
        assert adapter.get(repository, buildkit.digest).data == buildkit.manifest
        adapter.requests()
        adapter.put(repository, "v1b", buildkit)
        assert 400 not in [status for _, _, status in adapter.requests()]

    def test_a_repeated_push_leaves_the_same(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        adapter.push(repository, "v1", buildkit)
        before = own(swr, repository, "v1"), swr.store.manifests(str(repository)), swr.store.blobs(str(repository))
        Adapter(swr).push(repository, "v1", buildkit)
        after = own(swr, repository, "v1"), swr.store.manifests(str(repository)), swr.store.blobs(str(repository))
        assert before == after

    @pytest.mark.parametrize("oci", REFUSING)
    def test_each_replica_knows_what_it_needs_from_swr(
        self, swr: RunningSandbox, repository: Repository, buildkit: Image, oci: str
    ) -> None:
        """Each request by an adapter of its own, as after a restart."""
        swr.set_knobs(oci=oci)
        for child in buildkit.children:
            Adapter(swr).push(repository, child.digest, child)
        assert all(Adapter(swr).has(repository, child.digest) for child in buildkit.children)
        Adapter(swr).put(repository, "v1", buildkit)
        assert Adapter(swr).get(repository, "v1").data == buildkit.manifest

    def test_what_is_said_of_it(
        self,
        adapter: Adapter,
        swr: RunningSandbox,
        repository: Repository,
        buildkit: Image,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        adapter.upload(repository, buildkit)
        with caplog.at_level("INFO", "adapter.transfer"):
            stored = adapter.put(repository, "v1", buildkit)
        digest = own(swr, repository, "v1")
        assert stored.warning == f"SWR takes no {OCI_INDEX}: it has this image as {DOCKER_LIST} {digest}"
        (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("adapter.transfer")]
        assert all(word in line for word in (f"{repository}:v1", buildkit.digest, digest))


class TestWhatComesBack:
    @pytest.mark.parametrize("oci", REFUSING)
    def test_the_original_and_all_that_it_names(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter.push(repository, "v1", buildkit)
        found = adapter.get(repository, "v1")
        assert (found.data, found.media_type, found.digest) == (buildkit.manifest, OCI_INDEX, buildkit.digest)
        for each in (buildkit, *buildkit.children):
            again = adapter.get(repository, each.digest)
            assert (again.data, again.media_type) == (each.manifest, each.media_type)

    def test_by_swrs_own_digest_what_swr_has(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        adapter.push(repository, "v1", buildkit)
        found = adapter.get(repository, own(swr, repository, "v1"))
        assert (found.media_type, found.digest) == (DOCKER_LIST, own(swr, repository, "v1"))

    def test_who_takes_no_oci_gets_what_swr_has(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        adapter.push(repository, "v1", buildkit)
        only = f"{DOCKER_LIST}, {DOCKER_MANIFEST};q=0.5"
        assert adapter.get(repository, "v1", only).digest == own(swr, repository, "v1")
        for accept in (f"{only}, {OCI_INDEX}", f"{only}, */*", f"{only},application/*;q=0.1"):
            assert adapter.get(repository, "v1", accept).digest == buildkit.digest

    @pytest.mark.parametrize("oci", REFUSING)
    @pytest.mark.parametrize("what", ["blobs", "both"])
    def test_once_swr_forgot_it_what_swr_has(
        self, swr: RunningSandbox, repository: Repository, buildkit: Image, oci: str, what: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter = Adapter(swr)
        adapter.push(repository, "v1", buildkit)
        forget(swr, what)
        assert adapter.get(repository, "v1").digest == own(swr, repository, "v1")
        assert not Adapter(swr).has(repository, buildkit.digest)
        adapter.push(repository, "v1", buildkit)
        assert adapter.get(repository, "v1").digest == buildkit.digest
        # What was found lately is taken to be there: the content is the one that was announced, all the same.
        forget(swr, what)
        assert adapter.get(repository, "v1").digest == buildkit.digest
        assert Adapter(swr).get(repository, "v1").digest == own(swr, repository, "v1")

    def test_attestations_outlive_manifests_without_a_tag(
        self, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        """SWR took them as manifests, and is said to remove those that no tag leads to."""
        swr.set_knobs(oci="refuse-index", forget="manifests")
        Adapter(swr).push(repository, "v1", buildkit)
        proof = buildkit.children[2]
        assert swr.store.manifest(str(repository), proof.digest) is None
        for each in (buildkit, *buildkit.children):
            assert Adapter(swr).get(repository, each.digest).data == each.manifest

    def test_an_index_that_cannot_be_had_whole_is_not_given_out(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        adapter.push(repository, "v1", buildkit)
        proof = buildkit.children[2].digest
        swr.store.delete_manifest(str(repository), proof)
        swr.store.blob_path(str(repository), proof).unlink()
        fresh = Adapter(swr)
        assert fresh.get(repository, "v1").digest == buildkit.digest
        assert not fresh.has(repository, proof)
        assert fresh.get(repository, "v1").digest == own(swr, repository, "v1")
        # Another replica brings what is missing, this one the index.
        Adapter(swr).upload(repository, buildkit)
        fresh.put(repository, "v1", buildkit)
        assert fresh.get(repository, "v1").digest == buildkit.digest

    def test_another_image_under_the_annotation_stands_for_itself(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        """As tools leave it that edit an image where it is."""
        adapter.push(repository, "v1", buildkit)
        document = held(swr, repository, "v1")
        document["manifests"].pop()
        swr.store.put_manifest(str(repository), "v1", dump(document), DOCKER_LIST)
        assert adapter.get(repository, "v1").data == dump(document)
        swr.store.put_manifest(str(repository), "v1", json.dumps(document, indent=3).encode(), DOCKER_LIST)
        assert adapter.get(repository, "v1").digest == own(swr, repository, "v1")

    def test_what_is_no_manifest_is_not_found_by_its_digest(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        adapter.upload(repository, buildkit)
        for blob in buildkit.children[0].blobs:
            assert not adapter.has(repository, digest_of(blob))

    def test_two_tags_and_a_tag_that_moves(
        self,
        adapter: Adapter,
        swr: RunningSandbox,
        repository: Repository,
        buildkit: Image,
        recorded_images: Mapping[str, Image],
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        image = recorded_images["hello:v2"]
        adapter.push(repository, "v1", buildkit)
        adapter.push(repository, "latest", buildkit)
        assert own(swr, repository, "v1") == own(swr, repository, "latest")
        for now in (image, buildkit, recorded_images["hello:v1"], buildkit):
            adapter.push(repository, "latest", now)
            assert adapter.get(repository, "latest").data == now.manifest
            assert adapter.get(repository, "v1").data == buildkit.manifest

    @pytest.mark.parametrize("oci", ["accept", *REFUSING])
    def test_an_update_is_seen(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter.push(repository, "v1", buildkit)
        assert adapter.head(repository, "v1") == buildkit.digest
        new = changed(buildkit, ("another", 500))
        before = own(swr, repository, "v1")
        adapter.push(repository, "v1", new)
        assert own(swr, repository, "v1") != before
        assert adapter.head(repository, "v1") == new.digest != buildkit.digest


class TestWhatItCosts:
    def test_a_look_at_what_swr_has_as_it_came(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, recorded_images: Mapping[str, Image]
    ) -> None:
        for name in ("hello:v1", "multi:list"):
            adapter.push(repository, "v1", recorded_images[name])
            adapter.requests()
            adapter.head(repository, "v1")
            assert len(adapter.requests()) == 1
            assert not adapter.has(repository, "missing")
            assert len(adapter.requests()) == 1

    @pytest.mark.parametrize("oci", REFUSING)
    def test_a_look_at_a_translation(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter.push(repository, "v1", buildkit)
        fresh = Adapter(swr)
        fresh.requests()
        assert fresh.head(repository, "v1") == buildkit.digest
        assert len(fresh.requests()) <= 3
        assert fresh.head(repository, "v1") == buildkit.digest
        assert len(fresh.requests()) == 1

    @pytest.mark.parametrize("oci", REFUSING)
    def test_the_second_image_is_refused_nowhere(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image, oci: str
    ) -> None:
        swr.set_knobs(oci=oci)
        adapter.push(repository, "v1", buildkit)
        assert [status for _, _, status in adapter.requests()].count(400) == {"refuse-index": 1, "refuse-all": 5}[oci]
        second = Repository("team", f"{repository.path}-second")
        adapter.push(second, "v1", changed(buildkit, ("second", 600)))
        assert [status for _, _, status in adapter.requests()].count(400) == 0
        # A single image and another attestation neither.
        proof = buildkit.children[2]
        adapter.push(second, proof.digest, proof)
        adapter.push(second, "single", single([("single", 600)], oci=True))
        assert [status for _, _, status in adapter.requests()].count(400) == 0

    def test_it_is_tried_again_in_time(
        self,
        adapter: Adapter,
        swr: RunningSandbox,
        repository: Repository,
        buildkit: Image,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("adapter.transfer.refused_types.LIFE", 0.0)
        adapter.push(repository, "v1", buildkit)
        adapter.requests()
        swr.set_knobs(oci="accept")
        assert adapter.push(repository, "v1", buildkit).warning is None
        assert own(swr, repository, "v1") == buildkit.digest

    def test_a_refusal_for_something_else_teaches_nothing(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository
    ) -> None:
        """zstd layers are refused with the same words as a type."""
        swr.set_knobs(oci="accept", zstd=False)
        image = single([("plain", 500)], oci=True)
        packed = Image(image.manifest.replace(b"tar+gzip", b"tar+zstd"), OCI_MANIFEST, image.blobs)
        with pytest.raises(TypeRefused, match="zstd"):
            adapter.push(repository, "packed", packed)
        assert adapter.push(repository, packed.digest, packed).digest == packed.digest
        assert adapter.push(repository, "plain", image).warning is None
        assert own(swr, repository, "plain") == image.digest


class TestAccounts:
    def test_what_one_was_refused_another_may_send(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        """Both push to one repository; SWR takes from the second what it did not take from the first."""
        swr.store.create_organization("team", TENANT, auth={OTHER_ACCESS_KEY: 7})
        swr.set_knobs(oci="refuse-all")
        adapter.push(repository, "v1", buildkit)
        swr.set_knobs(oci="accept")
        adapter.who = OTHER
        assert adapter.push(repository, "v2", changed(buildkit, ("other", 700))).warning is None
        adapter.who = ME
        assert adapter.push(repository, "v3", buildkit).warning is not None
        for tag, kind in (("v1", DOCKER_LIST), ("v2", OCI_INDEX), ("v3", DOCKER_LIST)):
            assert held(swr, repository, tag)["mediaType"] == kind
            assert adapter.get(repository, tag).media_type == OCI_INDEX

    def test_nobody_is_told_what_another_one_was(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        adapter.push(repository, "v1", buildkit)
        adapter.get(repository, "v1")
        adapter.who = OTHER
        for reference in ("v1", buildkit.digest, buildkit.children[0].digest):
            with pytest.raises((Denied, NotFound)):
                adapter.head(repository, reference)


class TestWhenSwrChanges:
    def test_it_takes_today_what_it_refused(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        """The new index names an image, and an attestation, that were kept as blobs: SWR gets them now."""
        swr.set_knobs(oci="refuse-all")
        adapter.push(repository, "v1", buildkit)
        swr.set_knobs(oci="accept")
        new, fresh = changed(buildkit, ("new", 800)), Adapter(swr)
        assert fresh.push(repository, "v1", new).warning is None
        assert own(swr, repository, "v1") == new.digest
        assert {child.digest for child in new.children} <= set(swr.store.manifests(str(repository)))

    def test_it_takes_images_again_but_no_indexes(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        adapter.push(repository, "v1", buildkit)
        swr.set_knobs(oci="refuse-index")
        Adapter(swr).push(repository, "v1", buildkit)
        assert {entry["mediaType"] for entry in held(swr, repository, "v1")["manifests"]} == {OCI_MANIFEST}

    def test_it_refuses_today_what_it_took(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="accept")
        adapter.push(repository, "v1", buildkit)
        swr.set_knobs(oci="refuse-all")
        adapter.push(repository, "v2", buildkit)
        assert adapter.get(repository, "v1").data == adapter.get(repository, "v2").data == buildkit.manifest


class TestWhatCannotBe:
    """Nothing is under the tag afterwards but what was there before."""

    @pytest.fixture(autouse=True)
    def _untouched(self, swr: RunningSandbox, repository: Repository, adapter: Adapter) -> Iterator[None]:
        swr.set_knobs(oci="refuse-all")
        before = single([("before", 400)])
        adapter.push(repository, "v1", before)
        yield
        assert swr.store.tags(str(repository)) == {"v1": before.digest}

    def test_a_child_that_is_nowhere(self, adapter: Adapter, repository: Repository, buildkit: Image) -> None:
        for child in buildkit.children[1:]:
            adapter.push(repository, child.digest, child)
        with pytest.raises(ManifestInvalid, match=f"{buildkit.children[0].digest}.*push it again"):
            adapter.put(repository, "v1", buildkit)

    def test_an_index_in_the_index(self, adapter: Adapter, repository: Repository, buildkit: Image) -> None:
        outer = index([(buildkit, AMD, {})], oci=True)
        with pytest.raises(TypeRefused, match="holds another index") as caught:
            adapter.push(repository, "v1", outer)
        assert caught.value.swr_code == "MANIFEST_INVALID"

    def test_attestations_alone(self, adapter: Adapter, repository: Repository, buildkit: Image) -> None:
        nowhere = {"architecture": "unknown", "os": "unknown"}
        with pytest.raises(TypeRefused, match="no image"):
            adapter.push(repository, "v1", index([(buildkit.children[2], nowhere, {})], oci=True))

    def test_zstd_layers(self, adapter: Adapter, repository: Repository) -> None:
        image = single([("packed", 500)], oci=True)
        packed = Image(image.manifest.replace(b"tar+gzip", b"tar+zstd"), OCI_MANIFEST, image.blobs)
        for pushed in (packed, index([(packed, AMD, {})], oci=True)):
            with pytest.raises(TypeRefused, match=r"zstd.*compression=gzip"):
                adapter.push(repository, "v1", pushed)

    def test_layers_of_another_kind(self, adapter: Adapter, repository: Repository) -> None:
        image = single([("packed", 500)], oci=True)
        packed = Image(image.manifest.replace(b"tar+gzip", b"tar+lz4"), OCI_MANIFEST, image.blobs)
        with pytest.raises(TypeRefused, match="oci-mediatypes=false"):
            adapter.push(repository, "v1", packed)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("charts/web:0.1.0", "helm.chart.content|helm.config"), ("signed:sbom", "spdx"), ("empty:v1", "vnd.example")],
    )
    def test_what_is_no_image(
        self, adapter: Adapter, repository: Repository, recorded_images: Mapping[str, Image], name: str, kind: str
    ) -> None:
        artifact = recorded_images[name]
        with pytest.raises(TypeRefused, match=f"no container image but .*({kind}).*filter"):
            adapter.push(repository, "v1", artifact)
        assert adapter.push(repository, artifact.digest, artifact).digest == artifact.digest
        assert adapter.get(repository, artifact.digest).data == artifact.manifest

    def test_a_cosign_signature_by_its_tag(
        self, adapter: Adapter, repository: Repository, recorded_images: Mapping[str, Image]
    ) -> None:
        (signature,) = [image for name, image in recorded_images.items() if name.endswith(".sig")]
        with pytest.raises(TypeRefused, match="cosign"):
            adapter.push(repository, "v1", signature)

    def test_a_layer_that_swr_has_not(self, adapter: Adapter, repository: Repository, buildkit: Image) -> None:
        """The list's images would name it: SWR says so, and the sentence which image it is."""
        for child in buildkit.children:
            adapter.put(repository, child.digest, child)
        with pytest.raises(ManifestInvalid, match=f"{buildkit.children[0].digest}.*blob unknown"):
            adapter.put(repository, "v1", buildkit)

    def test_what_fails_on_the_way(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        adapter.upload(repository, buildkit)
        never = {"times": 0, "status": 403}
        for path in ("/blobs/uploads/", "/manifests/v1$", f"/manifests/{buildkit.children[0].digest}"):
            swr.faults({"path": path, "method": "PUT", **never})
            with pytest.raises(Denied):
                Adapter(swr).put(repository, "v1", buildkit)
        swr.faults()

    def test_more_manifests_than_are_looked_for(
        self, adapter: Adapter, repository: Repository, buildkit: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adapter.upload(repository, buildkit)
        monkeypatch.setattr("adapter.transfer.stand_ins.MOST", 2)
        with pytest.raises(ManifestInvalid, match=r"3 manifests.*at most 2"):
            adapter.put(repository, "v1", buildkit)
        monkeypatch.setattr("adapter.transfer.stand_ins.MOST", 3)
        monkeypatch.setattr("adapter.transfer.stand_ins.MOST_BYTES", 1000)
        with pytest.raises(ManifestInvalid, match="larger than 1000 bytes"):
            adapter.put(repository, "v1", buildkit)


@pytest.mark.parametrize("denied", [True, False])
def test_an_organization_that_is_missing_is_not_made(
    adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image, denied: bool
) -> None:
    swr.set_knobs(oci="refuse-all", deny_missing_organization=denied)
    adapter.push(repository, "v1", buildkit)
    for reference, image in (("v1", buildkit), (buildkit.children[2].digest, buildkit.children[2])):
        with pytest.raises(OrganizationUnknown):
            adapter.put(Repository("nobody", "app"), reference, image)
    assert swr.store.organization("nobody") is None


@pytest.mark.parametrize("oci", REFUSING)
def test_a_damaged_index_is_refused_by_swr_as_ever(
    adapter: Adapter, swr: RunningSandbox, repository: Repository, oci: str
) -> None:
    swr.set_knobs(oci=oci)
    documents: list[dict[str, object]] = [{"manifests": [{}]}, {"manifests": 7}, {}, {"config": {}, "manifests": []}]
    for document in documents:
        damaged = Image(dump({"schemaVersion": 2, "mediaType": OCI_INDEX, **document}), OCI_INDEX)
        for reference in ("v1", damaged.digest):
            with pytest.raises(TypeRefused, match="because it is of type"):
                adapter.put(repository, reference, damaged)
    assert swr.store.tags(str(repository)) == {}


class TestSwitchedOff:
    def test_nothing_is_translated_or_kept(self, swr: RunningSandbox, repository: Repository, buildkit: Image) -> None:
        swr.set_knobs(oci="refuse-all")
        adapter = Adapter(swr, translate=False)
        for reference, image in (("v1", buildkit), (buildkit.children[0].digest, buildkit.children[0])):
            with pytest.raises(TypeRefused, match="because it is of type"):
                adapter.put(repository, reference, image)
        assert swr.store.blobs(str(repository)) == []

    def test_what_was_translated_before_is_what_swr_has(
        self, adapter: Adapter, swr: RunningSandbox, repository: Repository, buildkit: Image
    ) -> None:
        adapter.push(repository, "v1", buildkit)
        off = Adapter(swr, translate=False)
        assert off.get(repository, "v1").digest == own(swr, repository, "v1")
        assert not off.has(repository, buildkit.digest)
