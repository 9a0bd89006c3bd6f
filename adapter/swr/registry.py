"""The registry of SWR, `/v2` on the registry host (`docs/facts/swr.md §6`): manifests and blobs.

`registry_requests` has what each request needs, `blob_uploads` the uploads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import requests

from adapter.errors import AdapterError, BlobUnknown, ManifestUnknown, RangeInvalid, Unexpected
from adapter.numerals import whole_number
from adapter.references import algorithm_of, digest_of
from adapter.settings import RegionHosts
from adapter.swr.annotations import original_digest_of
from adapter.swr.error_codes import error_for, registry_error_for
from adapter.swr.error_response import has_registry_headers
from adapter.swr.manifest_validation import Manifest, Source, announced_digest, manifest_from_head, validated
from adapter.swr.media_types import (
    ACCEPT,
    MANIFEST_TYPES,
    accepts,
    declared_type,
    digests_in,
    refusal_error,
    type_in,
    type_of,
)
from adapter.swr.organizations import Organizations
from adapter.swr.redirects import REDIRECTS, Redirects, UrlRejected
from adapter.swr.registry_requests import COMPLETE, RegistryRequests, narrowed
from adapter.swr.repository import Repository
from adapter.swr.response_body import error_response_of, read_document, settle
from adapter.swr.retry import BLOB_DOWNLOAD, READ, READ_MANIFEST
from adapter.swr.tokens import PULL, PUSH, Tokens
from adapter.swr.transport import Transport

_REGISTRY_HEADERS: Final = ("Docker-Content-Digest", "Docker-Distribution-Api-Version", "forserver")


@dataclass(frozen=True)
class Blob:
    """The head of a blob: its length in bytes, None if SWR does not report it."""

    length: int | None


class Registry(RegistryRequests):
    """The registries of all regions; shared by all threads. The repository's credentials determine the region."""

    def __init__(
        self,
        transport: Transport,
        regions: Mapping[str, RegionHosts],
        tokens: Tokens,
        organizations: Organizations,
    ) -> None:
        super().__init__(transport, regions, tokens, organizations)
        self._redirects = Redirects(transport, regions)

    # Manifests

    def manifest(self, repository: Repository, reference: str, accept: str, *, head: bool) -> Manifest:
        """Raises `ManifestUnknown`. If SWR's response to HEAD is incomplete, the manifest itself is read."""
        path = f"/v2/{repository}/manifests/{reference}"
        headers = {"Accept": accept}
        if head:
            response = self.exchange("HEAD", repository, path, actions=PULL, headers=headers, policy=READ_MANIFEST)
            if (found := manifest_from_head(response, reference)) is not None:
                return found
        response = self.exchange("GET", repository, path, actions=PULL, headers=headers, policy=READ_MANIFEST)
        if response.status_code != 200:
            error_response = error_response_of(response)
            if error_response.status in (404, 406) and not all(accepts(accept, each) for each in MANIFEST_TYPES):
                self._raise_if_not_accepted(repository, reference, accept)
            raise narrowed(
                registry_error_for(error_response, repository.credentials.region),
                ManifestUnknown,
                f"{repository} has no manifest {reference}",
            )
        data = read_document(response)
        # Parsed once: the parsed document is large, what is kept of it is small.
        content, digest = validated(response, data, repository.name, reference, repository.credentials.region)
        media_type, source = type_of(content), original_digest_of(content)
        return Manifest(
            declared_type(response.headers.get("Content-Type")) or media_type,
            digest,
            len(data),
            data,
            None if source is None else Source(source, media_type, tuple(digests_in(content))),
        )

    def _raise_if_not_accepted(self, repository: Repository, reference: str, accept: str) -> None:
        """Raises `ManifestUnknown` with the media type in SWR if the Accept header excludes it: other registries answer
        that with a mere 404."""
        path, headers = f"/v2/{repository}/manifests/{reference}", {"Accept": ACCEPT}
        response = self.exchange("GET", repository, path, actions=PULL, headers=headers, policy=READ_MANIFEST)
        if response.status_code != 200:
            settle(response)
            return
        found = declared_type(response.headers.get("Content-Type")) or type_in(read_document(response))
        response.close()
        if not accepts(accept, found):
            raise ManifestUnknown(
                f"manifest {reference} of {repository} has type {found}, which the Accept header excludes: accept this "
                "type"
            )

    def put_manifest(
        self,
        repository: Repository,
        reference: str,
        data: bytes,
        media_type: str,
        digest: str,
    ) -> str:
        """Stores a manifest and returns its digest; `digest` is that of the data, by the reference's algorithm.

        Raises `TypeRefused`, `ManifestInvalid`, `OrganizationUnknown`.
        """
        response = self.exchange(
            "PUT",
            repository,
            f"/v2/{repository}/manifests/{reference}",
            actions=PUSH,
            headers={"Content-Type": media_type},
            body=data,
        )
        if response.status_code not in COMPLETE:
            raise refusal_error(error_response_of(response), repository.name, reference, media_type, data)
        settle(response)
        stored = announced_digest(response)
        if stored is not None and algorithm_of(stored) != algorithm_of(digest):
            stored = None if stored == digest_of(data, algorithm_of(stored)) else stored
        if stored not in (None, digest):
            raise Unexpected(
                f"digest mismatch (SWR stored {repository}:{reference} as {stored}, expected {digest}): run the "
                "replication again"
            )
        return digest

    # Blobs

    def blob(self, repository: Repository, digest: str) -> Blob:
        """The head of a blob. Raises `BlobUnknown`."""
        path = f"/v2/{repository}/blobs/{digest}"
        response = self.exchange("HEAD", repository, path, actions=PULL, policy=READ)
        settle(response)
        ambiguous = response.status_code == 404 and not has_registry_headers(response.headers)
        if response.status_code in REDIRECTS or ambiguous:
            # A pre-signed URL allows only GET, and any server may have sent a 404 without a body. So the head is taken
            # from a GET that is closed at once.
            response = self.open_blob(repository, digest)
            response.close()
        if response.status_code == 404:
            raise BlobUnknown(f"{repository} has no blob {digest}")
        if response.status_code != 200:
            raise error_for(error_response_of(response))
        if _is_page(response):
            # A client would take the page for the blob and not send it. After a GET, the client checks the digest.
            response.close()
            raise Unexpected(
                f"an HTML page was returned in place of blob {digest} of {repository} (status 200): "
                f"check the `registry` of {repository.credentials.region} in SWR_ADAPTER_REGIONS, and any proxy "
                "between the adapter and SWR"
            )
        length = _blob_length(response, digest)
        if length is None and response.request.method == "HEAD":
            # The client would take 0 for an empty blob. The head of a GET has the length. The blob exists, whatever
            # happens to the GET.
            with contextlib.suppress(AdapterError):
                response = self.open_blob(repository, digest)
                response.close()
                length = _blob_length(response, digest)
        return Blob(length)

    def blob_place(self, repository: Repository, digest: str, byte_range: str | None = None) -> str | requests.Response:
        """The URL in the object store that SWR redirects to; if SWR sends the blob itself, its unread response.

        The URL gives anyone access to the blob for a while, so it is a secret. Raises as `open_blob` does.
        """
        response = self._get_blob(repository, digest, byte_range)
        url = self._blob_url(repository, digest)
        if response.status_code in REDIRECTS:
            target = self._redirects.target(repository.credentials, url, response)
            if urlsplit(target).netloc != urlsplit(url).netloc:
                return target
            # The client has no token for a URL of the registry itself.
            response = self._redirects.followed(repository.credentials, url, response, byte_range)
        return self._opened(response, repository, digest, byte_range)

    def open_blob(self, repository: Repository, digest: str, byte_range: str | None = None) -> requests.Response:
        """An unread response with status 200 or 206; redirects are followed without credentials.

        Raises `BlobUnknown`, `RangeInvalid`.
        """
        url = self._blob_url(repository, digest)
        response = self._get_blob(repository, digest, byte_range)
        try:
            response = self._redirects.followed(repository.credentials, url, response, byte_range)
        except UrlRejected:
            # The URL may have expired meanwhile: the registry returns a new one.
            response = self._get_blob(repository, digest, byte_range)
            response = self._redirects.followed(repository.credentials, url, response, byte_range)
        return self._opened(response, repository, digest, byte_range)

    def _blob_url(self, repository: Repository, digest: str) -> str:
        return f"{self.origin(repository.credentials)}/v2/{repository}/blobs/{digest}"

    def _get_blob(self, repository: Repository, digest: str, byte_range: str | None) -> requests.Response:
        headers = {"Range": byte_range} if byte_range else {}
        path = f"/v2/{repository}/blobs/{digest}"
        return self.exchange("GET", repository, path, actions=PULL, headers=headers, policy=BLOB_DOWNLOAD)

    @staticmethod
    def _opened(
        response: requests.Response, repository: Repository, digest: str, byte_range: str | None
    ) -> requests.Response:
        if response.status_code in (200, 206):
            return response
        if response.status_code == 416:
            size = {name: response.headers[name] for name in ("Content-Range",) if name in response.headers}
            settle(response)
            raise RangeInvalid(f"range {byte_range} is outside the blob: request a range within its size", headers=size)
        error_response = error_response_of(response)
        if error_response.status == 404 and not error_response.is_of_registry:
            # `exchange` has checked the registry's own 404, so this one is of the object store.
            store = urlsplit(str(response.url)).hostname
            raise Unexpected(
                f"blob {digest} of {repository} is missing in the object store {store} ({error_response.described()}): "
                "push the image again",
                **error_response.details(),
            )
        raise narrowed(error_for(error_response), BlobUnknown, f"{repository} has no blob {digest}")


def _is_page(response: requests.Response) -> bool:
    """Whether a response to HEAD is HTML, without any header of a registry."""
    if response.request.method != "HEAD" or "html" not in response.headers.get("Content-Type", "").lower():
        return False
    return all(name not in response.headers for name in _REGISTRY_HEADERS)


def _blob_length(response: requests.Response, digest: str) -> int | None:
    """In bytes. None if the response does not state it, is encoded, or states 0 for a blob that is not empty."""
    if response.status_code != 200 or "Content-Encoding" in response.headers:
        return None
    length = whole_number(response.headers.get("Content-Length"))
    return length or (0 if length == 0 and digest == digest_of(b"", algorithm_of(digest)) else None)
