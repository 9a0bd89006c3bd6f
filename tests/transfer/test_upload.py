from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Sized
from dataclasses import replace
from typing import Any

import pytest

from adapter.credentials import parse_credentials
from adapter.errors import (
    AdapterError,
    DigestInvalid,
    RangeInvalid,
    SizeInvalid,
    TooLarge,
    Unexpected,
    Unreachable,
    UploadBusy,
    UploadUnknown,
)
from adapter.references import RepositoryName, digest_of
from adapter.state import MemoryState
from adapter.swr.blob_uploads import BlobUploads
from adapter.swr.repository import Repository
from adapter.transfer import upload
from adapter.transfer.active_sessions import ActiveSessions
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.body_source import StreamSource
from adapter.transfer.upload import Incoming, Uploads
from adapter.transfer.upload_session import UploadSession
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY

CREDENTIALS = parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])
REPOSITORY = Repository(CREDENTIALS, RepositoryName("org", "repo"))
OTHER = parse_credentials(f"eu-de@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, ["eu-de"])
START = UploadSession(REPOSITORY, "/up", 0, "an-id")
SESSION = replace(START, offset=4)

DATA = b"0123456789"
DIGEST, EMPTY = digest_of(DATA), digest_of(b"")
SPAN = (4, 13)
"""Of DATA as a chunk at SESSION."""


@pytest.fixture(autouse=True, params=[0, upload.MAX_BUFFERED_BYTES], ids=["streamed", "buffered"])
def _buffered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A streamed body and one from memory behave alike."""
    monkeypatch.setattr(upload, "MAX_BUFFERED_BYTES", request.param)


class Recorder(BlobUploads):
    """Records what SWR would be sent. `take`: blocks of a body that it reads; `has`: bytes that a status returns."""

    fails = False

    def __init__(self, take: int | None = None, has: int | None = None) -> None:
        self.calls: list[tuple[str, str | None, int | None]] = []
        self.bytes = b""
        self._take = take
        self._has = has

    def status(self, repository: Repository, location: str) -> tuple[str, int | None]:
        return "/there", self._has

    def start(self, repository: Repository, *, create: bool = True) -> str:
        return "/up"

    def chunk(self, repository: Repository, location: str, body: Any, content_range: str | None) -> str:
        self._receive("PATCH", body, content_range)
        return location + "+"

    def finish(
        self, repository: Repository, location: str, digest: str, body: Any, content_range: str | None = None
    ) -> None:
        self._receive("PUT", body, content_range)

    def _receive(self, method: str, body: bytes | Iterable[bytes], content_range: str | None) -> None:
        self.calls.append((method, content_range, len(body) if isinstance(body, Sized) else None))
        if self.fails:
            raise Unreachable("the connection failed")
        for number, block in enumerate([body] if isinstance(body, bytes) else body):
            if number == self._take:
                return
            self.bytes += block


def uploads_of(swr: BlobUploads, **options: Any) -> Uploads:
    locations, threads = BlobLocations(MemoryState()), threading.Semaphore(1)
    usual = {"verify": True, "max_layer_bytes": 0, "locations": locations, "hash_threads": threads}
    return Uploads(swr, **{**usual, **options})


def incoming(data: bytes, *, length: int | None = None, span: tuple[int, int] | None = None) -> Incoming:
    return Incoming(StreamSource(io.BytesIO(data)), length, span)


def fail_chunk(swr: Recorder, uploads: Uploads, session: UploadSession, body: Incoming) -> None:
    """A chunk that SWR may have received in part."""
    swr.fails = True
    with pytest.raises(Unreachable):
        uploads.chunk(session, body)
    swr.fails = False
    swr.calls.clear()


def test_monolithic() -> None:
    uploads = uploads_of(swr := Recorder())
    uploads.finish(uploads.start(REPOSITORY), DIGEST, incoming(DATA, length=10))
    assert (swr.calls, swr.bytes) == ([("PUT", None, 10)], DATA)


@pytest.mark.parametrize("length", [0, None])
def test_empty_blob(length: int | None) -> None:
    uploads = uploads_of(swr := Recorder())
    uploads.finish(START, EMPTY, incoming(b"", length=length))
    with pytest.raises(DigestInvalid):
        uploads.finish(replace(START, id="another"), DIGEST, incoming(b"", length=length))
    assert swr.calls == [("PUT", None, 0)]


def test_chunks_as_harbor_sends_them() -> None:
    uploads = uploads_of(swr := Recorder())
    session = uploads.chunk(START, incoming(DATA[:4], span=(0, 3)))
    assert (session.offset, session.location) == (4, "/up+")
    session = uploads.chunk(session, incoming(DATA[4:8], length=4, span=(4, 7)))
    uploads.finish(session, DIGEST, incoming(DATA[8:], span=(8, 9)))
    assert swr.calls == [("PATCH", "0-3", 4), ("PATCH", "4-7", 4), ("PUT", "8-9", 2)]
    assert swr.bytes == DATA


def test_one_patch_as_skopeo_sends_it() -> None:
    uploads = uploads_of(swr := Recorder())
    session = uploads.chunk(START, incoming(DATA))
    assert session.offset == 10
    uploads.finish(session, DIGEST, incoming(b"", length=0))
    assert swr.calls == [("PATCH", None, None), ("PUT", None, 0)]


def test_wrong_digest_is_rejected_unless_verification_is_off() -> None:
    uploads = uploads_of(swr := Recorder())
    with pytest.raises(DigestInvalid):
        uploads.finish(START, digest_of(b"x"), incoming(DATA, length=10))
    assert swr.bytes == b""
    uploads_of(swr, verify=False).finish(START, digest_of(b"x"), incoming(DATA, length=10))
    assert swr.bytes == DATA


@pytest.mark.parametrize(
    ("data", "length", "span", "error", "message"),
    [
        (DATA[:5], 10, None, SizeInvalid, "after 5 of 10"),
        (DATA[:5], None, (4, 13), SizeInvalid, "after 5 of 10"),
        (DATA, None, (4, 8), SizeInvalid, "longer than the 5"),
        (DATA, 10, (4, 8), SizeInvalid, "differ"),
        (DATA, None, (5, 14), RangeInvalid, "starts at byte 5, but the upload is at byte 4"),
    ],
)
def test_chunk_that_does_not_fit_is_rejected(
    data: bytes, length: int | None, span: tuple[int, int] | None, error: type[AdapterError], message: str
) -> None:
    swr = Recorder()
    with pytest.raises(error, match=message):
        uploads_of(swr).chunk(SESSION, incoming(data, length=length, span=span))
    assert swr.bytes == b""


class TestRepeatedChunk:
    """SWR has some of it, all of it, none of it, or does not tell."""

    @pytest.fixture(params=[True, False], ids=["after a status", "at the same location"])
    def doubtful(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    def started(self, swr: Recorder, doubtful: bool) -> tuple[Uploads, UploadSession]:
        """An upload whose last chunk may have failed."""
        uploads = uploads_of(swr)
        if not doubtful:
            fail_chunk(swr, uploads, SESSION, incoming(DATA, span=SPAN))
        return uploads, replace(SESSION, doubtful=doubtful)

    @pytest.mark.parametrize(
        ("has", "span", "sent"),
        [(None, "4-13", DATA), (4, "4-13", DATA), (3, "4-13", DATA), (5, "5-13", DATA[1:]), (13, "13-13", DATA[9:])],
    )
    def test_swr_is_sent_the_rest(self, has: int | None, span: str, sent: bytes, doubtful: bool) -> None:
        uploads, session = self.started(swr := Recorder(has=has), doubtful)
        advanced = uploads.chunk(session, incoming(DATA, span=SPAN))
        assert (swr.calls[0][:2], swr.bytes) == (("PATCH", span), sent)
        assert (advanced.offset, advanced.doubtful) == (14, False)
        assert advanced.location == ("/up+" if has is None or has < 4 else "/there+")

    def test_swr_has_all(self, doubtful: bool) -> None:
        uploads, session = self.started(swr := Recorder(has=14), doubtful)
        with pytest.raises(SizeInvalid):
            uploads.chunk(session, incoming(DATA[:9], span=SPAN))
        advanced = uploads.chunk(session, incoming(DATA, span=SPAN))
        assert (advanced.offset, advanced.location, swr.calls) == (14, "/there", [])
        uploads.finish(session, EMPTY, incoming(DATA, span=SPAN))
        assert swr.calls == [("PUT", None, 0)]

    def test_last_chunk(self, doubtful: bool) -> None:
        uploads, session = self.started(swr := Recorder(has=9), doubtful)
        uploads.finish(session, EMPTY, incoming(DATA, span=SPAN))
        assert (swr.calls[0][:2], swr.bytes) == (("PUT", "9-13"), DATA[5:])

    @pytest.mark.parametrize(
        ("has", "span", "error", "message"),
        [
            (15, SPAN, UploadUnknown, "start a new upload"),
            # It may be a repeated chunk, or the next one: SWR must not receive some bytes twice.
            (9, None, RangeInvalid, "is at byte 9 already"),
        ],
    )
    def test_chunk_that_may_be_another_one_is_rejected(
        self, has: int, span: tuple[int, int] | None, error: type[AdapterError], message: str, doubtful: bool
    ) -> None:
        uploads, session = self.started(swr := Recorder(has=has), doubtful)
        with pytest.raises(error, match=message):
            uploads.chunk(session, incoming(DATA, length=10, span=span))
        assert swr.bytes == b""

    def test_without_a_range_and_a_status(self, doubtful: bool) -> None:
        uploads, session = self.started(swr := Recorder(), doubtful)
        if doubtful:
            uploads.chunk(session, incoming(DATA, length=10))
            assert swr.bytes == DATA
        else:
            with pytest.raises(UploadUnknown, match="start a new upload"):
                uploads.chunk(session, incoming(DATA, length=10))
            assert swr.bytes == b""

    def test_finish_without_a_body_can_be_repeated(self) -> None:
        uploads = uploads_of(swr := Recorder())
        swr.fails = True
        with pytest.raises(Unreachable):
            uploads.finish(SESSION, DIGEST, incoming(b"", length=0))
        swr.fails = False
        uploads.finish(SESSION, DIGEST, incoming(b"", length=0))
        assert swr.calls == [("PUT", None, 0)] * 2


class TestStaleLocation:
    """SWR accepted more than the location states: the response was lost, or another client sent the next chunk."""

    def started(self, swr: Recorder) -> Uploads:
        uploads = uploads_of(swr)
        uploads.chunk(START, incoming(DATA[:4], span=(0, 3)))
        return uploads

    def test_without_a_range_nothing_is_appended(self) -> None:
        uploads = self.started(swr := Recorder())
        with pytest.raises(RangeInvalid, match="is at byte 4 already"):
            uploads.chunk(START, incoming(DATA, length=10))
        with pytest.raises(RangeInvalid, match="is at byte 4 already"):
            uploads.finish(START, DIGEST, incoming(DATA, length=10))
        assert swr.bytes == DATA[:4]
        assert uploads.latest(START).location == "/up+"

    @pytest.mark.parametrize("has", [None, 4])
    def test_with_a_range_swr_is_sent_the_rest(self, has: int | None) -> None:
        uploads = self.started(swr := Recorder(has=has))
        advanced = uploads.chunk(START, incoming(DATA, span=(0, 9)))
        assert (swr.bytes, advanced.offset) == (DATA, 10)

    def test_after_a_failed_chunk_without_a_status(self) -> None:
        uploads = self.started(swr := Recorder())
        fail_chunk(swr, uploads, uploads.latest(START), incoming(DATA[4:], span=(4, 9)))
        with pytest.raises(UploadUnknown, match="start a new upload"):
            uploads.chunk(START, incoming(DATA, span=(0, 9)))


class TestStatus:
    def test_swr_is_not_asked_without_need(self) -> None:
        session = uploads_of(Recorder(has=0)).status(SESSION, harbor=True)
        assert session == replace(SESSION, doubtful=True)

    @pytest.mark.parametrize("doubtful", [True, False])
    @pytest.mark.parametrize(("has", "known"), [(None, False), (3, False), (4, True), (9, True)])
    def test_after_a_failed_chunk(self, has: int | None, known: bool, doubtful: bool) -> None:
        swr = Recorder(has=has)
        uploads, session = uploads_of(swr), replace(SESSION, doubtful=doubtful)
        if not doubtful:
            fail_chunk(swr, uploads, session, incoming(DATA, span=SPAN))
        if known:
            assert uploads.status(session, harbor=True).offset == 4
        else:
            with pytest.raises(UploadUnknown, match="start a new upload"):
                uploads.status(session, harbor=True)

    def test_ended_upload(self) -> None:
        uploads = uploads_of(swr := Recorder())
        uploads.finish(SESSION, DIGEST, incoming(DATA, length=10))
        for again in (
            lambda: uploads.status(SESSION, harbor=False),
            lambda: uploads.chunk(SESSION, incoming(DATA, span=(7, 16))),
            lambda: uploads.finish(SESSION, DIGEST, incoming(DATA, length=10)),
        ):
            with pytest.raises(UploadUnknown, match="has ended"):
                again()
        assert len(swr.calls) == 1


def test_session_has_one_writer() -> None:
    sessions = ActiveSessions()
    with sessions.writing(START):
        with pytest.raises(UploadBusy) as caught, sessions.writing(START.advanced("/other", 5)):
            pass
        assert caught.value.retry_after
        others = replace(START, repository=Repository(OTHER, REPOSITORY.name))
        with sessions.writing(others), sessions.writing(replace(START, id="another")):
            assert sessions.state(START).writing
    with sessions.writing(START):
        pass


def test_number_of_sessions_is_limited() -> None:
    sessions = ActiveSessions(max_sessions=2)
    first, second, third = (replace(START, id=f"{number}") for number in range(3))
    with sessions.writing(first):
        for each in (first, second, third):
            sessions.sending(each)
        assert [sessions.state(each).sent_offset for each in (first, second, third)] == [None, 0, 0]
        with pytest.raises(UploadBusy), sessions.writing(first):
            pass


@pytest.mark.parametrize("session", [START, SESSION])
def test_size_of_a_layer_is_limited(session: UploadSession) -> None:
    swr, size = Recorder(), 10 + session.offset
    uploads_of(swr, max_layer_bytes=size).chunk(session, incoming(DATA, length=10))
    with pytest.raises(TooLarge, match="split it"):
        uploads_of(swr, max_layer_bytes=size - 1).chunk(session, incoming(DATA, length=10))
    assert len(swr.calls) == 1


def test_success_before_the_last_byte_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MAX_BUFFERED_BYTES", 0)
    with pytest.raises(Unexpected, match="before all of it was sent"):
        uploads_of(Recorder(take=0)).finish(START, DIGEST, incoming(DATA, length=10))
