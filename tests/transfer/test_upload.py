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
from adapter.swr.repository import Repository
from adapter.swr.uploads import SwrUploads
from adapter.transfer import upload
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.body_source import Reading
from adapter.transfer.upload import Incoming, Uploads
from adapter.transfer.upload_session import UploadSession
from adapter.transfer.upload_sessions import UploadSessions
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY

IDENTITY = parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])
REPOSITORY = Repository(IDENTITY, RepositoryName("org", "repo"))
OTHER = parse_credentials(f"eu-de@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, ["eu-de"])

DATA = b"0123456789"
EMPTY = digest_of(b"")


@pytest.fixture(autouse=True, params=[0, upload.SMALL], ids=["streamed", "buffered"])
def _small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways behave alike: a body from memory, and one that is streamed."""
    monkeypatch.setattr(upload, "SMALL", request.param)


class Recorder(SwrUploads):
    """Takes what SWR would be sent; nothing real can stand here without a server, which tests/contract has."""

    breaks = False

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
        self,
        repository: Repository,
        location: str,
        digest: str,
        body: Any,
        content_range: str | None = None,
    ) -> None:
        self._receive("PUT", body, content_range)

    def _receive(self, method: str, body: bytes | Iterable[bytes], content_range: str | None) -> None:
        length = len(body) if isinstance(body, Sized) else None
        self.calls.append((method, content_range, length))
        if self.breaks:
            raise Unreachable("the connection broke")
        blocks = iter([body] if isinstance(body, bytes) else body)
        for number, block in enumerate(blocks):
            if number == self._take:
                return
            self.bytes += block


def uploads(swr: SwrUploads, **options: Any) -> Uploads:
    usual = {"verify": True, "largest": 0, "locations": BlobLocations(MemoryState()), "spare": threading.Semaphore(1)}
    return Uploads(swr, **{**usual, **options})


def incoming(data: bytes, *, length: int | None = None, span: tuple[int, int] | None = None) -> Incoming:
    return Incoming(Reading(io.BytesIO(data)), length, span)


def test_monolithic() -> None:
    swr = Recorder()
    session = uploads(swr).start(REPOSITORY)
    uploads(swr).finish(session, digest_of(DATA), incoming(DATA, length=10))
    assert swr.calls == [("PUT", None, 10)]
    assert swr.bytes == DATA


@pytest.mark.parametrize("length", [0, None])
def test_empty(length: int | None) -> None:
    swr = Recorder()
    uploads(swr).finish(UploadSession(REPOSITORY, "/up"), EMPTY, incoming(b"", length=length))
    assert swr.calls == [("PUT", None, 0)]
    with pytest.raises(DigestInvalid):
        uploads(swr).finish(UploadSession(REPOSITORY, "/up"), digest_of(DATA), incoming(b"", length=length))
    assert len(swr.calls) == 1


def test_by_chunk_as_harbor_does() -> None:
    swr = Recorder()
    door = uploads(swr)
    session = door.chunk(UploadSession(REPOSITORY, "/up"), incoming(DATA[:4], span=(0, 3)))
    assert (session.offset, session.location) == (4, "/up+")
    session = door.chunk(session, incoming(DATA[4:8], length=4, span=(4, 7)))
    door.finish(session, digest_of(DATA), incoming(DATA[8:], span=(8, 9)))
    assert swr.calls == [("PATCH", "0-3", 4), ("PATCH", "4-7", 4), ("PUT", "8-9", 2)]
    assert swr.bytes == DATA


def test_one_patch_as_skopeo_does() -> None:
    swr = Recorder()
    door = uploads(swr)
    session = door.chunk(UploadSession(REPOSITORY, "/up"), incoming(DATA))
    assert session.offset == 10
    door.finish(session, digest_of(DATA), incoming(b"", length=0))
    assert swr.calls == [("PATCH", None, None), ("PUT", None, 0)]


@pytest.mark.parametrize("verify", [True, False])
def test_a_wrong_digest(verify: bool) -> None:
    swr = Recorder()
    door = uploads(swr, verify=verify)
    if verify:
        with pytest.raises(DigestInvalid):
            door.finish(UploadSession(REPOSITORY, "/up"), digest_of(b"x"), incoming(DATA, length=10))
        assert swr.bytes == b""
    else:
        door.finish(UploadSession(REPOSITORY, "/up"), digest_of(b"x"), incoming(DATA, length=10))
        assert swr.bytes == DATA


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (incoming(DATA[:5], length=10), SizeInvalid),
        (incoming(DATA[:5], span=(0, 9)), SizeInvalid),
        (incoming(DATA, span=(0, 4)), SizeInvalid),
        (incoming(DATA, length=10, span=(0, 4)), SizeInvalid),
        (incoming(DATA, span=(1, 10)), RangeInvalid),
    ],
)
def test_what_does_not_fit_never_completes(body: Incoming, error: type[AdapterError]) -> None:
    swr = Recorder()
    with pytest.raises(error):
        uploads(swr).chunk(UploadSession(REPOSITORY, "/up"), body)
    assert swr.bytes == b""


def test_a_gap_tells_how_far_it_is() -> None:
    with pytest.raises(RangeInvalid, match="starts at byte 8, but the upload stands at 4"):
        uploads(Recorder()).chunk(UploadSession(REPOSITORY, "/up", 4), incoming(DATA, span=(8, 17)))


class TestAChunkThatComesAgain:
    """SWR has some of it, all of it, none of it, or does not tell."""

    SESSION = UploadSession(REPOSITORY, "/up", 4, "an-id")
    SPAN = (4, 13)

    @pytest.mark.parametrize("doubtful", [True, False], ids=["after its status was asked", "at the same location"])
    @pytest.mark.parametrize(
        ("has", "span", "sent"),
        [(None, "4-13", DATA), (4, "4-13", DATA), (3, "4-13", DATA), (5, "5-13", DATA[1:]), (13, "13-13", DATA[9:])],
    )
    def test_swr_gets_the_rest(self, has: int | None, span: str, sent: bytes, doubtful: bool) -> None:
        swr = Recorder(has=has)
        session = self.begun(swr, doubtful)
        advanced = self.uploads.chunk(session, incoming(DATA, span=self.SPAN))
        assert swr.calls[0][:2] == ("PATCH", span)
        assert swr.bytes == sent
        assert (advanced.offset, advanced.doubtful) == (14, False)
        assert advanced.location == ("/up+" if has is None or has < 4 else "/there+")

    @pytest.mark.parametrize("doubtful", [True, False])
    def test_swr_has_it_all(self, doubtful: bool) -> None:
        swr = Recorder(has=14)
        session = self.begun(swr, doubtful)
        advanced = self.uploads.chunk(session, incoming(DATA, span=self.SPAN))
        assert (advanced.offset, advanced.location, swr.calls) == (14, "/there", [])
        self.uploads.finish(session, EMPTY, incoming(DATA, span=self.SPAN))
        assert swr.calls == [("PUT", None, 0)]

    def test_what_swr_has_must_come_again_all_the_same(self) -> None:
        session = self.begun(Recorder(has=14), True)
        with pytest.raises(SizeInvalid):
            self.uploads.chunk(session, incoming(DATA[:9], span=self.SPAN))

    def test_the_last_one(self) -> None:
        swr = Recorder(has=9)
        self.uploads = uploads(swr)
        self.uploads.finish(self.begun(swr, True), EMPTY, incoming(DATA, span=self.SPAN))
        assert (swr.calls[0][:2], swr.bytes) == (("PUT", "9-13"), DATA[5:])

    def test_swr_has_more_than_was_sent(self) -> None:
        session = self.begun(Recorder(has=15), True)
        with pytest.raises(UploadUnknown, match="start a new upload"):
            self.uploads.chunk(session, incoming(DATA, span=self.SPAN))

    def test_without_a_range_nobody_knows_what_it_holds(self) -> None:
        """It may be the same bytes again, or those that come next: SWR must not get some of them twice."""
        swr = Recorder(has=9)
        session = self.begun(swr, True)
        with pytest.raises(RangeInvalid, match="stands at byte 9 already"):
            self.uploads.chunk(session, incoming(DATA, length=10))
        assert swr.bytes == b""

    def test_without_a_range_where_swr_does_not_tell(self) -> None:
        swr = Recorder()
        session = self.begun(swr, False)
        with pytest.raises(UploadUnknown, match="start a new upload"):
            self.uploads.chunk(session, incoming(DATA, length=10))
        assert swr.bytes == b""

    def test_a_finish_without_a_body_can_be_repeated(self) -> None:
        door = uploads(swr := Recorder())
        swr.breaks = True
        with pytest.raises(Unreachable):
            door.finish(self.SESSION, digest_of(DATA), incoming(b"", length=0))
        swr.breaks = False
        door.finish(self.SESSION, digest_of(DATA), incoming(b"", length=0))
        assert swr.calls == [("PUT", None, 0)] * 2

    def test_without_a_range_where_swr_does_not_tell_and_nothing_broke(self) -> None:
        swr = Recorder()
        session = self.begun(swr, True)
        self.uploads.chunk(session, incoming(DATA, length=10))
        assert swr.bytes == DATA

    def begun(self, swr: Recorder, doubtful: bool) -> UploadSession:
        """The session of an upload whose chunk was begun once, and what came of it is forgotten."""
        self.uploads = uploads(swr)
        if doubtful:
            return replace(self.SESSION, doubtful=True)
        swr.breaks = True
        with pytest.raises(Unreachable):
            self.uploads.chunk(self.SESSION, incoming(DATA, span=self.SPAN))
        swr.breaks = False
        swr.calls.clear()
        swr.bytes = b""
        return self.SESSION


class TestALocationThatIsStale:
    """SWR accepted more than the location says: its answer was lost, or another client went on."""

    def stale(self, swr: Recorder) -> tuple[Uploads, UploadSession]:
        door = uploads(swr)
        session = UploadSession(REPOSITORY, "/up", 0, "an-id")
        door.chunk(session, incoming(DATA[:4], span=(0, 3)))
        return door, session

    def test_without_a_range_it_appends_nothing(self) -> None:
        door, session = self.stale(swr := Recorder())
        with pytest.raises(RangeInvalid, match="stands at byte 4 already"):
            door.chunk(session, incoming(DATA, length=10))
        with pytest.raises(RangeInvalid, match="stands at byte 4 already"):
            door.finish(session, digest_of(DATA), incoming(DATA, length=10))
        assert swr.bytes == DATA[:4]
        assert door.latest(session).location == "/up+"

    @pytest.mark.parametrize("has", [None, 4])
    def test_with_a_range_swr_gets_the_rest(self, has: int | None) -> None:
        door, session = self.stale(swr := Recorder(has=has))
        advanced = door.chunk(session, incoming(DATA, span=(0, 9)))
        assert (swr.bytes, advanced.offset) == (DATA, 10)

    def test_after_a_chunk_that_broke_where_swr_does_not_tell(self) -> None:
        door, session = self.stale(swr := Recorder())
        swr.breaks = True
        with pytest.raises(Unreachable):
            door.chunk(door.latest(session), incoming(DATA[4:], span=(4, 9)))
        swr.breaks = False
        with pytest.raises(UploadUnknown, match="start a new upload"):
            door.chunk(session, incoming(DATA, span=(0, 9)))


class TestWhereItStands:
    SESSION = UploadSession(REPOSITORY, "/up", 4, "an-id")

    def test_swr_is_not_asked_in_the_normal_course(self) -> None:
        told = uploads(Recorder(has=0)).standing(self.SESSION, harbor=True)
        assert told == replace(self.SESSION, doubtful=True)

    @pytest.mark.parametrize("doubtful", [True, False])
    @pytest.mark.parametrize(("has", "known"), [(None, False), (3, False), (4, True), (9, True)])
    def test_after_a_chunk_that_broke(self, has: int | None, known: bool, doubtful: bool) -> None:
        swr = Recorder(has=has)
        door, session = uploads(swr), replace(self.SESSION, doubtful=doubtful)
        if not doubtful:
            swr.breaks = True
            with pytest.raises(Unreachable):
                door.chunk(session, incoming(DATA, span=(4, 13)))
        if known:
            assert door.standing(session, harbor=True).offset == 4
        else:
            with pytest.raises(UploadUnknown, match="start a new upload"):
                door.standing(session, harbor=True)

    def test_an_upload_that_has_ended(self) -> None:
        door = uploads(swr := Recorder())
        door.finish(self.SESSION, digest_of(DATA), incoming(DATA, length=10))
        sent = len(swr.calls)
        for again in (
            lambda: door.standing(self.SESSION, harbor=False),
            lambda: door.chunk(self.SESSION, incoming(DATA, span=(7, 16))),
            lambda: door.finish(self.SESSION, digest_of(DATA), incoming(DATA, length=10)),
        ):
            with pytest.raises(UploadUnknown, match="has ended"):
                again()
        assert len(swr.calls) == sent


def test_one_writer_a_session() -> None:
    sessions = UploadSessions()
    session = UploadSession(REPOSITORY, "/up", 0, "an-id")
    with sessions.writing(session):
        with pytest.raises(UploadBusy) as caught, sessions.writing(session.advanced("/other", 5)):
            pass
        assert caught.value.retry_after
        others = replace(session, repository=Repository(OTHER, REPOSITORY.name))
        with sessions.writing(others), sessions.writing(replace(session, id="another")):
            assert sessions.known(session).writing
    with sessions.writing(session):
        pass


def test_sessions_are_bounded() -> None:
    sessions = UploadSessions(most=2)
    first, second, third = (UploadSession(REPOSITORY, "/up", 0, f"{number}") for number in range(3))
    with sessions.writing(first):
        for each in (first, second, third):
            sessions.begin(each)
        assert [sessions.known(each).begun for each in (first, second, third)] == [None, 0, 0]
        with pytest.raises(UploadBusy), sessions.writing(first):
            pass


@pytest.mark.parametrize("session", [UploadSession(REPOSITORY, "/up"), UploadSession(REPOSITORY, "/up", 5)])
def test_the_largest_layer(session: UploadSession) -> None:
    swr = Recorder()
    fits = 10 + session.offset
    uploads(swr, largest=fits).chunk(session, incoming(DATA, length=10))
    with pytest.raises(TooLarge, match="split it"):
        uploads(swr, largest=fits - 1).chunk(session, incoming(DATA, length=10))
    assert len(swr.calls) == 1


def test_a_yes_before_the_last_byte_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "SMALL", 0)
    with pytest.raises(Unexpected, match="before all of it was sent"):
        uploads(Recorder(take=0)).finish(UploadSession(REPOSITORY, "/up"), digest_of(DATA), incoming(DATA, length=10))
