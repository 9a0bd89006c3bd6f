"""Accounts whose SWR differs, an SWR that changes its mind, and the setting."""

from __future__ import annotations

import pytest

from adapter.errors import Denied, NotFound, TypeRefused
from adapter.references import RepositoryName
from adapter.sandbox.recordings.images import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, Image
from tests.credentials import OTHER_ACCESS_KEY
from tests.manifests.service.driver import ME, OTHER, Adapter, changed, held, own
from tests.running import TENANT, RunningSandbox


class TestAccounts:
    def test_what_one_was_refused_another_may_send(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
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
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
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
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
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
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        adapter.push(repository, "v1", buildkit)
        swr.set_knobs(oci="refuse-index")
        Adapter(swr).push(repository, "v1", buildkit)
        assert {entry["mediaType"] for entry in held(swr, repository, "v1")["manifests"]} == {OCI_MANIFEST}

    def test_it_refuses_today_what_it_took(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="accept")
        adapter.push(repository, "v1", buildkit)
        swr.set_knobs(oci="refuse-all")
        adapter.push(repository, "v2", buildkit)
        assert adapter.get(repository, "v1").data == adapter.get(repository, "v2").data == buildkit.manifest


class TestSwitchedOff:
    def test_nothing_is_translated_or_kept(
        self, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        swr.set_knobs(oci="refuse-all")
        adapter = Adapter(swr, translate=False)
        for reference, image in (("v1", buildkit), (buildkit.children[0].digest, buildkit.children[0])):
            with pytest.raises(TypeRefused, match="because it is of type"):
                adapter.put(repository, reference, image)
        assert swr.store.blobs(str(repository)) == []

    def test_what_was_translated_before_is_what_swr_has(
        self, adapter: Adapter, swr: RunningSandbox, repository: RepositoryName, buildkit: Image
    ) -> None:
        adapter.push(repository, "v1", buildkit)
        off = Adapter(swr, translate=False)
        assert off.get(repository, "v1").digest == own(swr, repository, "v1")
        assert not off.has(repository, buildkit.digest)
