"""Pushes and pulls manifests, whatever SWR accepts of OCI (`docs/facts/swr.md §6, §10`).

**Push.** The original is pushed first. If SWR rejects its type, it is converted and pushed under a tag
(`DockerFallback`), or preserved as a blob under a digest (`PreservedOriginals`), because Harbor gives up the whole
image when one of its manifests is rejected (`docs/facts/harbor.md D.2`).

**Pull.** By tag, the original is returned as long as its blob exists, else what SWR has under the tag. By digest, what
SWR has is returned, else the blob. So the digest of a response is always that of its content, an unchanged image is
recognized as such, and the adapter stores nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from adapter.errors import BlobUnknown, ManifestInvalid, ManifestUnknown, TypeRefused
from adapter.manifests.capabilities import Capabilities
from adapter.manifests.conversion import Document, images_in
from adapter.manifests.conversion_policy import ConversionPolicy, has_alternative
from adapter.manifests.descriptors import printable
from adapter.manifests.docker_fallback import MAX_CHILDREN, DockerFallback
from adapter.manifests.forms import Form
from adapter.manifests.preserved_original import PreservedOriginals
from adapter.references import is_digest
from adapter.swr.client import SwrClient
from adapter.swr.manifest_validation import Manifest
from adapter.swr.media_types import (
    ACCEPT,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    NOT_A_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    accepts,
    is_about_form,
)
from adapter.swr.repository import Repository
from adapter.swr.retry import for_upload

log = logging.getLogger(__name__)

_ORIGINAL_TYPES: Final = {DOCKER_LIST: (OCI_INDEX, DOCKER_LIST), DOCKER_MANIFEST: (OCI_MANIFEST,)}
"""The types that the original of a converted document may have."""


@dataclass(frozen=True)
class Stored:
    """The digest that a pull returns now, and a warning for the client in ASCII, if any."""

    digest: str
    warning: str | None = None


class ManifestService:
    """For any caller. Without `convert`, manifests are passed on unchanged in both directions."""

    def __init__(self, swr: SwrClient, *, convert: bool) -> None:
        self._registry = swr.registry
        self._convert = convert
        self._preserved = PreservedOriginals(swr)
        self._capabilities = Capabilities(swr.state)
        self._policy = ConversionPolicy(self._capabilities, enabled=convert)
        self._docker_fallback = DockerFallback(swr.registry, self._preserved, self._capabilities)

    # Pull

    def pull(self, repository: Repository, reference: str, accept: str, *, head: bool) -> Manifest:
        """The manifest; its content may be missing with `head`. Raises `ManifestUnknown`."""
        if not self._convert:
            return self._registry.manifest(repository, reference, accept, head=head)
        if not is_digest(reference):
            return self._pull_tag(repository, reference, accept)
        try:
            return self._registry.manifest(repository, reference, accept, head=head)
        except ManifestUnknown:
            # Not from the cache: a client that is told that it is present uploads neither the manifest nor its layers.
            original = self._preserved.find(repository, reference, fresh=True)
            if original is None:
                self._preserved.record_missing(repository, reference)
                raise
        return _as_manifest(original)

    def _pull_tag(self, repository: Repository, tag: str, accept: str) -> Manifest:
        """One request, if SWR has what was pushed: the content tells whether it was converted."""
        own = self._registry.manifest(repository, tag, accept, head=False)
        source = own.source
        accepted = (
            () if source is None else [each for each in _ORIGINAL_TYPES[source.converted_type] if accepts(accept, each)]
        )
        if source is None or not accepted:
            return own
        original = self._preserved.find(repository, source.digest)
        if original is None or original.media_type not in accepted:
            return own
        # Manifests that the list references exist as surely as the list. If another one is gone, the original could not
        # be pulled completely.
        unsure = set(original.children) - set(source.children)
        if len(unsure) > MAX_CHILDREN or not self._has_all(repository, unsure):
            return own
        return _as_manifest(original)

    def _has_all(self, repository: Repository, digests: set[str]) -> bool:
        """Another replica, or a request with other credentials, may have pushed a missing manifest in the meantime."""
        for digest in digests:
            if self._preserved.is_missing(repository, digest):
                try:
                    self.pull(repository, digest, ACCEPT, head=True)
                except ManifestUnknown:
                    return False
                self._preserved.clear_missing(repository, [digest])
        return True

    def is_preserved(self, repository: Repository, digest: str) -> bool:
        """Whether a manifest exists only as a preserved original, which no tag references."""
        return self._convert and self._preserved.find(repository, digest, fresh=True) is not None

    # Push

    @for_upload()
    def push(self, repository: Repository, reference: str, pushed: Document, form: Form) -> Stored:
        """Stores a manifest. `pushed` has the type that it was sent with, and matches its digest; `form` is its form.

        Raises `TypeRefused` for what SWR accepts in no format, `ManifestInvalid`, `OrganizationUnknown`.
        """
        original = self._policy.original(pushed, form)
        if original is None:
            try:
                return Stored(self._put(repository, reference, pushed))
            except ManifestInvalid as error:
                raise _explained(repository, reference, pushed, form, error) from error
        age = self._policy.rejection_age(repository, reference, form)
        rejection = None
        if age is None:
            try:
                return Stored(self._put_original(repository, reference, pushed, original))
            except TypeRefused as error:
                if not has_alternative(form, reference):
                    raise _explained(repository, reference, pushed, form, error) from error
                rejection = error
        if is_digest(reference):
            return self._preserve(repository, original, form, age)
        return self._push_converted(repository, reference, original, form, rejection, age)

    def _put(self, repository: Repository, reference: str, pushed: Document) -> str:
        digest = self._registry.put_manifest(repository, reference, pushed.data, pushed.media_type, pushed.digest)
        if self._convert and is_digest(reference):
            self._preserved.clear_missing(repository, [reference])
        return digest

    def _put_original(self, repository: Repository, reference: str, pushed: Document, original: Document) -> str:
        """Pushes it unchanged. Children of an index that SWR rejected once, and accepts now, are pushed if needed."""
        try:
            return self._put(repository, reference, pushed)
        except TypeRefused:
            raise
        except (ManifestInvalid, ManifestUnknown, BlobUnknown):
            if original.media_type not in INDEX_TYPES:
                raise
            if not self._docker_fallback.restore_children(repository, original.data):
                raise
        return self._put(repository, reference, pushed)

    def _preserve(self, repository: Repository, original: Document, form: Form, age: float | None) -> Stored:
        """The rejection of an image is not recorded here, because SWR may reject it for its layers. That is recorded
        when SWR accepts the converted image."""
        self._preserved.preserve(repository, original, cache=True)
        self._preserved.clear_missing(repository, [original.digest])
        if form.kind == "other" and age is None:
            self._capabilities.record_rejection(repository.credentials, form.key)
        reason = _reason(original.media_type, age)
        log.info("%s: stored %s@%s as a blob", reason, repository, original.digest)
        return Stored(original.digest, f"{reason}: stored as a blob of this repository")

    def _push_converted(
        self,
        repository: Repository,
        tag: str,
        original: Document,
        form: Form,
        rejection: TypeRefused | None,
        age: float | None,
    ) -> Stored:
        try:
            result = self._docker_fallback.push(repository, tag, original)
        except ManifestInvalid as error:
            if rejection is not None and error.swr_code is None:
                # SWR's own code and message, if the error has none.
                error.swr_code, error.swr_message = rejection.swr_code, rejection.swr_message
                error.request_id = rejection.request_id
            raise
        if rejection is not None:
            self._capabilities.record_rejection(repository.credentials, form.key)
        converted, reason = result.document, _reason(original.media_type, age)
        log.info(
            "%s: stored %s:%s, %s, as %s %s%s",
            *(reason, repository, tag, original.digest, converted.media_type, converted.digest),
            "" if result.annotated else ", without a link to the original, because SWR rejects annotations",
        )
        warning = f"{reason}: stored as {converted.media_type} {converted.digest}"
        return Stored(original.digest if result.annotated else converted.digest, warning)


def _reason(media_type: str, age: float | None) -> str:
    """Why a manifest was not stored unchanged: SWR rejected it (`age` is None), or a similar one `age` seconds ago."""
    if age is None:
        return f"SWR rejected this {media_type}"
    ago = f"{age / 60:.0f} min" if age >= 60 else f"{age:.0f} s"
    return f"SWR rejected a manifest of this form, {media_type}, {ago} ago and was not sent this one"


def _explained(
    repository: Repository, reference: str, pushed: Document, form: Form, rejection: ManifestInvalid
) -> ManifestInvalid:
    """The rejection in terms of what was pushed: build flags do not help a chart, a signature or a wrong header."""
    where = f"{repository}{'@' if is_digest(reference) else ':'}{reference}"
    sent = pushed.media_type.partition(";")[0].strip().lower()
    if form.own not in (NOT_A_MANIFEST, sent) and is_about_form(rejection):
        return ManifestInvalid(
            f"SWR rejected {where} because the Content-Type {sent} does not match the manifest's mediaType "
            f"{printable(form.own)}: send it with its own type",
            **rejection.of_swr(),
        )
    if not isinstance(rejection, TypeRefused):
        return rejection
    if form.kind == "index" and not form.convertible:
        try:
            images_in(pushed.data)
        except TypeRefused as error:
            return TypeRefused(f"SWR rejected {where}: {error.sentence}", **rejection.of_swr())
    if form.artifact is not None:
        return TypeRefused(
            f"SWR rejected {where}, which is not a container image but {form.artifact}: exclude it with a filter if a "
            "replication rule pushes it, else push it to a registry that accepts OCI artifacts",
            **rejection.of_swr(),
        )
    return rejection


def _as_manifest(original: Document) -> Manifest:
    return Manifest(original.media_type, original.digest, len(original.data), original.data)
