"""What SWR has in place of an OCI image that it refuses: the same image in Docker's formats, under the same tag.

The tag comes last, so that nothing half-made is ever under it: first what the image consists of, then its original as a
blob, from which an unchanged image is known again, then the tag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from adapter.errors import InvalidRequest, ManifestInvalid, ManifestUnknown, TypeRefused
from adapter.manifests.capabilities import ANNOTATIONS, OCI_CHILDREN, Capabilities
from adapter.manifests.conversion import Document, images_in, to_list, to_schema2
from adapter.manifests.forms import form_of
from adapter.manifests.preserved_original import PreservedOriginals
from adapter.references import digest_of
from adapter.swr.annotations import with_content_digest
from adapter.swr.media_types import (
    ACCEPT,
    BUILD_FLAGS,
    LISTS,
    NONE,
    OCI_MANIFEST,
    digests_in,
    is_about_form,
    parsed,
    type_in,
)
from adapter.swr.registry import Manifest, Registry
from adapter.swr.repository import Repository

MOST: Final = 500
"""Manifests of an index: each costs SWR some requests."""
MOST_BYTES: Final = 16 << 20
"""Of all of them together: they are in memory at once."""


@dataclass(frozen=True)
class FallbackResult:
    """What SWR has under the tag now; `named`: it tells its original, so that the original can be answered with."""

    document: Document
    named: bool


@dataclass(frozen=True)
class _Child:
    """A manifest of an index; `native`: SWR has it as a manifest, not as a blob."""

    document: Document
    native: bool


class DockerFallback:
    """Puts translations into SWR, for any caller."""

    def __init__(self, registry: Registry, kept: PreservedOriginals, refused: Capabilities) -> None:
        self._registry = registry
        self._preserved = kept
        self._refused = refused

    def put(self, repository: Repository, tag: str, original: Document) -> FallbackResult:
        """Raises `TypeRefused` for what has no form in Docker's formats, `ManifestInvalid` for an index that names what
        is not there, and what SWR refuses either with. The tag is then as it was."""
        if original.media_type in LISTS:
            return self._list(repository, tag, original)
        return self._tagged(repository, tag, original, partial(to_schema2, original.data))

    def restored(self, repository: Repository, index: bytes) -> bool:
        """Puts as manifests into SWR those of an index that were kept as blobs; whether there was any.

        SWR takes today what it refused when they came. Raises what SWR refuses them with.
        """
        children = self._children(repository, digests_in(index))
        found = [child for child in children.values() if not child.native]
        for child in found:
            self._native(repository, child.document)
        return bool(found)

    # Children

    def _children(self, repository: Repository, digests: list[str]) -> dict[str, _Child]:
        """All manifests that an index names, by digest. They are read before anything is written: what SWR forgets
        upon a push is then here."""
        if len(digests) > MOST:
            raise ManifestInvalid(f"the index names {len(digests)} manifests, and at most {MOST} are looked for in SWR")
        found: dict[str, _Child] = {}
        room = MOST_BYTES
        for digest in digests:
            found[digest] = self._child(repository, digest)
            room -= len(found[digest].document.data)
            if room < 0:
                raise ManifestInvalid(f"the manifests that the index names are larger than {MOST_BYTES} bytes together")
        self._preserved.arrived(repository, digests)
        return found

    def _child(self, repository: Repository, digest: str) -> _Child:
        if (original := self._preserved.recall(repository, digest)) is not None:
            return _Child(original, native=False)
        try:
            return _Child(_held(self._registry.manifest(repository, digest, ACCEPT, head=False)), native=True)
        except ManifestUnknown:
            original = self._preserved.find(repository, digest)
        if original is None:
            raise ManifestInvalid(
                f"the index names {digest}, which {repository} does not have (any more): push it again, and the index "
                "after it"
            )
        return _Child(original, native=False)

    def _native(self, repository: Repository, document: Document) -> Document:
        digest = document.digest
        self._registry.put_manifest(repository, digest, document.data, document.media_type, digest)
        return document

    def _image(self, repository: Repository, child: _Child) -> Document:
        """What a list can name: the image as it is where SWR takes it, else as schema 2."""
        if child.native:
            return child.document
        refused, key = False, form_of(parsed(child.document.data) or {}).key
        if not self._refused.knows(repository.credentials, key):
            try:
                return self._native(repository, child.document)
            except TypeRefused:
                refused = True
        translated = self._schema2(repository, child.document)
        if refused:
            self._refused.learn(repository.credentials, key)
        return translated

    def _schema2(self, repository: Repository, image: Document) -> Document:
        try:
            return self._native(repository, to_schema2(image.data, None))
        except TypeRefused:
            raise
        except ManifestInvalid as error:
            raise ManifestInvalid(
                f"the image {image.digest} of the index, as a Docker image: {error.sentence}", **error.of_swr()
            ) from error

    # The tag

    def _list(self, repository: Repository, tag: str, index: Document) -> FallbackResult:
        entries, named = _contents(index.data)
        images = dict.fromkeys(str(image["digest"]) for image in entries)
        children = self._children(repository, named)
        self._save(repository, [child for digest, child in children.items() if digest not in images])
        documents = {digest: self._image(repository, children[digest]) for digest in images}
        oci = {digest for digest, each in documents.items() if each.media_type == OCI_MANIFEST}
        if oci and not self._refused.knows(repository.credentials, OCI_CHILDREN):
            try:
                return self._tagged(repository, tag, index, partial(to_list, entries, documents))
            except InvalidRequest as error:
                if not is_about_form(error):
                    raise
        self._save(repository, [children[digest] for digest in oci])
        docker = documents | {digest: self._schema2(repository, documents[digest]) for digest in oci}
        done = self._tagged(repository, tag, index, partial(to_list, entries, docker))
        if oci:
            self._refused.learn(repository.credentials, OCI_CHILDREN)
        return done

    def _save(self, repository: Repository, dropped: list[_Child]) -> None:
        """What the list does not name as it is, an attestation say: no tag leads to it, and SWR may remove such
        manifests (`docs/facts/swr.md §10`). As a blob it lasts as long as the index that names it."""
        for child in dropped:
            if child.native and form_of(parsed(child.document.data) or {}).media_type is not None:
                self._preserved.keep(repository, child.document, remembered=True)

    def _tagged(
        self,
        repository: Repository,
        tag: str,
        original: Document,
        translated: Callable[[str | None], Document],
    ) -> FallbackResult:
        """With the original's digest in it; where SWR does not take that, without."""
        named = _imprinted(translated(original.digest))
        self._preserved.keep(repository, original, remembered=False)
        refused, annotations = False, f"{ANNOTATIONS}:{named.media_type}"
        if not self._refused.knows(repository.credentials, annotations):
            try:
                self._registry.put_manifest(repository, tag, named.data, named.media_type, named.digest)
                return FallbackResult(named, named=True)
            except InvalidRequest as error:
                if not is_about_form(error):
                    raise
                refused = True
        bare = translated(None)
        try:
            self._registry.put_manifest(repository, tag, bare.data, bare.media_type, bare.digest)
        except InvalidRequest as error:
            if not is_about_form(error):
                raise
            raise TypeRefused(
                f"SWR takes {repository}:{tag} neither as {original.media_type} nor as {bare.media_type} "
                f"({error.sentence}); {BUILD_FLAGS}",
                **error.of_swr(),
            ) from error
        if refused:
            self._refused.learn(repository.credentials, annotations)
        return FallbackResult(bare, named=False)


def _contents(index: bytes) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The images of an index (`images_in`) and the digests of all that it names: parsed once, and let go."""
    document = parsed(index) or {}
    return images_in(document), digests_in(document)


def _held(manifest: Manifest) -> Document:
    """By its own words, or its form, rather than by the header of an answer, which may say more than the type."""
    data = manifest.data or b""
    own = type_in(data)
    return Document(manifest.media_type if own == NONE else own, manifest.digest, data)


def _imprinted(translated: Document) -> Document:
    data = with_content_digest(translated.data)
    return Document(translated.media_type, digest_of(data), data)
