"""Uploads of blobs, passed on request by request: a monolithic PUT as one PUT, a chunk as one PATCH.

So an upload takes as many requests to SWR as a direct push. It is completed at SWR, or reported as failed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

from adapter.errors import RangeInvalid, TooLarge, Unexpected, UploadUnknown, UpstreamError
from adapter.swr.blob_uploads import BlobUploads
from adapter.swr.repository import Repository
from adapter.transfer.active_sessions import ActiveSessions, SessionState
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.body_source import Source
from adapter.transfer.request_body import BUFFERS, BUFFERS_WITHOUT_HASH, Body, peek
from adapter.transfer.upload_session import Span, UploadSession, content_range, size_of
from adapter.transfer.verified_body import SizedVerifiedBody, VerifiedBody, read_verified

MAX_BUFFERED_BYTES: Final = 128 << 10
"""A body up to this size is sent from memory, so that it can be repeated when SWR throttles: image configurations and
small layers are many, and mostly their requests reach SWR's rate limit."""


@dataclass(frozen=True)
class Incoming:
    """The body of a request as announced: its bytes, Content-Length (None: chunked), Content-Range (first, last)."""

    source: Source
    length: int | None
    range: Span | None = None

    @property
    def size(self) -> int | None:
        """Bytes that must come; None if not announced. Raises `SizeInvalid` if the two headers differ."""
        return size_of(self.range, self.length)


class Uploads:
    """Uploads of all callers.

    The session's token has all that the next request needs; what this process remembers of the session is used in
    addition. `max_layer_bytes` is 0 for no limit. `hash_threads` counts the threads that may still be started to hash,
    for all uploads of the process.
    """

    def __init__(
        self,
        swr: BlobUploads,
        *,
        verify: bool,
        max_layer_bytes: int,
        locations: BlobLocations,
        hash_threads: threading.Semaphore,
    ) -> None:
        self._swr = swr
        self._locations = locations
        self._sessions = ActiveSessions()
        self._hash_threads = hash_threads
        self._verify = verify
        self._max_layer_bytes = max_layer_bytes

    def start(self, repository: Repository) -> UploadSession:
        """Opens an upload at SWR."""
        return UploadSession(repository, self._swr.start(repository))

    def chunk(self, session: UploadSession, incoming: Incoming) -> UploadSession:
        """Appends a chunk. Of a repeated chunk, only the bytes that SWR does not have are sent.

        Raises `UploadBusy` while another request writes to the session, `RangeInvalid` for a gap or an overlap,
        `SizeInvalid`, `TooLarge`, `UploadUnknown`.
        """
        self._reject_too_large(session, incoming)
        with self._sessions.writing(session) as state:
            self._check_range(session, incoming)
            session, skip = self._catch_up(session, state, incoming)
            with _OutgoingBody(incoming, None, self._remaining_bytes(session), skip, self._hash_threads) as outgoing:
                location = session.location
                if not outgoing.nothing_new:
                    self._note_sending(session, outgoing)
                    rest = content_range(incoming.range, session.offset + skip)
                    location = self._swr.chunk(session.repository, location, outgoing.body, rest)
                advanced = session.advanced(location, outgoing.finished())
            self._sessions.accepted(advanced)
            return advanced

    def whole(
        self,
        repository: Repository,
        digest: str,
        incoming: Incoming,
        transfer: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Uploads a blob in one request. `transfer` occupies a slot, once SWR has opened the upload."""
        session = UploadSession(repository, "")
        self._reject_too_large(session, incoming)
        self._check_range(session, incoming)
        session = self.start(repository)
        with transfer():
            self.finish(session, digest, incoming)

    def finish(self, session: UploadSession, digest: str, incoming: Incoming) -> None:
        """Finishes the upload; the body is the whole blob, its last chunk, or empty.

        Raises `DigestInvalid` before SWR is sent the last block, if the whole blob came in this request and does not
        match the digest. If several requests carried it, which several replicas may have served, SWR's own check
        decides. Raises the errors of `chunk`.
        """
        self._reject_too_large(session, incoming)
        with self._sessions.writing(session) as state:
            self._check_range(session, incoming)
            session, skip = self._catch_up(session, state, incoming)
            whole = session.offset + skip == 0
            expected = digest if whole and self._verify else None
            with _OutgoingBody(
                incoming, expected, self._remaining_bytes(session), skip, self._hash_threads
            ) as outgoing:
                rest = None if whole or outgoing.nothing_new else content_range(incoming.range, session.offset + skip)
                self._note_sending(session, outgoing)
                self._swr.finish(session.repository, session.location, digest, outgoing.body, rest)
                outgoing.finished()
            self._sessions.ended(session)
        self._locations.record(session.repository, digest)

    def status(self, session: UploadSession, *, harbor: bool) -> UploadSession:
        """The session at which the upload continues.

        Raises `UploadUnknown` while no byte is accepted, because `0-0` would mean one byte. The exception is a client
        whose first chunk was rejected as out of order, which expects `0-0` (OCI distribution spec, "Pushing a blob in
        chunks", and its conformance tests). Harbor would omit the first byte then, and starts at the first byte upon
        404 (`docs/facts/harbor.md D.2`); its chunks come in order.

        If the last chunk may have failed, the status is requested from SWR. Raises `UploadUnknown` if SWR has lost the
        upload or does not report its offset: Harbor then starts the blob again instead of continuing a lost upload.
        """
        state = self._sessions.state(session)
        if state.ended:
            raise UploadUnknown("the upload has ended: start a new upload")
        if not session.offset and (harbor or state.rejected_offset != 0):
            raise UploadUnknown("no bytes of this upload are accepted yet: send it from its first byte")
        if session.offset and not state.writing and (session.doubtful or state.sent_offset is not None):
            self._check_not_lost(state.newest(session))
        return replace(session, doubtful=True)

    def latest(self, session: UploadSession) -> UploadSession:
        """The session after the last chunk that this process has seen accepted."""
        return self._sessions.state(session).newest(session)

    def cancel(self, session: UploadSession) -> None:
        """Cancels the upload at SWR."""
        self._swr.cancel(session.repository, session.location)
        self._sessions.ended(session)

    def _note_sending(self, session: UploadSession, outgoing: _OutgoingBody) -> None:
        """An empty body leaves no doubt about how many bytes SWR has."""
        if outgoing.body:
            self._sessions.sending(session)

    def _check_not_lost(self, session: UploadSession) -> None:
        try:
            _, count = self._swr.status(session.repository, session.location)
        except UpstreamError:
            count = None
        if count is None or count < session.offset:
            raise UploadUnknown("SWR may have lost this upload when its last chunk failed: start a new upload")

    def _catch_up(self, session: UploadSession, state: SessionState, incoming: Incoming) -> tuple[UploadSession, int]:
        """The session with SWR's current location, and how many bytes of a repeated chunk SWR already has.

        Harbor repeats a chunk at the same location after any error (`docs/facts/harbor.md D.2`).
        """
        latest = state.newest(session)
        stale, failed = latest.offset > session.offset, state.sent_offset is not None
        if not (stale or failed or session.doubtful):
            return session, 0
        location, count = self._swr.status(session.repository, latest.location)
        if count is None or count < latest.offset:
            if failed and (stale or incoming.range is None):
                raise UploadUnknown("SWR does not return how many bytes of this upload it has: start a new upload")
            # SWR has what it accepted. A chunk with a range goes where it belongs, and SWR's own checks decide.
            location, count = latest.location, latest.offset
        skip = count - session.offset
        if skip and incoming.range is None:
            self._sessions.rejected(session)
            raise RangeInvalid(f"the upload is at byte {count} already: send the chunk with Content-Range")
        if skip > (incoming.size or 0):
            raise UploadUnknown("SWR has more bytes of this upload than were sent: start a new upload")
        return replace(session, location=location), skip

    def _remaining_bytes(self, session: UploadSession) -> int | None:
        """Bytes that the layer may still have; None for no limit."""
        return max(0, self._max_layer_bytes - session.offset) if self._max_layer_bytes else None

    def _check_range(self, session: UploadSession, incoming: Incoming) -> None:
        if incoming.range is not None and incoming.range[0] != session.offset:
            self._sessions.rejected(session)
            raise RangeInvalid(
                f"the chunk starts at byte {incoming.range[0]}, but the upload is at byte {session.offset}: send the "
                "chunks in order"
            )

    def _reject_too_large(self, session: UploadSession, incoming: Incoming) -> None:
        """According to the announced size, even while another request writes to the upload."""
        total = session.offset + (incoming.size or 0)
        if total > sys.maxsize:
            raise TooLarge(f"invalid size of a layer, {total} bytes: check Content-Length and Content-Range")
        if self._max_layer_bytes and total > self._max_layer_bytes:
            raise TooLarge(
                f"the layer is too large, at least {total} bytes (limit {self._max_layer_bytes}, "
                "SWR_ADAPTER_MAX_LAYER_BYTES; SWR accepts 10 GB according to OTC's documentation): split it into "
                "smaller layers"
            )


class _OutgoingBody:
    """The body for SWR, without its first `skip` bytes, and how much of it came; a context manager."""

    def __init__(
        self,
        incoming: Incoming,
        digest: str | None,
        max_bytes: int | None,
        skip: int,
        hash_threads: threading.Semaphore,
    ) -> None:
        buffers = BUFFERS_WITHOUT_HASH if digest is None else BUFFERS
        self._incoming = Body(incoming.source, incoming.size, max_bytes, buffers=buffers)
        self._digest = digest
        self._skip = skip
        self._hash_threads = hash_threads
        self.body: bytes | VerifiedBody = b""

    def __enter__(self) -> _OutgoingBody:
        try:
            self.body = self._start()
        except BaseException:
            self._incoming.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self.body, VerifiedBody):
            self.body.close()
        self._incoming.close()

    def _start(self) -> bytes | VerifiedBody:
        if self._incoming.length is None:
            has_bytes, all_blocks = peek(self._incoming)
            if has_bytes:
                return VerifiedBody(all_blocks(), self._digest, self._hash_threads)
            # An empty body is sent with a Content-Length of 0; its digest is verified too.
            return read_verified((), self._digest)
        blocks, left = _without_first(self._skip, self._incoming), self._incoming.length - self._skip
        if left > MAX_BUFFERED_BYTES:
            return SizedVerifiedBody(blocks, self._digest, left, self._hash_threads)
        return read_verified(blocks, self._digest)

    @property
    def nothing_new(self) -> bool:
        """Whether SWR already has the whole body."""
        return self._skip > 0 and not self.body

    def finished(self) -> int:
        """Bytes of the body. Raises `Unexpected` if SWR returned success before it was sent all of them."""
        if isinstance(self.body, VerifiedBody) and not self.body.complete:
            raise Unexpected("SWR accepted an upload before all of it was sent: push again, or report this")
        return self._incoming.received


def _without_first(skip: int, body: Body) -> Iterator[memoryview]:
    for block in body:
        begin = min(skip, len(block))
        skip -= begin
        if begin < len(block):
            yield block[begin:]
