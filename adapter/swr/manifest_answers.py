"""Manifests as SWR answers with them: what an answer must be to be believed (`docs/facts/swr.md §6`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from adapter.errors import DigestInvalid, ManifestUnknown, Unexpected
from adapter.numerals import whole_number
from adapter.references import RepositoryName, algorithm_of, check_digest, digest_of, is_digest
from adapter.swr.errors import has_registry_headers
from adapter.swr.media_types import SCHEMA_1_ADVICE, is_manifest, is_schema_1, is_schema_1_type, parsed, said
from adapter.swr.transport import settle


@dataclass(frozen=True)
class Manifest:
    """`data` is None when only its head was asked for; `length` is in bytes; `source` is what it stands for, if it
    tells, and is never known from a head."""

    media_type: str
    digest: str
    length: int
    data: bytes | None = None
    source: Source | None = None


@dataclass(frozen=True)
class Source:
    """The original of a translated document: its digest, the Docker type of the translation, and the digests of the
    manifests that the translation names."""

    digest: str
    held_as: str
    names: tuple[str, ...]


def checked(
    response: requests.Response, data: bytes, repository: RepositoryName, reference: str, region: str
) -> tuple[dict[str, Any], str]:
    """A manifest, parsed, and its digest. Raises `Unexpected` for what is not the manifest that SWR has: it would get a
    digest of its own here, and Harbor would take it for the image."""
    what = f"the manifest {reference} of {repository}"
    encoding, content = response.headers.get("Content-Encoding"), parsed(data)
    if not _is_plain(response):
        raise Unexpected(
            f"SWR sent {what} with Content-Encoding {encoding!r}, which was not accepted: check any proxy between the "
            "adapter and SWR"
        )
    if content is None:
        kind = response.headers.get("Content-Type")
        raise Unexpected(
            f"something other than a manifest came for {what} (status 200, content type {kind}, not a JSON object): "
            f"check the `registry` of {region} in SWR_ADAPTER_REGIONS, and any proxy between the adapter and SWR"
        )
    digest = digest_of(data, algorithm_of(reference) if is_digest(reference) else "sha256")
    if is_digest(reference) and digest != reference:
        raise Unexpected(f"{what} is damaged, because it hashes to {digest}: push the image again")
    told = digest_told(response)
    actual = (
        digest if told is None or algorithm_of(told) == algorithm_of(digest) else digest_of(data, algorithm_of(told))
    )
    if told not in (None, actual):
        raise Unexpected(f"{what} is damaged, because SWR announced {told} and it hashes to {actual}: try again")
    if is_schema_1(content, response.headers.get("Content-Type")):
        raise Unexpected(f"{what} is in Docker's schema 1, and {SCHEMA_1_ADVICE}")
    if not is_manifest(content):
        raise Unexpected(
            f"something other than a manifest came for {what} (status 200, a JSON object without schemaVersion): check "
            f"the `registry` of {region} in SWR_ADAPTER_REGIONS, and any proxy between the adapter and SWR"
        )
    return content, digest


def _is_plain(response: requests.Response) -> bool:
    """Whether the body is what it is about: nothing but `credentials` is accepted, and a digest is of the content."""
    return response.headers.get("Content-Encoding", "identity").strip().lower() in ("", "identity")


def digest_told(response: requests.Response) -> str | None:
    """`Docker-Content-Digest`, None for what is not a digest of a known algorithm."""
    try:
        return check_digest(response.headers.get("Docker-Content-Digest", ""))
    except DigestInvalid:
        return None


def head_of(response: requests.Response, reference: str) -> Manifest | None:
    """None when the answer lacks something that Harbor needs, is a redirect, or may be anybody's."""
    settle(response)
    if response.status_code == 404 and has_registry_headers(response.headers):
        raise ManifestUnknown(f"no manifest {reference}")
    if response.status_code != 200:
        return None
    told = digest_told(response)
    if is_digest(reference):
        if told is not None and told != reference and algorithm_of(told) == algorithm_of(reference):
            raise Unexpected(f"SWR announced {told} for the manifest {reference}: it is damaged, push the image again")
        told = reference
    elif told is not None and algorithm_of(told) != "sha256":
        told = None  # GET answers a tag with SHA-256
    media_type = said(response.headers.get("Content-Type"))
    length = whole_number(response.headers.get("Content-Length"))
    if told is None or not media_type or is_schema_1_type(media_type) or not length:
        return None
    return Manifest(media_type, told, length) if _is_plain(response) else None
