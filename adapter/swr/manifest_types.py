"""Media types of manifests: which are asked for, which one a document has, what a refusal of one means. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from adapter.errors import AdapterError, ManifestInvalid, TypeRefused
from adapter.names import Repository, is_digest
from adapter.swr.errors import Refusal, error_for

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"

ACCEPT: Final = ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST))
"""For whoever names no types: without them SWR may answer with a type that nobody asked for."""

_SAYS_NOTHING: Final = ("application/json", "application/octet-stream", "text/")

BUILD_FLAGS: Final = (
    "build it as a single-platform or Docker image: docker buildx build --provenance=false --sbom=false "
    "--output type=image,oci-mediatypes=false,push=true"
)


def said(content_type: str | None) -> str | None:
    """The Content-Type of an answer, None where it names no type of manifest: Harbor reads a manifest by that type
    alone (`docs/facts/harbor.md D.7`), and what SWR sends is not known (`docs/facts/swr.md §6`)."""
    if not content_type or content_type.strip().lower().startswith(_SAYS_NOTHING):
        return None
    return content_type


def type_in(data: bytes) -> str:
    """The type of a manifest by its own words, else by its form; `application/octet-stream` for what is none."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return "application/octet-stream"
    return _type_in(document) if isinstance(document, dict) else "application/octet-stream"


def _type_in(document: dict[str, Any]) -> str:
    own, config = document.get("mediaType"), document.get("config")
    if isinstance(own, str) and own.isascii() and own.isprintable() and "/" in own:
        return own
    if isinstance(document.get("manifests"), list):
        return OCI_INDEX
    # Docker's own schema 2 names its type always; OCI lets it be left out.
    return OCI_MANIFEST if isinstance(config, dict) else "application/octet-stream"


def refusal_error(refusal: Refusal, repository: Repository, reference: str, media_type: str) -> AdapterError:
    """SWR says only that it cannot parse the manifest (`docs/facts/swr.md §6, §10`): the media type tells why."""
    error = error_for(refusal)
    about_type = (
        (isinstance(error, ManifestInvalid) and "BLOB" not in (refusal.code or ""))
        or refusal.number == "4000068"
        or refusal.status in (406, 415)
        or refusal.code == "UNSUPPORTED"
    )
    if not about_type or "docker" in media_type:
        return error
    joint = "@" if is_digest(reference) else ":"
    return TypeRefused(
        f"SWR does not take {repository}{joint}{reference} because it is of type {media_type}; {BUILD_FLAGS}",
        **refusal.details(),
    )
