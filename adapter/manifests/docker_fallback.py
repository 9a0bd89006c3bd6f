"""Pushes to SWR, instead of an OCI image that it rejects, the same image in Docker's formats under the same tag.

The tag is pushed last, so that it never refers to something incomplete: first the manifests of the image, then the
original as a blob, by which an unchanged image is recognized, then the tag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from adapter.errors import InvalidRequest, ManifestInvalid, ManifestUnknown, TypeRefused
from adapter.manifests.capabilities import ANNOTATIONS, OCI_CHILDREN, Capabilities
from adapter.manifests.conversion import Document, images_in, to_manifest_list, to_schema2
from adapter.manifests.forms import form_of
from adapter.manifests.preserved_original import PreservedOriginals
from adapter.references import digest_of
from adapter.swr.annotations import with_content_digest
from adapter.swr.manifest_validation import Manifest
from adapter.swr.media_types import (
    ACCEPT,
    BUILD_ADVICE,
    INDEX_TYPES,
    NOT_A_MANIFEST,
    OCI_MANIFEST,
    digests_in,
    is_about_form,
    parse_manifest,
    type_in,
)
from adapter.swr.registry import Registry
from adapter.swr.repository import Repository

MAX_CHILDREN: Final = 500
"""Limit of manifests of an index: each costs some requests to SWR."""
MAX_CHILDREN_BYTES: Final = 16 << 20
"""Limit of all manifests of an index together: they are in memory at the same time."""


@dataclass(frozen=True)
class FallbackResult:
    """What SWR has under the tag now; `annotated`: with the digest of its original, so that a pull returns that."""

    document: Document
    annotated: bool


@dataclass(frozen=True)
class _Child:
    """A manifest of an index; `native`: SWR has it as a manifest, not as a blob."""

    document: Document
    native: bool


class DockerFallback:
    """Pushes converted images, for any caller."""

    def __init__(self, registry: Registry, preserved: PreservedOriginals, capabilities: Capabilities) -> None:
        self._registry = registry
        self._preserved = preserved
        self._capabilities = capabilities

    def push(self, repository: Repository, tag: str, original: Document) -> FallbackResult:
        """Pushes the converted image.

        Raises `TypeRefused` for what Docker has no format for, `ManifestInvalid` for an index that references missing
        manifests, and the error of SWR's response. The tag is unchanged then.
        """
        if original.media_type in INDEX_TYPES:
            return self._push_list(repository, tag, original)
        return self._push_tag(repository, tag, original, partial(to_schema2, original.data))

    def restore_children(self, repository: Repository, index: bytes) -> bool:
        """Pushes as manifests those children of an index that are preserved as blobs; whether there were any.

        SWR may now accept what it rejected when they were pushed. Raises the error of SWR's response.
        """
        children = self._read_children(repository, digests_in(index))
        found = [child for child in children.values() if not child.native]
        for child in found:
            self._push_child(repository, child.document)
        return bool(found)

    # Children

    def _read_children(self, repository: Repository, digests: list[str]) -> dict[str, _Child]:
        """All manifests that an index references, by digest.

        They are read before anything is pushed, because SWR may delete untagged manifests upon a push.
        """
        if len(digests) > MAX_CHILDREN:
            raise ManifestInvalid(
                f"the index references {len(digests)} manifests (limit {MAX_CHILDREN}): split the index"
            )
        found: dict[str, _Child] = {}
        bytes_left = MAX_CHILDREN_BYTES
        for digest in digests:
            found[digest] = self._read_child(repository, digest)
            bytes_left -= len(found[digest].document.data)
            if bytes_left < 0:
                raise ManifestInvalid(
                    f"the manifests of the index exceed {MAX_CHILDREN_BYTES} bytes in total: split the index"
                )
        self._preserved.clear_missing(repository, digests)
        return found

    def _read_child(self, repository: Repository, digest: str) -> _Child:
        if (original := self._preserved.cached(repository, digest)) is not None:
            return _Child(original, native=False)
        try:
            return _Child(_as_document(self._registry.manifest(repository, digest, ACCEPT, head=False)), native=True)
        except ManifestUnknown:
            original = self._preserved.find(repository, digest)
        if original is None:
            raise ManifestInvalid(
                f"{digest}, which the index references, is missing in {repository}: push it again, then the index"
            )
        return _Child(original, native=False)

    def _push_child(self, repository: Repository, document: Document) -> Document:
        digest = document.digest
        self._registry.put_manifest(repository, digest, document.data, document.media_type, digest)
        return document

    def _push_image(self, repository: Repository, child: _Child) -> Document:
        """The manifest that a list can reference: the image's own if SWR accepts it, else schema 2."""
        if child.native:
            return child.document
        rejected, key = False, form_of(parse_manifest(child.document.data) or {}).key
        if not self._capabilities.is_rejected(repository.credentials, key):
            try:
                return self._push_child(repository, child.document)
            except TypeRefused:
                rejected = True
        converted = self._push_schema2(repository, child.document)
        if rejected:
            self._capabilities.record_rejection(repository.credentials, key)
        return converted

    def _push_schema2(self, repository: Repository, image: Document) -> Document:
        try:
            return self._push_child(repository, to_schema2(image.data, None))
        except TypeRefused:
            raise
        except ManifestInvalid as error:
            raise ManifestInvalid(
                f"image {image.digest} of the index cannot be stored in Docker format: {error.sentence}",
                **error.of_swr(),
            ) from error

    # The tag

    def _push_list(self, repository: Repository, tag: str, index: Document) -> FallbackResult:
        entries, digests = _contents(index.data)
        images = dict.fromkeys(str(image["digest"]) for image in entries)
        children = self._read_children(repository, digests)
        self._preserve(repository, [child for digest, child in children.items() if digest not in images])
        documents = {digest: self._push_image(repository, children[digest]) for digest in images}
        oci = {digest for digest, each in documents.items() if each.media_type == OCI_MANIFEST}
        if oci and not self._capabilities.is_rejected(repository.credentials, OCI_CHILDREN):
            try:
                return self._push_tag(repository, tag, index, partial(to_manifest_list, entries, documents))
            except InvalidRequest as error:
                if not is_about_form(error):
                    raise
        self._preserve(repository, [children[digest] for digest in oci])
        docker = documents | {digest: self._push_schema2(repository, documents[digest]) for digest in oci}
        result = self._push_tag(repository, tag, index, partial(to_manifest_list, entries, docker))
        if oci:
            self._capabilities.record_rejection(repository.credentials, OCI_CHILDREN)
        return result

    def _preserve(self, repository: Repository, omitted: list[_Child]) -> None:
        """Preserves manifests that the list does not reference, such as attestations.

        SWR may remove untagged manifests (`docs/facts/swr.md §10`); as a blob, one lasts as long as its index.
        """
        for child in omitted:
            if child.native and form_of(parse_manifest(child.document.data) or {}).media_type is not None:
                self._preserved.preserve(repository, child.document, cache=True)

    def _push_tag(
        self,
        repository: Repository,
        tag: str,
        original: Document,
        convert: Callable[[str | None], Document],
    ) -> FallbackResult:
        """With the digest of the original as an annotation, unless SWR rejects annotations."""
        annotated = _with_content_digest(convert(original.digest))
        self._preserved.preserve(repository, original, cache=False)
        rejected, annotations = False, f"{ANNOTATIONS}:{annotated.media_type}"
        if not self._capabilities.is_rejected(repository.credentials, annotations):
            try:
                self._registry.put_manifest(repository, tag, annotated.data, annotated.media_type, annotated.digest)
                return FallbackResult(annotated, annotated=True)
            except InvalidRequest as error:
                if not is_about_form(error):
                    raise
                rejected = True
        bare = convert(None)
        try:
            self._registry.put_manifest(repository, tag, bare.data, bare.media_type, bare.digest)
        except InvalidRequest as error:
            if not is_about_form(error):
                raise
            raise TypeRefused(
                f"SWR rejected {repository}:{tag} both as {original.media_type} and as {bare.media_type} "
                f"({error.sentence}): {BUILD_ADVICE}",
                **error.of_swr(),
            ) from error
        if rejected:
            self._capabilities.record_rejection(repository.credentials, annotations)
        return FallbackResult(bare, annotated=False)


def _contents(index: bytes) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The images of an index (`images_in`) and the digests of all that it references; parses the index once."""
    document = parse_manifest(index) or {}
    return images_in(document), digests_in(document)


def _as_document(manifest: Manifest) -> Document:
    """With the type that the content has, not that of the response's header, which may have parameters."""
    data = manifest.data or b""
    own = type_in(data)
    return Document(manifest.media_type if own == NOT_A_MANIFEST else own, manifest.digest, data)


def _with_content_digest(converted: Document) -> Document:
    data = with_content_digest(converted.data)
    return Document(converted.media_type, digest_of(data), data)
