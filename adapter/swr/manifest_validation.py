"""Checks that a response of SWR is the requested manifest (`docs/facts/swr.md §6`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from adapter.errors import DigestInvalid, ManifestUnknown, Unexpected
from adapter.numerals import whole_number
from adapter.references import RepositoryName, algorithm_of, check_digest, digest_of, is_digest
from adapter.swr.error_response import has_registry_headers
from adapter.swr.media_types import (
    SCHEMA_1_ADVICE,
    declared_type,
    is_manifest,
    is_schema_1,
    is_schema_1_type,
    parse_manifest,
)
from adapter.swr.response_body import settle


@dataclass(frozen=True)
class Manifest:
    """A manifest that was pulled. `length` is in bytes; `data` is None if only the head was requested.

    `source`: the original, if the manifest is a converted one; always None for a head.
    """

    media_type: str
    digest: str
    length: int
    data: bytes | None = None
    source: Source | None = None


@dataclass(frozen=True)
class Source:
    """The original of a converted document: its digest, the Docker type of the converted document, and the digests of
    the manifests that the converted document references."""

    digest: str
    converted_type: str
    children: tuple[str, ...]


def validated(
    response: requests.Response, data: bytes, repository: RepositoryName, reference: str, region: str
) -> tuple[dict[str, Any], str]:
    """The parsed manifest and its digest. Raises `Unexpected` if the body is not the requested manifest.

    The adapter would compute a digest for any body, and Harbor would take the body for the image.
    """
    what = f"the manifest {reference} of {repository}"
    encoding, content = response.headers.get("Content-Encoding"), parse_manifest(data)
    if not _has_no_encoding(response):
        raise Unexpected(
            f"SWR returned {what} with Content-Encoding {encoding!r}, which was not accepted: check any proxy between "
            "the adapter and SWR"
        )
    if content is None:
        kind = response.headers.get("Content-Type")
        raise Unexpected(
            f"SWR returned something other than {what} (status 200, content type {kind}, not a JSON object): check the "
            f"`registry` of {region} in SWR_ADAPTER_REGIONS, and any proxy between the adapter and SWR"
        )
    digest = digest_of(data, algorithm_of(reference) if is_digest(reference) else "sha256")
    if is_digest(reference) and digest != reference:
        raise Unexpected(f"{what} is damaged (its digest is {digest}): push the image again")
    announced = announced_digest(response)
    actual = (
        digest
        if announced is None or algorithm_of(announced) == algorithm_of(digest)
        else digest_of(data, algorithm_of(announced))
    )
    if announced not in (None, actual):
        raise Unexpected(f"{what} is damaged (SWR announced {announced}, its digest is {actual}): try again")
    if is_schema_1(content, response.headers.get("Content-Type")):
        raise Unexpected(f"{what} is not supported {SCHEMA_1_ADVICE}")
    if not is_manifest(content):
        raise Unexpected(
            f"SWR returned something other than {what} (status 200, a JSON object without schemaVersion): check the "
            f"`registry` of {region} in SWR_ADAPTER_REGIONS, and any proxy between the adapter and SWR"
        )
    return content, digest


def _has_no_encoding(response: requests.Response) -> bool:
    """The adapter accepts only `identity`, because a digest is that of the content without an encoding."""
    return response.headers.get("Content-Encoding", "identity").strip().lower() in ("", "identity")


def announced_digest(response: requests.Response) -> str | None:
    """`Docker-Content-Digest`; None if it is not a digest of a known algorithm."""
    try:
        return check_digest(response.headers.get("Docker-Content-Digest", ""))
    except DigestInvalid:
        return None


def manifest_from_head(response: requests.Response, reference: str) -> Manifest | None:
    """None if a header that Harbor needs is missing, for a redirect, and for a response that may not be SWR's.

    Raises `ManifestUnknown`, and `Unexpected` for another digest than the requested one.
    """
    settle(response)
    if response.status_code == 404 and has_registry_headers(response.headers):
        raise ManifestUnknown(f"the repository has no manifest {reference}")
    if response.status_code != 200:
        return None
    digest = announced_digest(response)
    if is_digest(reference):
        if digest is not None and digest != reference and algorithm_of(digest) == algorithm_of(reference):
            raise Unexpected(f"the manifest {reference} is damaged (SWR announced {digest}): push the image again")
        digest = reference
    elif digest is not None and algorithm_of(digest) != "sha256":
        digest = None  # for a tag, GET returns a sha256 digest
    media_type = declared_type(response.headers.get("Content-Type"))
    length = whole_number(response.headers.get("Content-Length"))
    if digest is None or not media_type or is_schema_1_type(media_type) or not length:
        return None
    return Manifest(media_type, digest, length) if _has_no_encoding(response) else None
