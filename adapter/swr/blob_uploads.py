"""The requests to SWR of which a blob upload consists: start, mount, chunk, finish, status, cancel (OCI distribution
spec, "Pushing blobs").

Each response has the `Location` of the next request. It must be on the host of the registry; only its path and query
are used. What SWR returns for chunks is not documented (`docs/facts/swr.md §6`), so only `Location` is relied on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit

import requests

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    BlobUnknown,
    Denied,
    NotFound,
    OrganizationUnknown,
    RepositoryUnknown,
    Unexpected,
    UploadUnknown,
)
from adapter.references import RepositoryName
from adapter.swr.error_codes import error_for
from adapter.swr.registry import Registry
from adapter.swr.registry_requests import COMPLETE
from adapter.swr.repository import Repository
from adapter.swr.response_body import error_response_of, settle
from adapter.swr.retry import BUFFERED_UPLOAD, MOUNT, STREAMED_UPLOAD, UPLOAD_START
from adapter.swr.tokens import PUSH
from adapter.swr.urls import resolve

Stream = bytes | Iterable[Any]

_RANGE: Final = re.compile(r"(?:bytes[ =])?0-([0-9]{1,18})")


@dataclass(frozen=True)
class Mounting:
    """`done`: SWR has mounted the blob. `location`: the location of the upload that SWR opened instead, if any."""

    done: bool
    location: str | None = field(default=None, repr=False)


class BlobUploads:
    """`location` is always a path with a query on the registry of the credentials' region."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def start(self, repository: Repository, *, create: bool = True) -> str:
        """The location of a new upload.

        With `create`, a missing organization is created, because clients may push without creating one first
        (`docs/facts/harbor.md D.5`). Only the upload of a blob does so, not that of a manifest.

        Raises `Denied`, `OrganizationTaken`, `OrganizationQuota`, `CreationRefused`, `OrganizationUnknown`.
        """
        try:
            return self._start(repository)
        except OrganizationUnknown:
            if not create:
                raise
            self._registry.make_organization(repository.credentials, repository.organization)
            return self._start(repository)

    def _start(self, repository: Repository) -> str:
        response = self._registry.exchange(
            "POST",
            repository,
            f"/v2/{repository}/blobs/uploads/",
            actions=PUSH,
            headers={"Content-Length": "0"},
            policy=UPLOAD_START,
        )
        if response.status_code == 404:
            raise self._registry.absence(repository, error_for(error_response_of(response)))
        return self._next_location(repository.credentials, response, None)

    def mount(self, repository: Repository, digest: str, source: RepositoryName) -> Mounting:
        """Requests to mount a blob of another repository. A success counts only if it is about this very blob.

        It is not known whether SWR supports mounts (`docs/facts/swr.md §6`); a registry that does not opens an upload.
        Raises the errors that are not about the mount: `CredentialsRefused`, `AccountBlocked`, an `UpstreamError`.
        """
        query = urlencode({"mount": digest, "from": str(source)})
        path = f"/v2/{repository}/blobs/uploads/?{query}"
        headers = {"Content-Length": "0"}
        try:
            response = self._registry.exchange(
                "POST", repository, path, actions=PUSH, headers=headers, policy=MOUNT, source=source
            )
            if response.status_code == 202:
                return Mounting(False, self._next_location(repository.credentials, response, None))
            if response.status_code in COMPLETE:
                settle(response)
                return Mounting(_is_about(response, digest) or self._has_blob(repository, digest))
            if response.status_code in MOUNT.statuses:
                raise error_for(error_response_of(response))
            settle(response)
        except AccountBlocked:
            raise
        except (Denied, NotFound, Unexpected):
            pass
        return Mounting(False)

    def _has_blob(self, repository: Repository, digest: str) -> bool:
        try:
            self._registry.blob(repository, digest)
        except (BlobUnknown, RepositoryUnknown):
            return False
        return True

    def chunk(self, repository: Repository, location: str, body: Stream, content_range: str | None) -> str:
        """Appends bytes and returns the next location. `content_range` is `first-last`, both inclusive."""
        headers = {"Content-Type": "application/octet-stream"} | _range(content_range)
        response = self._stream("PATCH", repository, location, body, headers)
        return self._next_location(repository.credentials, response, location)

    def finish(
        self,
        repository: Repository,
        location: str,
        digest: str,
        body: Stream,
        content_range: str | None = None,
    ) -> None:
        """Finishes an upload; the body has its last bytes, all of them, or none.

        Raises `DigestInvalid`, `UploadUnknown`, `TooLarge`.
        """
        separator = "&" if "?" in location else "?"
        headers = {"Content-Type": "application/octet-stream"} | _range(content_range)
        path = f"{location}{separator}digest={quote(digest, safe='')}"
        response = self._stream("PUT", repository, path, body, headers)
        if response.status_code not in COMPLETE:
            raise _upload_error(error_for(error_response_of(response)))
        settle(response)
        stored = response.headers.get("Docker-Content-Digest", digest)
        if stored != digest:
            raise Unexpected(f"SWR stored the upload as {stored}, expected {digest}: upload it again")

    def status(self, repository: Repository, location: str) -> tuple[str, int | None]:
        """The location of the next request, and how many bytes SWR has: None if SWR does not report it.

        It is not documented whether SWR supports this (`docs/facts/swr.md §6`); `0-0` can mean no byte or one byte.
        """
        response = self._registry.exchange("GET", repository, location, actions=PUSH)
        found = _RANGE.fullmatch(response.headers.get("Range", ""))
        if not 200 <= response.status_code < 300 or found is None or found[1] == "0":
            settle(response)
            return location, None
        return self._next_location(repository.credentials, response, location), int(found[1]) + 1

    def cancel(self, repository: Repository, location: str) -> None:
        """Cancels an upload. Raises `UploadUnknown`."""
        response = self._registry.exchange("DELETE", repository, location, actions=PUSH)
        if not 200 <= response.status_code < 300:
            raise _upload_error(error_for(error_response_of(response)))
        settle(response)

    def _stream(
        self,
        method: str,
        repository: Repository,
        path: str,
        body: Stream,
        headers: dict[str, str],
    ) -> requests.Response:
        policy = STREAMED_UPLOAD
        if isinstance(body, bytes):
            headers["Content-Length"] = str(len(body))
            policy = BUFFERED_UPLOAD
        return self._registry.exchange(
            method, repository, path, actions=PUSH, headers=headers, body=body, policy=policy
        )

    def _next_location(self, credentials: Credentials, response: requests.Response, previous: str | None) -> str:
        if not 200 <= response.status_code < 300:
            raise _upload_error(error_for(error_response_of(response)))
        settle(response)
        location = response.headers.get("Location")
        if location is None and previous is not None:
            return previous  # only the response to the start must have a Location
        target = resolve(str(response.url), location)
        if target.hostname != urlsplit(self._registry.origin(credentials)).hostname:
            raise Unexpected(
                f"SWR moved an upload to another host, {target.hostname}, which is not followed: report this"
            )
        return (target.path + (f"?{target.query}" if target.query else "")).replace(" ", "%20")


def _is_about(response: requests.Response, digest: str) -> bool:
    """Whether the digest of a response, or its Location if it has none, is that of the blob."""
    stored = response.headers.get("Docker-Content-Digest")
    path = unquote(urlsplit(response.headers.get("Location", "")).path)
    return stored == digest or (stored is None and path.endswith(f"/blobs/{digest}"))


def _range(content_range: str | None) -> dict[str, str]:
    return {"Content-Range": content_range} if content_range else {}


def _upload_error(error: AdapterError) -> AdapterError:
    if isinstance(error, NotFound) and not isinstance(error, OrganizationUnknown):
        return UploadUnknown("upload not found in SWR (finished or expired): start it again", **error.of_swr())
    return error
