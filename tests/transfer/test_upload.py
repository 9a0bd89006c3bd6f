from __future__ import annotations

import io
from collections.abc import Iterable, Sized
from dataclasses import replace
from typing import Any

import pytest

from adapter.errors import AdapterError, DigestInvalid, RangeInvalid, SizeInvalid, TooLarge, Unexpected, UploadUnknown
from adapter.identity import Identity, parse_identity
from adapter.names import Repository, digest_of
from adapter.state import MemoryState
from adapter.swr.uploads import SwrUploads
from adapter.transfer import upload
from adapter.transfer.attempts import Attempts
from adapter.transfer.blob_places import BlobPlaces
from adapter.transfer.session import Session
from adapter.transfer.source import Reading
from adapter.transfer.upload import Incoming, Uploads
from tests.credentials import ACCESS_ID, SECRET_KEY

IDENTITY = parse_identity(ACCESS_ID, SECRET_KEY, ["eu-de"])
REPOSITORY = Repository("org", "repo")
DATA = b"0123456789"
EMPTY = digest_of(b"")


@pytest.fixture(autouse=True, params=[0, upload.SMALL], ids=["streamed", "buffered"])
def _small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways behave alike: a body from memory, and one that is streamed."""
    monkeypatch.setattr(upload, "SMALL", request.param)


class Recorder(SwrUploads):
    """Takes what SWR would be sent; nothing real can stand here without a server, which tests/contract has."""

    def __init__(self, take: int | None = None, has: int | None = None) -> None:
        self.calls: list[tuple[str, str | None, int | None]] = []
        self.bytes = b""
        self._take = take
        self._has = has

    def status(self, identity: Identity, repository: Repository, location: str) -> tuple[str, int | None]:
        return "/there", self._has

    def start(self, identity: Identity, repository: Repository, *, create: bool = True) -> str:
        return "/up"

    def chunk(
        self, identity: Identity, repository: Repository, location: str, body: Any, content_range: str | None
    ) -> str:
        self._receive("PATCH", body, content_range)
        return location + "+"

    def finish(
        self,
        identity: Identity,
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
        blocks = iter([body] if isinstance(body, bytes) else body)
        for number, block in enumerate(blocks):
            if number == self._take:
                return
            self.bytes += block


def uploads(swr: SwrUploads, **options: Any) -> Uploads:
    return Uploads(swr, **{"verify": True, "largest": 0, "places": BlobPlaces(MemoryState()), **options})


def incoming(data: bytes, *, length: int | None = None, span: tuple[int, int] | None = None) -> Incoming:
    return Incoming(Reading(io.BytesIO(data)), length, span)


def test_monolithic() -> None:
    swr = Recorder()
    session = uploads(swr).start(IDENTITY, REPOSITORY)
    uploads(swr).finish(IDENTITY, session, digest_of(DATA), incoming(DATA, length=10))
    assert swr.calls == [("PUT", None, 10)]
    assert swr.bytes == DATA


@pytest.mark.parametrize("length", [0, None])
def test_empty(length: int | None) -> None:
    swr = Recorder()
    uploads(swr).finish(IDENTITY, Session(REPOSITORY, "/up"), EMPTY, incoming(b"", length=length))
    assert swr.calls == [("PUT", None, 0)]
    with pytest.raises(DigestInvalid):
        uploads(swr).finish(IDENTITY, Session(REPOSITORY, "/up"), digest_of(DATA), incoming(b"", length=length))
    assert len(swr.calls) == 1


def test_by_chunk_as_harbor_does() -> None:
    swr = Recorder()
    door = uploads(swr)
    session = door.chunk(IDENTITY, Session(REPOSITORY, "/up"), incoming(DATA[:4], span=(0, 3)))
    assert (session.offset, session.location) == (4, "/up+")
    session = door.chunk(IDENTITY, session, incoming(DATA[4:8], length=4, span=(4, 7)))
    door.finish(IDENTITY, session, digest_of(DATA), incoming(DATA[8:], span=(8, 9)))
    assert swr.calls == [("PATCH", "0-3", 4), ("PATCH", "4-7", 4), ("PUT", "8-9", 2)]
    assert swr.bytes == DATA


def test_one_patch_as_skopeo_does() -> None:
    swr = Recorder()
    door = uploads(swr)
    session = door.chunk(IDENTITY, Session(REPOSITORY, "/up"), incoming(DATA))
    assert session.offset == 10
    door.finish(IDENTITY, session, digest_of(DATA), incoming(b"", length=0))
    assert swr.calls == [("PATCH", None, None), ("PUT", None, 0)]


@pytest.mark.parametrize("verify", [True, False])
def test_a_wrong_digest(verify: bool) -> None:
    swr = Recorder()
    door = uploads(swr, verify=verify)
    if verify:
        with pytest.raises(DigestInvalid):
            door.finish(IDENTITY, Session(REPOSITORY, "/up"), digest_of(b"x"), incoming(DATA, length=10))
        assert swr.bytes == b""
    else:
        door.finish(IDENTITY, Session(REPOSITORY, "/up"), digest_of(b"x"), incoming(DATA, length=10))
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
        uploads(swr).chunk(IDENTITY, Session(REPOSITORY, "/up"), body)
    assert swr.bytes == b""


def test_a_gap_tells_how_far_it_is() -> None:
    with pytest.raises(RangeInvalid, match="starts at byte 8, but the upload stands at 4"):
        uploads(Recorder()).chunk(IDENTITY, Session(REPOSITORY, "/up", 4), incoming(DATA, span=(8, 17)))


class TestAChunkThatComesAgain:
    """SWR has some of it, all of it, none of it, or does not tell."""

    SESSION = Session(REPOSITORY, "/up", 4, "an-id")
    SPAN = (4, 13)

    @pytest.mark.parametrize("doubtful", [True, False], ids=["after its status was asked", "at the same location"])
    @pytest.mark.parametrize(
        ("has", "span", "sent"),
        [(None, "4-13", DATA), (4, "4-13", DATA), (3, "4-13", DATA), (5, "5-13", DATA[1:]), (13, "13-13", DATA[9:])],
    )
    def test_swr_gets_the_rest(self, has: int | None, span: str, sent: bytes, doubtful: bool) -> None:
        swr = Recorder(has=has)
        session = self.begun(swr, doubtful)
        advanced = self.uploads.chunk(IDENTITY, session, incoming(DATA, span=self.SPAN))
        assert swr.calls[0][:2] == ("PATCH", span)
        assert swr.bytes == sent
        assert (advanced.offset, advanced.doubtful) == (14, False)
        assert advanced.location == ("/up+" if has is None or has < 4 else "/there+")

    @pytest.mark.parametrize("doubtful", [True, False])
    def test_swr_has_it_all(self, doubtful: bool) -> None:
        swr = Recorder(has=14)
        session = self.begun(swr, doubtful)
        advanced = self.uploads.chunk(IDENTITY, session, incoming(DATA, span=self.SPAN))
        assert (advanced.offset, advanced.location, swr.calls) == (14, "/there", [])
        self.uploads.finish(IDENTITY, session, EMPTY, incoming(DATA, span=self.SPAN))
        assert swr.calls == [("PUT", None, 0)]

    def test_what_swr_has_must_come_again_all_the_same(self) -> None:
        session = self.begun(Recorder(has=14), True)
        with pytest.raises(SizeInvalid):
            self.uploads.chunk(IDENTITY, session, incoming(DATA[:9], span=self.SPAN))

    def test_the_last_one(self) -> None:
        swr = Recorder(has=9)
        self.uploads = uploads(swr)
        self.uploads.finish(IDENTITY, self.begun(swr, True), EMPTY, incoming(DATA, span=self.SPAN))
        assert (swr.calls[0][:2], swr.bytes) == (("PUT", "9-13"), DATA[5:])

    def test_swr_has_more_than_was_sent(self) -> None:
        session = self.begun(Recorder(has=15), True)
        with pytest.raises(UploadUnknown, match="start it again"):
            self.uploads.chunk(IDENTITY, session, incoming(DATA, span=self.SPAN))

    def test_without_a_range_nothing_is_asked(self) -> None:
        swr = Recorder(has=9)
        session = self.begun(swr, True)
        self.uploads.chunk(IDENTITY, session, incoming(DATA, length=10))
        assert swr.bytes == DATA

    def begun(self, swr: Recorder, doubtful: bool) -> Session:
        """The session of an upload whose chunk was begun once, and what came of it is forgotten."""
        self.uploads = uploads(swr)
        if doubtful:
            return replace(self.SESSION, doubtful=True)
        self.uploads.chunk(IDENTITY, self.SESSION, incoming(DATA, span=self.SPAN))
        swr.calls.clear()
        swr.bytes = b""
        return self.SESSION


def test_attempts_are_bounded() -> None:
    attempts = Attempts(most=2)
    first, second, third = (Session(REPOSITORY, "/up", offset, "an-id") for offset in range(3))
    assert not any(map(attempts.again, (first, second)))
    assert attempts.again(first)
    assert not attempts.again(third)
    assert attempts.again(first)
    assert not attempts.again(second)


@pytest.mark.parametrize("session", [Session(REPOSITORY, "/up"), Session(REPOSITORY, "/up", 5)])
def test_the_largest_layer(session: Session) -> None:
    swr = Recorder()
    fits = 10 + session.offset
    uploads(swr, largest=fits).chunk(IDENTITY, session, incoming(DATA, length=10))
    with pytest.raises(TooLarge, match="split it"):
        uploads(swr, largest=fits - 1).chunk(IDENTITY, session, incoming(DATA, length=10))
    assert len(swr.calls) == 1


def test_a_yes_before_the_last_byte_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "SMALL", 0)
    with pytest.raises(Unexpected, match="before all of it was sent"):
        uploads(Recorder(take=0)).finish(
            IDENTITY, Session(REPOSITORY, "/up"), digest_of(DATA), incoming(DATA, length=10)
        )
