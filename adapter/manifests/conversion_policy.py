"""Decides whether SWR gets a manifest unchanged, converted to a Docker format, or as a blob."""

from __future__ import annotations

from adapter.manifests.capabilities import Capabilities
from adapter.manifests.conversion import Document
from adapter.manifests.forms import Form
from adapter.references import is_digest
from adapter.swr.repository import Repository


class ConversionPolicy:
    """A manifest is first sent unchanged. If SWR rejects its type, or rejected its form within the last hour, it is
    converted (an image or index under a tag) or preserved as a blob (any manifest under a digest).

    Without `enabled`, every manifest is only sent unchanged.
    """

    def __init__(self, capabilities: Capabilities, *, enabled: bool) -> None:
        self._capabilities = capabilities
        self._enabled = enabled

    def original(self, pushed: Document, form: Form) -> Document | None:
        """The manifest as an original; None for what is only sent unchanged: Docker's types, and a document that is
        not what its type says."""
        sent = pushed.media_type.partition(";")[0].strip().lower()
        if not self._enabled or form.media_type is None or form.media_type != sent:
            return None
        return Document(form.media_type, pushed.digest, pushed.data)

    def rejection_age(self, repository: Repository, reference: str, form: Form) -> float | None:
        """Seconds since SWR rejected a manifest of this form, so that the original need not be sent; None if it must
        be."""
        may_skip = form.convertible or (form.kind == "other" and is_digest(reference))
        return self._capabilities.rejection_age(repository.credentials, form.key) if may_skip else None


def has_alternative(form: Form, reference: str) -> bool:
    """Whether a rejected manifest can be stored otherwise. Under a digest every manifest can be preserved; under a tag
    only images can be converted."""
    return form.kind != "other" or is_digest(reference)
