"""Mounts of blobs that SWR has in another repository: by SWR, or by a copy that the adapter makes.

Harbor requests a source of each blob from the adapter. If there is one, Harbor requests a mount from it and treats
*any* 2xx as success (`docs/facts/harbor.md D.4`). A client of the OCI distribution spec may request a mount unasked,
and upon 202 uploads the blob. So 202 is the answer only to a client that is not Harbor and was not offered this source.
Harbor gets 201 if the blob is mounted or copied, else an error, after which Harbor requests a source again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import requests

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    BlobUnknown,
    Busy,
    Denied,
    DigestInvalid,
    InvalidRequest,
    NotFound,
    SizeInvalid,
    Unexpected,
)
from adapter.numerals import whole_number
from adapter.references import RepositoryName
from adapter.state import State
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.retry import for_upload
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.upload import Incoming, Uploads
from adapter.transfer.upload_session import UploadSession

log = logging.getLogger(__name__)

AUTO: Final = "auto"
NEVER: Final = "never"

Transfer = Callable[[], contextlib.AbstractContextManager[object]]
"""Returns a context manager that occupies a slot for a transfer, or raises `Busy`."""

_OFFER_TTL_SECONDS: Final = 3600.0
"""Harbor requests the mount immediately after it was offered the source."""
_UNSUPPORTED_TTL_SECONDS: Final = 86_400.0
"""Time after which SWR is tried again."""


@dataclass(frozen=True)
class _MountRequest:
    """`must_complete`: the client treats any 2xx as a completed mount."""

    target: Repository
    digest: str
    source: Repository
    must_complete: bool
    transfer: Transfer


class Mounts:
    """`mode`: `auto` (as long as SWR supports mounts), `copy` (the adapter copies what SWR does not mount) or `never`.

    `hash_threads` is that of `Uploads`.
    """

    def __init__(self, swr: SwrClient, locations: BlobLocations, mode: str, hash_threads: threading.Semaphore) -> None:
        self._swr = swr
        self._state: State = swr.state
        self._locations = locations
        self._mode = mode
        # A copy is always verified. It has no size limit, because SWR has accepted the blob before.
        self._uploads = Uploads(
            swr.uploads, verify=True, max_layer_bytes=0, locations=locations, hash_threads=hash_threads
        )

    def offer(self, credentials: Credentials, digest: str) -> RepositoryName | None:
        """The repository from which the blob can be mounted, None if it must be uploaded. No request to SWR."""
        if self._mode == NEVER or (self._mode == AUTO and self._is_unsupported(credentials)):
            return None
        found = self._locations.find(credentials, digest)
        if found is not None:
            self._state.put(_offer_key(credentials, digest), str(found).encode(), _OFFER_TTL_SECONDS)
        return found

    @for_upload()
    def mount(
        self,
        target: Repository,
        digest: str,
        source: RepositoryName | None,
        *,
        harbor: bool,
        transfer: Transfer = contextlib.nullcontext,
    ) -> UploadSession | None:
        """None if the blob is in `target` now; else an upload that was opened there for the client, never for Harbor.

        `source` is None if the client leaves the choice to the registry. A copy runs within `transfer`. Raises
        `BlobUnknown` if the source does not have the blob, `Denied`, `Unexpected`, or the error of SWR's response;
        after any of these the source is not offered again. Raises `Busy`.
        """
        must_complete = harbor or self._was_offered(target.credentials, digest, source)
        if self._mode == NEVER:
            if must_complete:
                raise InvalidRequest("mounts are disabled (SWR_ADAPTER_MOUNT=never): upload the layer")
            return self._uploads.start(target)
        source = source or self._locations.find(target.credentials, digest)
        if source is None:
            if must_complete:
                raise BlobUnknown(f"blob {digest} not found in any known repository: upload the layer")
            return self._uploads.start(target)
        seen_in = Repository(target.credentials, source)
        try:
            session = self._mount(_MountRequest(target, digest, seen_in, must_complete, transfer))
        except Busy:
            raise
        except AdapterError:
            self._locations.discard(seen_in, digest)
            raise
        if session is None:
            self._locations.record(target, digest)
        return session

    def _was_offered(self, credentials: Credentials, digest: str, source: RepositoryName | None) -> bool:
        """Whether `offer` returned this source: a client that sends another source does not use offers."""
        offered = self._state.get(_offer_key(credentials, digest))
        return source is not None and offered == str(source).encode()

    def _mount(self, wanted: _MountRequest) -> UploadSession | None:
        """By SWR if it supports mounts; else an upload for a client that accepts one, else a copy."""
        session = None
        if tried := not self._is_unsupported(wanted.target.credentials):
            mounting = self._swr.uploads.mount(wanted.target, wanted.digest, wanted.source.name)
            if mounting.done:
                return None
            if mounting.location is not None:
                session = UploadSession(wanted.target, mounting.location)
        if not wanted.must_complete and self._mode == AUTO:
            return session or self._uploads.start(wanted.target)
        try:
            content = self._open(wanted)
        except AdapterError as error:
            absent = isinstance(error, BlobUnknown | Denied) and not isinstance(error, AccountBlocked)
            if absent and not wanted.must_complete:
                return session or self._uploads.start(wanted.target)
            self._cancel(session)
            raise
        with contextlib.closing(content):
            self._copy(wanted, session or self._uploads.start(wanted.target), content)
        if tried:
            credentials = wanted.target.credentials
            log.info("SWR does not support mounts for %s: copied a layer instead", credentials.shown)
            self._state.put(_unsupported_key(credentials), b"1", _UNSUPPORTED_TTL_SECONDS)
        return None

    def _open(self, wanted: _MountRequest) -> requests.Response:
        try:
            return self._swr.registry.open_blob(wanted.source, wanted.digest)
        except NotFound as error:
            raise BlobUnknown(
                f"{wanted.source} has no blob {wanted.digest} that these credentials can read: upload the layer",
                **error.of_swr(),
            ) from error

    def _copy(self, wanted: _MountRequest, session: UploadSession, content: requests.Response) -> None:
        incoming = Incoming(_ResponseSource(content), whole_number(content.headers.get("Content-Length")))
        try:
            with wanted.transfer():
                self._uploads.finish(session, wanted.digest, incoming)
        except Busy:
            self._cancel(session)
            raise
        except (DigestInvalid, SizeInvalid) as error:
            self._cancel(session)
            raise Unexpected(
                f"the blob {wanted.digest} cannot be copied from {wanted.source}: {error.sentence}", **error.of_swr()
            ) from error

    def _cancel(self, session: UploadSession | None) -> None:
        """Cancels an upload that nobody continues. If that fails, the upload expires at SWR."""
        if session is not None:
            with contextlib.suppress(AdapterError):
                self._uploads.cancel(session)

    def _is_unsupported(self, credentials: Credentials) -> bool:
        return self._state.get(_unsupported_key(credentials)) is not None


class _ResponseSource:
    """A `Source`: the content of a response of SWR."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response

    def fill(self, view: memoryview, deadline: float | None = None) -> int:
        """The bytes of one read. The deadline is checked between reads."""
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError
        block = self._response.raw.read1(len(view), decode_content=False)
        view[: len(block)] = block
        return len(block)

    def release(self) -> None:
        """Does nothing: the caller closes the response."""


def _offer_key(credentials: Credentials, digest: str) -> str:
    return f"offer:{credentials.fingerprint}:{digest}"


def _unsupported_key(credentials: Credentials) -> str:
    return f"unmountable:{credentials.fingerprint}"
