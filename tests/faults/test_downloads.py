"""A download whose source breaks off never looks complete, and one whose client disconnects ends at its source."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from tests.contract.http import eventually
from tests.faults.faults import CUTS, Fault, Kind, Order, Unit, Way
from tests.faults.harness import LARGE, PLACES, SMALL, TIMEOUT, Harness
from tests.faults.verbs import get

CUT = pytest.mark.parametrize("kind", CUTS, ids=str)
SIZES = pytest.mark.parametrize("data", [LARGE, SMALL], ids=["large", "small"])
SOURCES = pytest.mark.parametrize("source", ["back", "objects"])


class Download:
    """A blob of its own repository, fetched through a fault; `got` is None when the connection broke."""

    def __init__(self, harness: Harness, data: bytes, where: str, fault: Fault) -> None:
        self._harness = harness
        self._data = data
        self.repository = harness.repository()
        self.digest = harness.swr.store.put_blob(self.repository, data)
        if where == "objects":
            harness.pass_blobs_through(self.repository, self.digest)
        # Of the object store's addresses the digest is all that is readable.
        self.order: Order = harness.order(where, replace(fault, target=self.digest, method="GET"))
        self.got = harness.ask(lambda door: get(door, self.repository, self.digest))
        assert self.order.acted.is_set(), fault
        harness.settled(self.repository)

    @property
    def whole(self) -> bool:
        return self.got is not None and self.got.status == 200 and self.got.body == self._data

    @property
    def failed(self) -> bool:
        return self.got is None or self.got.status >= 500

    def again(self) -> None:
        answer = get(self._harness.door, self.repository, self.digest)
        assert (answer.status, answer.body) == (200, self._data)


def fetch(harness: Harness, data: bytes, where: str, faults: list[Fault]) -> list[Download]:
    """All at once, each with a fault; then each without."""
    # At the object store the digest alone tells one from another.
    bodies = [number.to_bytes(2) + data[2:] for number in range(len(faults))]
    with ThreadPoolExecutor(8) as pool:
        downloads = list(pool.map(lambda body, fault: Download(harness, body, where, fault), bodies, faults))
        list(pool.map(Download.again, downloads))
    harness.nothing_was_late()
    return downloads


def in_body(kind: Kind, data: bytes, seconds: float = 0.1) -> list[Fault]:
    return [Fault(kind, Way.DOWN, place(len(data)), seconds=seconds) for place in PLACES.values()]


def in_request(kind: Kind) -> list[Fault]:
    return [Fault(kind, Way.UP, place, Unit.MESSAGE) for place in PLACES.values()]


def in_head(kind: Kind, data: bytes) -> list[Fault]:
    """At many places of the answer's head, and before its last byte."""
    places = [*range(0, 200, 11), *range(-4, 0)]
    return [Fault(kind, Way.DOWN, partial(_within, place, len(data)), Unit.MESSAGE) for place in places]


def _within(place: int, body: int, size: int) -> int:
    head = size - body
    return place % head


@pytest.fixture(autouse=True)
def _usual(harness: Harness, request: pytest.FixtureRequest) -> None:
    direct = "source" in request.fixturenames and request.getfixturevalue("source") == "back"
    harness.begin(blob_redirect="off" if direct else "307")


class TestItsSource:
    @SOURCES
    @SIZES
    @CUT
    def test_body_breaks_off(self, harness: Harness, source: str, data: bytes, kind: Kind) -> None:
        assert all(each.failed for each in fetch(harness, data, source, in_body(kind, data)))

    @SOURCES
    def test_head_breaks_off(self, harness: Harness, source: str) -> None:
        """Half a head is none: without its Content-Length nobody would know that the body is missing."""
        assert all(each.whole for each in fetch(harness, SMALL, source, in_head(Kind.TRUNCATE, SMALL)))

    @SOURCES
    @SIZES
    def test_body_pauses(self, harness: Harness, source: str, data: bytes) -> None:
        assert all(each.whole for each in fetch(harness, data, source, in_body(Kind.DELAY, data)))

    @SOURCES
    @pytest.mark.parametrize("kind", [Kind.RESET, Kind.TRUNCATE], ids=str)
    def test_request_that_breaks_off_is_repeated(self, harness: Harness, source: str, kind: Kind) -> None:
        assert all(each.whole for each in fetch(harness, SMALL, source, in_request(kind)))


class TestItsClient:
    @SIZES
    @CUT
    def test_client_disconnects(self, harness: Harness, data: bytes, kind: Kind) -> None:
        downloads = fetch(harness, data, "front", in_body(kind, data))
        assert all(each.failed for each in downloads)

    @SIZES
    def test_client_pauses(self, harness: Harness, data: bytes) -> None:
        assert all(each.whole for each in fetch(harness, data, "front", in_body(Kind.DELAY, data)))

    @CUT
    def test_request_breaks_off(self, harness: Harness, kind: Kind) -> None:
        downloads = fetch(harness, SMALL, "front", in_request(kind))
        assert all(each.got is None or each.got.status >= 400 for each in downloads)

    @pytest.mark.parametrize("kind", [Kind.RESET, Kind.TRUNCATE], ids=str)
    def test_source_is_disconnected(self, harness: Harness, kind: Kind) -> None:
        """More than all buffers on the way take: SWR still sends when the client leaves."""
        data = LARGE * 20
        repository = harness.repository()
        digest = harness.swr.store.put_blob(repository, data)
        harness.pass_blobs_through(repository, digest)
        harness.order("front", Fault(kind, Way.DOWN, 100_000, method="GET", target=digest))
        assert harness.ask(lambda door: get(door, repository, digest)) is None
        harness.settled(repository)
        (link,) = harness.objects.with_request("GET", digest)
        eventually(link.left.is_set, TIMEOUT)
        assert harness.objects.passed(Way.DOWN) < len(data)
