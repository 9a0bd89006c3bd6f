"""Blobs that SWR has already, in another repository: mounted there, or copied by the adapter, so that they come once.

Harbor asks where a blob is, and when it is told, it takes *any* 2xx to its mount for "the blob is there"
(`docs/facts/harbor.md D.4`). A client of the OCI distribution spec may ask for a mount uninvited and takes 202 for an
upload that it is to fill. So 202 is the answer only to a client that is not Harbor, and that was not invited to this
mount: Harbor's gets 201 when the blob really is there, and an error otherwise, upon which Harbor asks again.
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
"""Makes what a transfer takes place in: it has a place, or raises `Busy`."""

_INVITED: Final = 3600.0
"""Seconds for which a client may come back to an offer; Harbor does at once."""
_UNABLE: Final = 86_400.0
"""Seconds after which SWR is asked again whether it mounts."""


@dataclass(frozen=True)
class _Wanted:
    """One mount; `bound` to an answer that Harbor cannot misread."""

    target: Repository
    digest: str
    source: Repository
    bound: bool
    transfer: Transfer


class Mounts:
    """`mode` is `auto` (as long as SWR mounts), `copy` (the adapter copies where SWR does not) or `never`; `spare` is
    as in `Uploads`."""

    def __init__(self, swr: SwrClient, locations: BlobLocations, mode: str, spare: threading.Semaphore) -> None:
        self._swr = swr
        self._state: State = swr.state
        self._locations = locations
        self._mode = mode
        # What is copied is checked in any case, and SWR took it before, however large it is.
        self._uploads = Uploads(swr.uploads, verify=True, largest=0, locations=locations, spare=spare)

    def offer(self, credentials: Credentials, digest: str) -> RepositoryName | None:
        """The repository that a mount of the blob may name, None when it is better sent. SWR is not asked."""
        if self._mode == NEVER or (self._mode == AUTO and self._unable(credentials)):
            return None
        found = self._locations.of(credentials, digest)
        if found is not None:
            self._state.put(_invitation(credentials, digest), str(found).encode(), _INVITED)
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
        """None when the blob is in `target` now; else an upload that was opened there for it, never for Harbor.

        `source` is None when the client leaves it to the registry; bytes move within a `transfer`. Raises `BlobUnknown`
        for a blob that is not (any more) in the source, `Denied`, `Unexpected`, or what SWR answers: whatever fails so
        is not offered again. Raises `Busy`.
        """
        bound = harbor or self._is_invited(target.credentials, digest, source)
        if self._mode == NEVER:
            if bound:
                raise InvalidRequest("mounts are switched off (SWR_ADAPTER_MOUNT): the layer is sent instead")
            return self._uploads.start(target)
        source = source or self._locations.of(target.credentials, digest)
        if source is None:
            if bound:
                raise BlobUnknown(f"no repository is known that has the blob {digest}")
            return self._uploads.start(target)
        seen_in = Repository(target.credentials, source)
        try:
            session = self._mounted(_Wanted(target, digest, seen_in, bound, transfer))
        except Busy:
            raise
        except AdapterError:
            self._locations.gone(seen_in, digest)
            raise
        if session is None:
            self._locations.saw(target, digest)
        return session

    def _is_invited(self, credentials: Credentials, digest: str, source: RepositoryName | None) -> bool:
        """Whether the mount is the one that was offered: a client that names another source did not ask for offers."""
        offered = self._state.get(_invitation(credentials, digest))
        return source is not None and offered == str(source).encode()

    def _mounted(self, wanted: _Wanted) -> UploadSession | None:
        """By SWR, if it does; else an upload for a client that may have one, else by copying."""
        session = None
        if asked := not self._unable(wanted.target.credentials):
            mounting = self._swr.uploads.mount(wanted.target, wanted.digest, wanted.source.name)
            if mounting.done:
                return None
            if mounting.location is not None:
                session = UploadSession(wanted.target, mounting.location)
        if not wanted.bound and self._mode == AUTO:
            return session or self._uploads.start(wanted.target)
        try:
            content = self._opened(wanted)
        except AdapterError as error:
            absent = isinstance(error, BlobUnknown | Denied) and not isinstance(error, AccountBlocked)
            if absent and not wanted.bound:
                return session or self._uploads.start(wanted.target)
            self._drop(session)
            raise
        with contextlib.closing(content):
            self._copy(wanted, session or self._uploads.start(wanted.target), content)
        if asked:
            log.info("SWR does not mount for %s: a layer was copied instead", wanted.target.credentials.shown)
            self._state.put(_inability(wanted.target.credentials), b"1", _UNABLE)
        return None

    def _opened(self, wanted: _Wanted) -> requests.Response:
        try:
            return self._swr.registry.open_blob(wanted.source, wanted.digest)
        except NotFound as error:
            raise BlobUnknown(
                f"{wanted.source} has no blob {wanted.digest} that this account may read: the layer is sent instead",
                **error.of_swr(),
            ) from error

    def _copy(self, wanted: _Wanted, session: UploadSession, content: requests.Response) -> None:
        incoming = Incoming(_Fetched(content), whole_number(content.headers.get("Content-Length")))
        try:
            with wanted.transfer():
                self._uploads.finish(session, wanted.digest, incoming)
        except Busy:
            self._drop(session)
            raise
        except (DigestInvalid, SizeInvalid) as error:
            self._drop(session)
            raise Unexpected(
                f"the blob {wanted.digest} cannot be copied from {wanted.source}: {error.sentence}", **error.of_swr()
            ) from error

    def _drop(self, session: UploadSession | None) -> None:
        """An upload that nobody will go on with; SWR forgets it by itself some day."""
        if session is not None:
            with contextlib.suppress(AdapterError):
                self._uploads.cancel(session)

    def _unable(self, credentials: Credentials) -> bool:
        return self._state.get(_inability(credentials)) is not None


class _Fetched:
    """A `Source`: the content of SWR's answer."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response

    def fill(self, view: memoryview, deadline: float | None = None) -> int:
        """What one read gives: between two of them the time is looked at."""
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError
        block = self._response.raw.read1(len(view), decode_content=False)
        view[: len(block)] = block
        return len(block)

    def release(self) -> None:
        """Whoever asked for the answer closes it."""


def _invitation(credentials: Credentials, digest: str) -> str:
    return f"offer:{credentials.fingerprint}:{digest}"


def _inability(credentials: Credentials) -> str:
    return f"unmountable:{credentials.fingerprint}"
