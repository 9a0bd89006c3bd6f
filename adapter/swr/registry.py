"""The registry of SWR, `/v2` on the registry host (`docs/facts/swr.md §6`): manifests and blobs; uploads are beside.

A token is asked for each repository and action. A 401 to a request that can be repeated costs one new token; what
then remains is told apart: an organization that is missing is `OrganizationUnknown`, anything else is denied. A 404 is
believed only in a registry's own form.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    BlobUnknown,
    CredentialsError,
    Denied,
    ManifestUnknown,
    NotFound,
    OrganizationExists,
    OrganizationUnknown,
    RangeInvalid,
    RepositoryUnknown,
    Unavailable,
    Unexpected,
)
from adapter.numerals import whole_number
from adapter.references import RepositoryName, algorithm_of, digest_of
from adapter.settings import RegionHosts
from adapter.swr.annotations import original_digest_of
from adapter.swr.errors import error_for, has_registry_headers, parse_error_response, registry_error_for
from adapter.swr.manifest_validation import Manifest as Manifest
from adapter.swr.manifest_validation import Source, announced_digest, manifest_from_head, validated
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
from adapter.swr.redirects import REDIRECTS, AddressRefused, Redirects
from adapter.swr.repository import Repository
from adapter.swr.retry import BLOB_DOWNLOAD, IDEMPOTENT, READ, READ_MANIFEST, RetryPolicy, policy_of
from adapter.swr.tokens import PULL, PUSH, Tokens
from adapter.swr.transport import Transport, error_response_of, is_passing, read_document, reread_body, settle

_WRITING: Final = frozenset({"POST", "PUT", "PATCH"})
_OF_REGISTRY: Final = ("Docker-Content-Digest", "Docker-Distribution-Api-Version", "forserver")
COMPLETE: Final = frozenset({200, 201, 204})
"""What says that something is stored; 202 says that it is not yet."""


@dataclass(frozen=True)
class Blob:
    """The head of a blob: its length in bytes, None when SWR does not tell."""

    length: int | None


class Registry:
    """One region's registry, whichever the identity names; shared by all threads."""

    def __init__(
        self,
        transport: Transport,
        regions: Mapping[str, RegionHosts],
        tokens: Tokens,
        organizations: Organizations,
    ) -> None:
        self._transport = transport
        self._regions = regions
        self._tokens = tokens
        self._organizations = organizations
        self._redirects = Redirects(transport, regions)

    def origin(self, credentials: Credentials) -> str:
        """`https://host` of the identity's registry: the only one that gets an Authorization header."""
        return self._regions[credentials.region].registry

    def exchange(
        self,
        method: str,
        repository: Repository,
        path: str,
        *,
        actions: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[Any] = b"",
        policy: RetryPolicy = IDEMPOTENT,
        source: RepositoryName | None = None,
    ) -> requests.Response:
        """One request with a token; `path` starts with `/` and may carry a query. `source` is to be read too.

        Raises `OrganizationUnknown`, `Denied`, `CredentialsRefused` or what the transport raises, and `Unexpected` for
        a 404 with a body that is not a registry's; any other status is the caller's to judge.
        """
        if not path.startswith("/"):
            raise ValueError("a path on the registry starts with a slash")
        repeatable, writing = isinstance(body, bytes), method in _WRITING
        policy = policy_of(policy)

        def send(method: str, token: str) -> requests.Response:
            return self._transport.send(
                method,
                self.origin(repository.credentials) + path,
                headers={**(headers or {}), "Authorization": f"Bearer {token}"},
                account=repository.credentials.regional_key,
                credential=repository.credentials.fingerprint,
                body=body,
                policy=policy,
            )

        for last in (False, True):
            token = self._token(repository, actions, source, policy, writing=writing)
            response = send(method, token)
            if response.status_code not in (401, 403):
                return self._genuine(repository.credentials, method, response)
            if response.status_code == 403 and is_passing(response):
                # The token is as good as before.
                raise error_for(error_response_of(response))
            self._tokens.forget(repository, source)
            if response.status_code == 401 and repeatable and not last:
                settle(response)
                continue
            break
        if response.status_code == 401 and not repeatable:
            # The upload was begun with this very token, so it has expired meanwhile: no permission is missing.
            raise Unavailable(
                "SWR's token expired before the upload: it must be sent again", **error_response_of(response).details()
            )
        error_response = error_response_of(response)
        if method == "HEAD" and (again := send("GET", token)).status_code in (401, 403):
            # The answer to HEAD has no words, and they tell a missing organization and a blocked account.
            error_response = error_response_of(again)
        elif method == "HEAD":
            again.close()
        raise self._denial(repository, error_for(error_response), writing=writing)

    @staticmethod
    def _genuine(credentials: Credentials, method: str, response: requests.Response) -> requests.Response:
        """The response, unless it is a 404 that says nothing of what was asked for. Its body can be read as ever.

        The answer to HEAD has no body: `has_registry_headers` tells what its headers say.
        """
        if response.status_code != 404 or method == "HEAD":
            return response
        error_response = parse_error_response(404, reread_body(response), response.headers)
        # To a deletion that it does not support SWR may answer 404 too: that is a registry's word, and the caller's.
        if not (error_response.is_of_registry if method == "DELETE" else error_response.is_absence):
            raise registry_error_for(error_response, credentials.region)
        return response

    def authorize(self, repository: Repository, actions: str = PUSH) -> None:
        """Raises what a request would be refused with, before anything is read from the caller, or takes a place; costs
        no request, since that needs the token too."""
        policy = READ if actions == PULL else IDEMPOTENT
        self._token(repository, actions, None, policy, writing=actions != PULL)

    def absence(self, repository: Repository, error: AdapterError) -> AdapterError:
        """What a 404 to a request that needs no repository yet can mean: the organization, else the repository."""
        if self._organizations.exists(repository.credentials, repository.organization):
            return _narrow(error, RepositoryUnknown, f"SWR knows no repository {repository}")
        return self._denial(repository, OrganizationUnknown(error.sentence), writing=True)

    def make_organization(self, credentials: Credentials, name: str) -> None:
        """With one POST to SWR, however many uploads find it missing at once. Raises as `Organizations.create` does."""
        with contextlib.suppress(OrganizationExists):
            self._organizations.create(credentials, name)

    def _token(
        self,
        repository: Repository,
        actions: str,
        source: RepositoryName | None,
        policy: RetryPolicy,
        *,
        writing: bool,
    ) -> str:
        """A token that a read needs is asked for as the read is; several callers may wait for one."""
        policy = IDEMPOTENT if policy.connect is None else replace(policy, cancel_on_disconnect=False)
        try:
            if source is not None:
                return self._tokens.bearer_of_two(repository, actions, source)
            return self._tokens.bearer(repository, actions, policy)
        except (Denied, OrganizationUnknown) as error:
            raise self._denial(repository, error, writing=writing) from error

    def _denial(self, repository: Repository, error: AdapterError, *, writing: bool) -> AdapterError:
        """SWR answers a missing organization with 401; only asking for it tells it from a missing permission.

        Before a push, what cannot be seen counts as missing, so that it is created; its creation tells whose it is.
        To any other question it may be a permission that was lost, and a 404 would be taken for a deletion: Harbor
        2.14.4 deletes its cached copy then. So there SWR itself has to say that the organization does not exist.
        """
        if not isinstance(error, Denied | CredentialsError | OrganizationUnknown) or isinstance(error, AccountBlocked):
            return error
        name = repository.organization
        unseen = isinstance(error, OrganizationUnknown) or not self._organizations.exists(repository.credentials, name)
        if unseen and not writing and not self._organizations.is_missing(repository.credentials, name, error):
            return Denied(
                f"the organization '{name}' does not exist in SWR, or belongs to another account: check the name, and "
                "have its owner grant the permission to read",
                **error.of_swr(),
            )
        if unseen:
            return OrganizationUnknown(
                f"the organization '{name}' does not exist in SWR, or is not yours: check the destination namespace of "
                "the replication rule",
                **error.of_swr(),
            )
        return Denied(
            f"SWR gives this account no access to {repository}: have an administrator grant it the permission",
            **error.of_swr(),
        )

    # Manifests

    def manifest(self, repository: Repository, reference: str, accept: str, *, head: bool) -> Manifest:
        """Raises `ManifestUnknown`. What SWR leaves out of a HEAD is taken from the document itself."""
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
                self._raise_if_excluded(repository, reference, accept)
            raise _narrow(
                registry_error_for(error_response, repository.credentials.region),
                ManifestUnknown,
                f"{repository} has no manifest {reference}",
            )
        data = read_document(response)
        # Parsed once for all that is asked of it; what is kept of it is small.
        content, digest = validated(response, data, repository.name, reference, repository.credentials.region)
        media_type, source = type_of(content), original_digest_of(content)
        return Manifest(
            declared_type(response.headers.get("Content-Type")) or media_type,
            digest,
            len(data),
            data,
            None if source is None else Source(source, media_type, tuple(digests_in(content))),
        )

    def _raise_if_excluded(self, repository: Repository, reference: str, accept: str) -> None:
        """Raises `ManifestUnknown` with the type that SWR has, when it has one that the Accept header leaves out: other
        registries answer that with 404, as if there were nothing."""
        path, headers = f"/v2/{repository}/manifests/{reference}", {"Accept": ACCEPT}
        response = self.exchange("GET", repository, path, actions=PULL, headers=headers, policy=READ_MANIFEST)
        if response.status_code != 200:
            settle(response)
            return
        found = declared_type(response.headers.get("Content-Type")) or type_in(read_document(response))
        response.close()
        if not accepts(accept, found):
            raise ManifestUnknown(
                f"{repository} has {reference} as {found}, which the Accept header of the request excludes: accept "
                "this type"
            )

    def put_manifest(
        self,
        repository: Repository,
        reference: str,
        data: bytes,
        media_type: str,
        digest: str,
    ) -> str:
        """The digest under which SWR keeps it; `digest` is that of the data, by the reference's algorithm.

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
        kept = announced_digest(response)
        if kept is not None and algorithm_of(kept) != algorithm_of(digest):
            kept = None if kept == digest_of(data, algorithm_of(kept)) else kept
        if kept not in (None, digest):
            raise Unexpected(
                f"SWR keeps the manifest {repository}:{reference} as {kept}, but it is {digest}: try again"
            )
        return digest

    # Blobs

    def blob(self, repository: Repository, digest: str) -> Blob:
        """Whether a blob is there. Raises `BlobUnknown`."""
        path = f"/v2/{repository}/blobs/{digest}"
        response = self.exchange("HEAD", repository, path, actions=PULL, policy=READ)
        settle(response)
        alien = response.status_code == 404 and not has_registry_headers(response.headers)
        if response.status_code in REDIRECTS or alien:
            # A pre-signed address is good for GET alone, and a 404 without a body may be anybody's: then the head is
            # read off a GET that is closed at once.
            response = self.open_blob(repository, digest)
            response.close()
        if response.status_code == 404:
            raise BlobUnknown(f"{repository} has no blob {digest}")
        if response.status_code != 200:
            raise error_for(error_response_of(response))
        if _is_page(response):
            # Whoever took it for the blob would not send the blob. What a GET brings is hashed by who gets it.
            response.close()
            raise Unexpected(
                f"a page came in place of the blob {digest} of {repository} (status 200, content type text/html): "
                f"check the `registry` of {repository.credentials.region} in SWR_ADAPTER_REGIONS, and any proxy "
                "between the adapter and SWR"
            )
        length = _blob_length(response, digest)
        if length is None and response.request.method == "HEAD":
            # SWR left it out. Who is told 0 would take the blob for empty; a GET has it in its head. That the blob is
            # there is known, whatever becomes of the GET.
            with contextlib.suppress(AdapterError):
                response = self.open_blob(repository, digest)
                response.close()
                length = _blob_length(response, digest)
        return Blob(length)

    def blob_place(self, repository: Repository, digest: str, byte_range: str | None = None) -> str | requests.Response:
        """The address in the object store that SWR sends to; where it sends the blob itself, that answer, unread.

        The address opens the blob to anyone for a while, so it is a secret. Raises as `open_blob` does.
        """
        response = self._blob_answer(repository, digest, byte_range)
        url = self._blob_url(repository, digest)
        if response.status_code in REDIRECTS:
            target = self._redirects.target(repository.credentials, url, response)
            if urlsplit(target).netloc != urlsplit(url).netloc:
                return target
            # The registry's own addresses are of no use to a client that has no token for it.
            response = self._redirects.followed(repository.credentials, url, response, byte_range)
        return self._content(response, repository, digest, byte_range)

    def open_blob(self, repository: Repository, digest: str, byte_range: str | None = None) -> requests.Response:
        """An unread response of 200 or 206; redirects are followed without credentials.

        Raises `BlobUnknown`, `RangeInvalid`.
        """
        url = self._blob_url(repository, digest)
        response = self._blob_answer(repository, digest, byte_range)
        try:
            response = self._redirects.followed(repository.credentials, url, response, byte_range)
        except AddressRefused:
            # It may have expired while we waited: the registry gives a new one.
            response = self._blob_answer(repository, digest, byte_range)
            response = self._redirects.followed(repository.credentials, url, response, byte_range)
        return self._content(response, repository, digest, byte_range)

    def _blob_url(self, repository: Repository, digest: str) -> str:
        return f"{self.origin(repository.credentials)}/v2/{repository}/blobs/{digest}"

    def _blob_answer(self, repository: Repository, digest: str, byte_range: str | None) -> requests.Response:
        headers = {"Range": byte_range} if byte_range else {}
        path = f"/v2/{repository}/blobs/{digest}"
        return self.exchange("GET", repository, path, actions=PULL, headers=headers, policy=BLOB_DOWNLOAD)

    @staticmethod
    def _content(
        response: requests.Response, repository: Repository, digest: str, byte_range: str | None
    ) -> requests.Response:
        if response.status_code in (200, 206):
            return response
        if response.status_code == 416:
            size = {name: response.headers[name] for name in ("Content-Range",) if name in response.headers}
            settle(response)
            raise RangeInvalid(f"the blob has no bytes in the range {byte_range}", headers=size)
        error_response = error_response_of(response)
        if error_response.status == 404 and not error_response.is_of_registry:
            # The registry's own were looked at before, so a redirect led to this one.
            store = urlsplit(str(response.url)).hostname
            raise Unexpected(
                f"SWR redirects to the blob {digest} of {repository}, but the object store {store} does not have it "
                f"({error_response.described()}): push the image again",
                **error_response.details(),
            )
        raise _narrow(error_for(error_response), BlobUnknown, f"{repository} has no blob {digest}")


def _is_page(response: requests.Response) -> bool:
    """Whether the answer to a HEAD is of HTML, and nothing in it is a registry's."""
    if response.request.method != "HEAD" or "html" not in response.headers.get("Content-Type", "").lower():
        return False
    return all(name not in response.headers for name in _OF_REGISTRY)


def _blob_length(response: requests.Response, digest: str) -> int | None:
    """In bytes, of the blob as it is. None when the answer does not tell, as with 0 for a blob that is not empty."""
    if response.status_code != 200 or "Content-Encoding" in response.headers:
        return None
    length = whole_number(response.headers.get("Content-Length"))
    return length or (0 if length == 0 and digest == digest_of(b"", algorithm_of(digest)) else None)


def _narrow(error: AdapterError, kind: type[NotFound], sentence: str) -> AdapterError:
    """A 404 of SWR, said in the terms of what was asked for."""
    if not isinstance(error, NotFound) or isinstance(error, OrganizationUnknown):
        return error
    return kind(sentence, **error.of_swr())
