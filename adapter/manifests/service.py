"""Manifests on their way to SWR and back, whatever SWR takes of OCI (`docs/facts/swr.md §6, §10`).

**There.** The original is sent first. Refused for its type it becomes, under a tag, what SWR does take
(`DockerFallback`), and under a digest a blob of the repository (`PreservedOriginals`), since Harbor drops a whole image
when one of its manifests is refused (`docs/facts/harbor.md D.2`).
**Back.** Under a tag the original is read again while its blob is there, else
what SWR has; under a digest what SWR has, else the blob. So the digest of an answer is always that of its content, an
image that did not change is known again, and nothing of it is in the adapter.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from adapter.errors import BlobUnknown, ManifestInvalid, ManifestUnknown, TypeRefused
from adapter.manifests.capabilities import Capabilities
from adapter.manifests.conversion import Document, images_in
from adapter.manifests.docker_fallback import MOST, DockerFallback
from adapter.manifests.forms import Form
from adapter.manifests.preserved_original import PreservedOriginals
from adapter.references import is_digest
from adapter.swr.client import SwrClient
from adapter.swr.media_types import (
    ACCEPT,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    LISTS,
    NONE,
    OCI_INDEX,
    OCI_MANIFEST,
    accepts,
    is_about_form,
)
from adapter.swr.registry import Manifest
from adapter.swr.repository import Repository
from adapter.swr.retry import for_upload

log = logging.getLogger(__name__)

_SHOWN: Final = 100
_ORIGINALS: Final = {DOCKER_LIST: (OCI_INDEX, DOCKER_LIST), DOCKER_MANIFEST: (OCI_MANIFEST,)}


@dataclass(frozen=True)
class Stored:
    """The digest of what GET answers now; what to tell the caller of it, in ASCII, if anything."""

    digest: str
    warning: str | None = None


class ManifestService:
    """For any caller. Without `translate` everything goes to SWR and comes from it as it is."""

    def __init__(self, swr: SwrClient, *, translate: bool) -> None:
        self._registry = swr.registry
        self._translate = translate
        self._preserved = PreservedOriginals(swr)
        self._refused = Capabilities(swr.state)
        self._docker_fallback = DockerFallback(swr.registry, self._preserved, self._refused)

    # Back

    def read(self, repository: Repository, reference: str, accept: str, *, head: bool) -> Manifest:
        """Raises `ManifestUnknown`. `head`: the content may be left out."""
        if not self._translate:
            return self._registry.manifest(repository, reference, accept, head=head)
        if not is_digest(reference):
            return self._by_tag(repository, reference, accept)
        try:
            return self._registry.manifest(repository, reference, accept, head=head)
        except ManifestUnknown:
            # Asked anew: whoever hears that it is there does not send it, nor its layers.
            original = self._preserved.find(repository, reference, fresh=True)
            if original is None:
                self._preserved.missed(repository, reference)
                raise
        return _manifest(original)

    def _by_tag(self, repository: Repository, tag: str, accept: str) -> Manifest:
        """One request as long as SWR has what was pushed: its content tells whether it has."""
        own = self._registry.manifest(repository, tag, accept, head=False)
        source = own.source
        wanted = () if source is None else [each for each in _ORIGINALS[source.held_as] if accepts(accept, each)]
        if source is None or not wanted:
            return own
        original = self._preserved.find(repository, source.digest)
        if original is None or original.media_type not in wanted:
            return own
        # What the list names is as sure as the list. The rest may be gone: then the original could not be pulled whole.
        unsure = set(original.names) - set(source.names)
        if len(unsure) > MOST or not self._has_all(repository, unsure):
            return own
        return _manifest(original)

    def _has_all(self, repository: Repository, digests: set[str]) -> bool:
        """What was looked for in vain may have come meanwhile, through another replica or with another secret."""
        for digest in digests:
            if self._preserved.lacks(repository, [digest]):
                try:
                    self.read(repository, digest, ACCEPT, head=True)
                except ManifestUnknown:
                    return False
                self._preserved.arrived(repository, [digest])
        return True

    def is_kept(self, repository: Repository, digest: str) -> bool:
        """Whether a manifest is there only because it was kept: no tag leads to it."""
        return self._translate and self._preserved.find(repository, digest, fresh=True) is not None

    # There

    @for_upload()
    def put(self, repository: Repository, reference: str, pushed: Document, form: Form) -> Stored:
        """`pushed` has the type that it was sent with, and hashes to its digest; `form` is that of its content.

        Raises `TypeRefused` for what SWR takes in no form, `ManifestInvalid`, `OrganizationUnknown`."""
        original = self._original(pushed, form)
        if original is None:
            try:
                return Stored(self._sent(repository, reference, pushed))
            except ManifestInvalid as error:
                raise _explained(repository, reference, pushed, form, error) from error
        # Under a digest everything can be kept; under a tag there are Docker's formats, for images alone.
        elsewhere = form.kind != "other" or is_digest(reference)
        known = form.translatable or (form.kind == "other" and is_digest(reference))
        earlier = self._refused.age(repository.credentials, form.key) if known else None
        refusal = None
        if earlier is None:
            try:
                return Stored(self._sent_whole(repository, reference, pushed, original))
            except TypeRefused as error:
                if not elsewhere:
                    raise _explained(repository, reference, pushed, form, error) from error
                refusal = error
        if is_digest(reference):
            return self._kept_for(repository, original, form, earlier)
        return self._stood_in(repository, reference, original, form, refusal, earlier)

    def _original(self, pushed: Document, form: Form) -> Document | None:
        """None for what is to SWR's taste or not at all: Docker's types, and what is not what its type says."""
        sent = pushed.media_type.partition(";")[0].strip().lower()
        if not self._translate or form.media_type is None or form.media_type != sent:
            return None
        return Document(form.media_type, pushed.digest, pushed.data)

    def _sent(self, repository: Repository, reference: str, pushed: Document) -> str:
        digest = self._registry.put_manifest(repository, reference, pushed.data, pushed.media_type, pushed.digest)
        if self._translate and is_digest(reference):
            self._preserved.arrived(repository, [reference])
        return digest

    def _sent_whole(self, repository: Repository, reference: str, pushed: Document, original: Document) -> str:
        """As it is. An index may name what was kept as a blob when SWR did not take it, and takes today."""
        try:
            return self._sent(repository, reference, pushed)
        except TypeRefused:
            raise
        except (ManifestInvalid, ManifestUnknown, BlobUnknown):
            if original.media_type not in LISTS:
                raise
            if not self._docker_fallback.restored(repository, original.data):
                raise
        return self._sent(repository, reference, pushed)

    def _kept_for(self, repository: Repository, original: Document, form: Form, earlier: float | None) -> Stored:
        """That images are rejected is learnt when one stands in for another: SWR may reject this one for its layers."""
        self._preserved.keep(repository, original, remembered=True)
        self._preserved.arrived(repository, [original.digest])
        if form.kind == "other" and earlier is None:
            self._refused.learn(repository.credentials, form.key)
        why = _why(original.media_type, earlier)
        log.info("%s: %s@%s is kept as a blob", why, repository, original.digest)
        return Stored(original.digest, f"{why}: it is kept as a blob of this repository")

    def _stood_in(
        self,
        repository: Repository,
        tag: str,
        original: Document,
        form: Form,
        refusal: TypeRefused | None,
        earlier: float | None,
    ) -> Stored:
        try:
            done = self._docker_fallback.put(repository, tag, original)
        except ManifestInvalid as error:
            if refusal is not None and error.swr_code is None:
                # SWR's own words, where the error has none.
                error.swr_code, error.swr_message = refusal.swr_code, refusal.swr_message
                error.request_id = refusal.request_id
            raise
        if refusal is not None:
            self._refused.learn(repository.credentials, form.key)
        held, why = done.document, _why(original.media_type, earlier)
        log.info(
            "%s: %s:%s, %s, is there as %s %s%s",
            *(why, repository, tag, original.digest, held.media_type, held.digest),
            "" if done.named else ", without its original's digest, because SWR takes no annotations",
        )
        warning = f"{why}: it has this image as {held.media_type} {held.digest}"
        return Stored(original.digest if done.named else held.digest, warning)


def _why(media_type: str, earlier: float | None) -> str:
    """What SWR said, and when: this one, or one like it, `earlier`, in seconds; then it was not asked again."""
    if earlier is None:
        return f"SWR rejected this {media_type}"
    ago = f"{earlier / 60:.0f} min" if earlier >= 60 else f"{earlier:.0f} s"
    return f"SWR rejected a manifest of this form, {media_type}, {ago} ago and was not sent this one"


def _explained(
    repository: Repository, reference: str, pushed: Document, form: Form, refusal: ManifestInvalid
) -> ManifestInvalid:
    """In terms of what was pushed: how images are built is of no use for a chart, a signature or a wrong header."""
    where = f"{repository}{'@' if is_digest(reference) else ':'}{reference}"
    sent = pushed.media_type.partition(";")[0].strip().lower()
    if form.own not in (NONE, sent) and is_about_form(refusal):
        return ManifestInvalid(
            f"SWR rejects {where} because the Content-Type {sent} does not match the manifest's mediaType "
            f"{form.own[:_SHOWN]}: send it with its own type",
            **refusal.of_swr(),
        )
    if not isinstance(refusal, TypeRefused):
        return refusal
    if form.kind == "index" and not form.translatable:
        try:
            images_in(pushed.data)
        except TypeRefused as error:
            return TypeRefused(f"SWR rejects {where}: {error.sentence}", **refusal.of_swr())
    if form.artifact is not None:
        return TypeRefused(
            f"SWR rejects {where}, which is no container image but {form.artifact}: leave it out with a filter if a "
            "replication rule pushes it, else push it to a registry that accepts OCI artifacts",
            **refusal.of_swr(),
        )
    return refusal


def _manifest(original: Document) -> Manifest:
    return Manifest(original.media_type, original.digest, len(original.data), original.data)
