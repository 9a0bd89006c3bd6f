"""Callers whose SWR differs, an SWR whose behavior changes, and conversion that is switched off."""

from __future__ import annotations

import pytest

from adapter.errors import Denied, NotFound, TypeRefused
from adapter.sandbox.recordings.images import OCI_MANIFEST, Image
from tests.manifests.driver import NAME, OTHER, Adapter, changed


def test_other_credentials_are_returned_nothing(adapter: Adapter, buildkit: Image) -> None:
    adapter.swr.set_knobs(oci="refuse-all")
    adapter.push("v1", buildkit)
    adapter.get("v1")
    adapter.who = OTHER
    for reference in ("v1", buildkit.digest, buildkit.children[0].digest):
        with pytest.raises((Denied, NotFound)):
            adapter.head(reference)


def test_swr_accepts_what_it_rejected(adapter: Adapter, buildkit: Image) -> None:
    """The new index references an image and an attestation that were preserved as blobs: they are pushed now."""
    adapter.swr.set_knobs(oci="refuse-all")
    adapter.push("v1", buildkit)
    new = changed(buildkit, ("new", 800))
    assert adapter.another(oci="accept").push("v1", new).warning is None
    assert adapter.own("v1") == new.digest
    assert {child.digest for child in new.children} <= set(adapter.swr.store.manifests(str(NAME)))


def test_swr_accepts_images_but_no_indexes(adapter: Adapter, buildkit: Image) -> None:
    adapter.swr.set_knobs(oci="refuse-all")
    adapter.push("v1", buildkit)
    adapter.another(oci="refuse-index").push("v1", buildkit)
    assert {entry["mediaType"] for entry in adapter.document("v1")["manifests"]} == {OCI_MANIFEST}


def test_swr_rejects_what_it_accepted(adapter: Adapter, buildkit: Image) -> None:
    adapter.swr.set_knobs(oci="accept")
    adapter.push("v1", buildkit)
    adapter.swr.set_knobs(oci="refuse-all")
    adapter.push("v2", buildkit)
    assert adapter.get("v1").data == adapter.get("v2").data == buildkit.manifest


def test_without_conversion_nothing_is_converted_or_preserved(adapter: Adapter, buildkit: Image) -> None:
    off = adapter.another(convert=False, oci="refuse-all")
    for reference, image in (("v1", buildkit), (buildkit.children[0].digest, buildkit.children[0])):
        with pytest.raises(TypeRefused, match="because it is of type"):
            off.put(reference, image)
    assert adapter.swr.store.blobs(str(NAME)) == []
    adapter.push("v1", buildkit)
    assert off.get("v1").digest == adapter.own("v1")
    assert not off.has(buildkit.digest)
