"""Media types of manifests: which are requested, which one a document has, what a rejection by SWR means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from adapter.documents import parse_json
from adapter.errors import AdapterError, InvalidRequest, ManifestInvalid, TypeRefused
from adapter.references import RepositoryName, is_digest
from adapter.swr.error_codes import error_for
from adapter.swr.error_response import ErrorResponse

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"

MANIFEST_TYPES: Final = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES: Final = frozenset({DOCKER_LIST, OCI_INDEX})
ACCEPT: Final = ", ".join(MANIFEST_TYPES)
"""Sent for a client without an Accept header: without one, SWR could return another type."""

NOT_A_MANIFEST: Final = "application/octet-stream"
"""The type of a document that is not a manifest."""
OCI_ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"
"""Type from a release candidate of the OCI image spec 1.1; some registries still have documents of this type."""
IN_TOTO: Final = "application/vnd.in-toto+json"
"""Type of a layer that is an attestation."""
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+"
_GENERIC_TYPES: Final = ("application/json", NOT_A_MANIFEST, "text/")

_FORM_ERRORS: Final = frozenset({"4000068", "4000069"})
"""SWR's codes for a manifest that it cannot parse, and for one whose format it does not support."""

SCHEMA_1_ADVICE: Final = "(Docker schema 1, which Harbor does not replicate): build the image again and push it"
BUILD_ADVICE: Final = (
    "build it as a single-platform or Docker image (docker buildx build --provenance=false --sbom=false "
    "--output type=image,oci-mediatypes=false,push=true)"
)


def declared_type(content_type: str | None) -> str | None:
    """The Content-Type of a response, None if it is not specific to manifests.

    Harbor uses only that type to read a manifest (`docs/facts/harbor.md D.7`). Which types SWR returns is not known
    (`docs/facts/swr.md §6`).
    """
    if not content_type or content_type.strip().lower().startswith(_GENERIC_TYPES):
        return None
    return content_type


def parse_manifest(data: bytes) -> dict[str, Any] | None:
    """The JSON object of a manifest, None for anything else. Raises `Busy`.

    A parsed document takes up to a hundred times the memory of its bytes: drop it as soon as possible.
    """
    try:
        document = parse_json(data)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def is_manifest(document: Mapping[str, Any]) -> bool:
    """Whether a document is a manifest of any schema: it has a version, or a type of manifest."""
    version, own = document.get("schemaVersion"), document.get("mediaType")
    return own in (*MANIFEST_TYPES, OCI_ARTIFACT) or (isinstance(version, int) and not isinstance(version, bool))


def is_schema_1(document: Mapping[str, Any], content_type: str | None = None) -> bool:
    """Whether a manifest has the format Docker schema 1, without a configuration, which Harbor does not replicate."""
    return document.get("schemaVersion") == 1 or is_schema_1_type(content_type)


def is_schema_1_type(content_type: str | None) -> bool:
    """Whether it is `application/vnd.docker.distribution.manifest.v1+json` or `…+prettyjws`."""
    return (content_type or "").strip().lower().startswith(_SCHEMA_1)


def type_in(data: bytes) -> str:
    """The type of a manifest according to its bytes (`type_of`)."""
    document = parse_manifest(data)
    return NOT_A_MANIFEST if document is None else type_of(document)


def type_of(document: Mapping[str, Any]) -> str:
    """The type that a parsed manifest states, else the type that its fields imply, else `NOT_A_MANIFEST`."""
    own, config = document.get("mediaType"), document.get("config")
    if isinstance(own, str) and own.isascii() and own.isprintable() and "/" in own:
        return own
    if isinstance(document.get("manifests"), list):
        return OCI_INDEX
    # Docker's schema 2 always states its type; in OCI's formats it is optional.
    return OCI_MANIFEST if isinstance(config, dict) else NOT_A_MANIFEST


def digests_in(document: bytes | Mapping[str, Any]) -> list[str]:
    """The digests of the manifests that an index or list references, in order, each once; empty for an image.

    Entries without a digest are omitted.
    """
    found = parse_manifest(document) if isinstance(document, bytes) else document
    entries = (found or {}).get("manifests")
    digests = [each.get("digest") for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    return list(dict.fromkeys(digest for digest in digests if isinstance(digest, str)))


def refusal_error(
    error_response: ErrorResponse, repository: RepositoryName, reference: str, media_type: str, data: bytes
) -> AdapterError:
    """The error for a manifest that SWR rejected.

    SWR states only that it cannot parse the manifest (`docs/facts/swr.md §6, §10`). The reason is its media type, or
    the attestations that a Docker list references.
    """
    error = error_for(error_response)
    about_type = (
        (isinstance(error, ManifestInvalid) and "BLOB" not in (error_response.code or ""))
        or error_response.number in _FORM_ERRORS
        or error_response.says("fail to parse", "manifest.json")
        or error_response.status in (406, 415)
        or error_response.code == "UNSUPPORTED"
    )
    image = f"{repository}{'@' if is_digest(reference) else ':'}{reference}"
    message = f"SWR rejected {image} because it is of type {media_type}: {BUILD_ADVICE}"
    # Content that was sent under another type is not parsed to find a better message.
    untyped = media_type.partition(";")[0].strip().lower() not in MANIFEST_TYPES
    if is_schema_1_type(media_type) or (about_type and untyped and is_schema_1(parse_manifest(data) or {})):
        message = f"SWR rejected {image} {SCHEMA_1_ADVICE}"
    elif "docker" in media_type:
        about_type = about_type and _has_attestations(data)
        message = (
            f"SWR rejected {image} because it has attestations in Docker format: build it with docker buildx build "
            "--provenance=false --sbom=false"
        )
    return TypeRefused(message, **error_response.details()) if about_type else error


def _has_attestations(data: bytes) -> bool:
    """Whether it is a list that references attestations, or is an attestation.

    BuildKit gives attestations an unknown platform and an annotation.
    """
    document = parse_manifest(data) or {}
    entries = document.get("manifests")
    return is_attestation_manifest(document) or (isinstance(entries, list) and any(map(_is_attestation, entries)))


def _is_attestation(entry: object) -> bool:
    parts = entry if isinstance(entry, dict) else {}
    platform, annotations = parts.get("platform"), parts.get("annotations")
    return (isinstance(platform, dict) and platform.get("os") == "unknown") or (
        isinstance(annotations, dict) and "vnd.docker.reference.type" in annotations
    )


def is_attestation_manifest(document: Mapping[str, Any]) -> bool:
    """Whether all layers of a parsed manifest are attestations; with `oci-mediatypes=false` BuildKit gives it the type
    of a Docker image
    (https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md)."""
    layers = document.get("layers")
    if not isinstance(layers, list) or not layers:
        return False
    return all(isinstance(layer, dict) and layer.get("mediaType") == IN_TOTO for layer in layers)


def is_about_form(error: AdapterError) -> bool:
    """Whether SWR may have rejected a document for its form: its type, or a field that SWR does not support.

    A missing blob or manifest has a code of its own (OCI distribution spec, "Error codes"); names, tags and digests
    have errors of their own.
    """
    return type(error) in (InvalidRequest, ManifestInvalid, TypeRefused) and "BLOB" not in (error.swr_code or "")


def accepts(accept: str, media_type: str) -> bool:
    """Whether an Accept header includes a type. The most specific matching range decides, and `q=0` excludes the type
    (RFC 9110 §12.5.1). Other parameters are ignored."""
    found = parse_accept_header(accept)
    ranges = [(each.partition(";")[0].strip().lower(), quality) for each, quality in found]
    return MIMEAccept(ranges).quality(media_type) > 0
