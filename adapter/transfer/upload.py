"""One blob upload, passed on the way it came: a monolithic PUT as one PUT, a chunk as a PATCH, the last one as the PUT.

So the number of requests is that of a direct push. An upload is complete at SWR, or reported as failed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

from adapter.errors import RangeInvalid, TooLarge, Unexpected, UploadUnknown, UpstreamError
from adapter.swr.repository import Repository
from adapter.swr.uploads import SwrUploads
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.body_source import Source
from adapter.transfer.request_body import BUFFERS, UNHASHED, Body, peek
from adapter.transfer.upload_session import Span, UploadSession, content_range, size_of
from adapter.transfer.upload_sessions import Known, UploadSessions
from adapter.transfer.verified_body import SizedVerifiedBody, VerifiedBody, collected

SMALL: Final = 128 << 10
"""Bytes up to which a body is sent from memory, so that it can be repeated when SWR throttles: configs and small layers
come in numbers, and it is their requests that reach SWR's limit."""


@dataclass(frozen=True)
class Incoming:
    """A request body as announced: its bytes, Content-Length (None: chunked) and Content-Range (first, last)."""

    source: Source
    length: int | None
    range: Span | None = None

    @property
    def size(self) -> int | None:
        """Bytes that must come; None when nothing says. Raises `SizeInvalid` when two headers contradict each other."""
        return size_of(self.range, self.length)


class Uploads:
    """Uploads of any caller. What the next request needs is in the session's token; what this process saw of the
    session besides only adds to that. `spare` counts threads that may hash, for all uploads of the process."""

    def __init__(
        self, swr: SwrUploads, *, verify: bool, largest: int, locations: BlobLocations, spare: threading.Semaphore
    ) -> None:
        self._swr = swr
        self._locations = locations
        self._sessions = UploadSessions()
        self._spare = spare
        self._verify = verify
        self._largest = largest

    def start(self, repository: Repository) -> UploadSession:
        """Opens an upload at SWR."""
        return UploadSession(repository, self._swr.start(repository))

    def chunk(self, session: UploadSession, incoming: Incoming) -> UploadSession:
        """Appends a chunk; of one that comes again SWR gets what it has not.

        Raises `UploadBusy` while another request writes to the session, `RangeInvalid` for a gap or an overlap,
        `SizeInvalid`, `TooLarge`, `UploadUnknown`.
        """
        self._refuse_too_large(session, incoming)
        with self._sessions.writing(session) as known:
            self._check_range(session, incoming)
            session, skip = self._caught_up(session, known, incoming)
            with _Sent(incoming, None, self._room(session), skip, self._spare) as sent:
                location = session.location
                if not sent.nothing_new:
                    self._begin(session, sent)
                    rest = content_range(incoming.range, session.offset + skip)
                    location = self._swr.chunk(session.repository, location, sent.body, rest)
                advanced = session.advanced(location, sent.finished())
            self._sessions.accept(advanced)
            return advanced

    def whole(
        self,
        repository: Repository,
        digest: str,
        incoming: Incoming,
        transfer: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """A blob in one request: started and finished at SWR, when it can be taken at all. Its bytes move within a
        `transfer`, which takes a place only for whom SWR has let start."""
        session = UploadSession(repository, "")
        self._refuse_too_large(session, incoming)
        self._check_range(session, incoming)
        session = self.start(repository)
        with transfer():
            self.finish(session, digest, incoming)

    def finish(self, session: UploadSession, digest: str, incoming: Incoming) -> None:
        """Ends the upload; the body is all of it, its last chunk, or nothing.

        Raises `DigestInvalid` before SWR gets the last block when all of it came here and hashes to something else;
        over several requests, which several replicas may have seen, SWR's own check decides. Raises as `chunk` does.
        """
        self._refuse_too_large(session, incoming)
        with self._sessions.writing(session) as known:
            self._check_range(session, incoming)
            session, skip = self._caught_up(session, known, incoming)
            whole = session.offset + skip == 0
            checked = digest if whole and self._verify else None
            with _Sent(incoming, checked, self._room(session), skip, self._spare) as sent:
                rest = None if whole or sent.nothing_new else content_range(incoming.range, session.offset + skip)
                self._begin(session, sent)
                self._swr.finish(session.repository, session.location, digest, sent.body, rest)
                sent.finished()
            self._sessions.end(session)
        self._locations.saw(session.repository, digest)

    def standing(self, session: UploadSession, *, harbor: bool) -> UploadSession:
        """Where the upload goes on. Raises `UploadUnknown` while nothing is accepted: `0-0` would read as one byte.

        A client that was refused a first chunk out of order expects just that (OCI distribution spec, "Pushing a blob
        in chunks", and its conformance tests). Harbor would leave that byte out, and takes 404 for none
        (`docs/facts/harbor.md D.2`); its chunks come in order.

        After a chunk that may have broken SWR is asked. Raises `UploadUnknown` when SWR has lost the upload or cannot
        say where it stands: Harbor then starts the blob again, and otherwise would go on with a dead upload.
        """
        known = self._sessions.known(session)
        if known.ended:
            raise UploadUnknown("the upload has ended: start a new upload")
        if not session.offset and (harbor or known.refused != 0):
            raise UploadUnknown("nothing of this upload is accepted yet: send it from its first byte")
        if session.offset and not known.writing and (session.doubtful or known.begun is not None):
            self._refuse_lost(known.of(session))
        return replace(session, doubtful=True)

    def latest(self, session: UploadSession) -> UploadSession:
        """The session, or where it stands by now, as far as this process knows."""
        return self._sessions.known(session).of(session)

    def cancel(self, session: UploadSession) -> None:
        """Drops the upload at SWR."""
        self._swr.cancel(session.repository, session.location)
        self._sessions.end(session)

    def _begin(self, session: UploadSession, sent: _Sent) -> None:
        """What sends nothing leaves no doubt about what SWR has."""
        if sent.body:
            self._sessions.begin(session)

    def _refuse_lost(self, session: UploadSession) -> None:
        try:
            _, count = self._swr.status(session.repository, session.location)
        except UpstreamError:
            count = None
        if count is None or count < session.offset:
            raise UploadUnknown("SWR may have lost this upload when its last chunk broke off: start a new upload")

    def _caught_up(self, session: UploadSession, known: Known, incoming: Incoming) -> tuple[UploadSession, int]:
        """Where SWR stands when a chunk comes again, and how many bytes of the chunk it has already.

        Harbor repeats a chunk on the same location after any error (`docs/facts/harbor.md D.2`).
        """
        latest = known.of(session)
        stale, broken = latest.offset > session.offset, known.begun is not None
        if not (stale or broken or session.doubtful):
            return session, 0
        location, count = self._swr.status(session.repository, latest.location)
        if count is None or count < latest.offset:
            if broken and (stale or incoming.range is None):
                raise UploadUnknown("SWR does not tell how much it has of this upload: start a new upload")
            # What SWR accepted it has. A chunk with a range goes where it belongs, and SWR's own checks decide.
            location, count = latest.location, latest.offset
        skip = count - session.offset
        if skip and incoming.range is None:
            self._sessions.refuse(session)
            raise RangeInvalid(f"the upload stands at byte {count} already: send Content-Range with the chunk")
        if skip > (incoming.size or 0):
            raise UploadUnknown("SWR has more of this upload than was sent: start a new upload")
        return replace(session, location=location), skip

    def _room(self, session: UploadSession) -> int | None:
        """Bytes that the layer may still grow by."""
        return max(0, self._largest - session.offset) if self._largest else None

    def _check_range(self, session: UploadSession, incoming: Incoming) -> None:
        if incoming.range is not None and incoming.range[0] != session.offset:
            self._sessions.refuse(session)
            raise RangeInvalid(
                f"the chunk starts at byte {incoming.range[0]}, but the upload stands at {session.offset}"
            )

    def _refuse_too_large(self, session: UploadSession, incoming: Incoming) -> None:
        """By what is announced, whoever else writes to the upload."""
        total = session.offset + (incoming.size or 0)
        if total > sys.maxsize:
            raise TooLarge("no layer has so many bytes")
        if self._largest and total > self._largest:
            raise TooLarge(
                f"the layer has at least {total} bytes, SWR takes {self._largest} (10 GB by OTC's documentation): "
                "split it into smaller layers"
            )


class _Sent:
    """The body for SWR, without the first `skip` bytes, and how much came of it; a context manager."""

    def __init__(
        self, incoming: Incoming, digest: str | None, room: int | None, skip: int, spare: threading.Semaphore
    ) -> None:
        buffers = UNHASHED if digest is None else BUFFERS
        self._incoming = Body(incoming.source, incoming.size, room, buffers=buffers)
        self._digest = digest
        self._skip = skip
        self._spare = spare
        self.body: bytes | VerifiedBody = b""

    def __enter__(self) -> _Sent:
        try:
            self.body = self._begun()
        except BaseException:
            self._incoming.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self.body, VerifiedBody):
            self.body.close()
        self._incoming.close()

    def _begun(self) -> bytes | VerifiedBody:
        if self._incoming.length is None:
            some, all_blocks = peek(self._incoming)
            # An empty body goes out with a Content-Length of 0; its digest is checked all the same.
            return VerifiedBody(all_blocks(), self._digest, self._spare) if some else collected((), self._digest)
        blocks, left = _without_first(self._skip, self._incoming), self._incoming.length - self._skip
        if left > SMALL:
            return SizedVerifiedBody(blocks, self._digest, left, self._spare)
        return collected(blocks, self._digest)

    @property
    def nothing_new(self) -> bool:
        """Whether SWR has all of the body already."""
        return self._skip > 0 and not self.body

    def finished(self) -> int:
        """Bytes of the body. Raises `Unexpected` when SWR said yes before it had them all."""
        if isinstance(self.body, VerifiedBody) and not self.body.complete:
            raise Unexpected("SWR accepted an upload before all of it was sent: it is not trusted")
        return self._incoming.received


def _without_first(skip: int, body: Body) -> Iterator[memoryview]:
    for block in body:
        begin = min(skip, len(block))
        skip -= begin
        if begin < len(block):
            yield block[begin:]
