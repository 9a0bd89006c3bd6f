"""Media types of manifests: which are asked for, which one a document has, what a refusal of one means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from adapter.documents import parse_json
from adapter.errors import AdapterError, InvalidRequest, ManifestInvalid, TypeRefused
from adapter.references import RepositoryName, is_digest
from adapter.swr.errors import ErrorResponse, error_for

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"

TYPES: Final = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)
ACCEPT: Final = ", ".join(TYPES)
"""For whoever names no types: without them SWR may answer with a type that nobody asked for."""

_ABOUT_FORM: Final = frozenset({"4000068", "4000069"})
"""SWR's codes for a manifest that it cannot parse, and for one whose format it does not support."""

OCI_ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"
"""Of a release candidate of OCI's image spec 1.1; some registries have kept what was pushed then."""
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+"
SCHEMA_1_ADVICE: Final = "Harbor does not replicate Docker schema 1: build the image again and push it"

IN_TOTO: Final = "application/vnd.in-toto+json"
"""Of a layer that is an attestation."""

LISTS: Final = frozenset({DOCKER_LIST, OCI_INDEX})
NONE: Final = "application/octet-stream"
"""The type of what is no manifest."""

_SAYS_NOTHING: Final = ("application/json", NONE, "text/")

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


def parsed(data: bytes) -> dict[str, Any] | None:
    """The document that a manifest is, None for what is not a JSON object. Raises `Busy`.

    A parsed document is up to a hundred times larger than its bytes: take from it what is needed, and let it go.
    """
    try:
        document = parse_json(data)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def is_manifest(document: Mapping[str, Any]) -> bool:
    """Whether a document has the form of a manifest, of whatever schema: a version, or a type of manifest."""
    version, own = document.get("schemaVersion"), document.get("mediaType")
    return own in (*TYPES, OCI_ARTIFACT) or (isinstance(version, int) and not isinstance(version, bool))


def is_schema_1(document: Mapping[str, Any], content_type: str | None = None) -> bool:
    """Whether it is in Docker's first format, with layers and no configuration; Harbor replicates none of these."""
    return document.get("schemaVersion") == 1 or is_schema_1_type(content_type)


def is_schema_1_type(content_type: str | None) -> bool:
    """The same by its media type, `application/vnd.docker.distribution.manifest.v1+json` or `…+prettyjws`."""
    return (content_type or "").strip().lower().startswith(_SCHEMA_1)


def type_in(data: bytes) -> str:
    """The type of a manifest by its own words, else by its form; `NONE` for what is none."""
    document = parsed(data)
    return NONE if document is None else type_of(document)


def type_of(document: Mapping[str, Any]) -> str:
    """As `type_in`, of a document that is parsed already."""
    own, config = document.get("mediaType"), document.get("config")
    if isinstance(own, str) and own.isascii() and own.isprintable() and "/" in own:
        return own
    if isinstance(document.get("manifests"), list):
        return OCI_INDEX
    # Docker's own schema 2 names its type always; OCI lets it be left out.
    return OCI_MANIFEST if isinstance(config, dict) else NONE


def digests_in(document: bytes | Mapping[str, Any]) -> list[str]:
    """The manifests that an index or list names, in order, each once; none for an image. What is none is left out."""
    found = parsed(document) if isinstance(document, bytes) else document
    entries = (found or {}).get("manifests")
    named = [entry.get("digest") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return list(dict.fromkeys(digest for digest in named if isinstance(digest, str)))


def refusal_error(
    error_response: ErrorResponse, repository: RepositoryName, reference: str, media_type: str, data: bytes
) -> AdapterError:
    """SWR says only that it cannot parse the manifest (`docs/facts/swr.md §6, §10`): the media type tells why, or the
    attestations that a Docker list names."""
    error = error_for(error_response)
    about_type = (
        (isinstance(error, ManifestInvalid) and "BLOB" not in (error_response.code or ""))
        or error_response.number in _ABOUT_FORM
        or error_response.says("fail to parse", "manifest.json")
        or error_response.status in (406, 415)
        or error_response.code == "UNSUPPORTED"
    )
    joint = "@" if is_digest(reference) else ":"
    sentence = f"SWR does not take {repository}{joint}{reference} because it is of type {media_type}; {BUILD_FLAGS}"
    # Whoever sends it under another type of manifest is told about that type: its content is not parsed for it.
    untyped = media_type.partition(";")[0].strip().lower() not in TYPES
    if is_schema_1_type(media_type) or (about_type and untyped and is_schema_1(parsed(data) or {})):
        sentence = f"SWR rejects {repository}{joint}{reference}, which is in Docker's schema 1, and {SCHEMA_1_ADVICE}"
    elif "docker" in media_type:
        about_type = about_type and _has_attestations(data)
        sentence = (
            f"SWR does not take {repository}{joint}{reference}, which has attestations in Docker's formats; build it "
            "with docker buildx build --provenance=false --sbom=false"
        )
    return TypeRefused(sentence, **error_response.details()) if about_type else error


def _has_attestations(data: bytes) -> bool:
    """Whether it is a list that names attestations, to which BuildKit gives a platform that is none and an annotation,
    or an attestation itself."""
    document = parsed(data) or {}
    entries = document.get("manifests")
    return is_attestation_manifest(document) or (isinstance(entries, list) and any(map(_is_attested, entries)))


def _is_attested(entry: object) -> bool:
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
    """Whether SWR may have refused a document for how it is written: its type, or a field that it does not know.

    What a document names and SWR lacks has a code of its own (OCI distribution spec, "Error codes"); names, tags and
    digests have errors of their own.
    """
    return type(error) in (InvalidRequest, ManifestInvalid, TypeRefused) and "BLOB" not in (error.swr_code or "")


def accepts(accept: str, media_type: str) -> bool:
    """Whether an Accept header lets a type pass: the range that fits it most closely decides, and `q=0` excludes it
    (RFC 9110 §12.5.1). Other parameters are not looked at."""
    found = parse_accept_header(accept)
    ranges = [(each.partition(";")[0].strip().lower(), quality) for each, quality in found]
    return MIMEAccept(ranges).quality(media_type) > 0
