"""Faults of a TLS connection, at a byte of what is encrypted: the proxy sees only bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.http import Answer, Door, eventually
from tests.faults.faults import Fault, Kind, Unit, Way
from tests.faults.harness import LARGE, PLACES, SMALL, Harness, running_harness
from tests.faults.verbs import blob, finish, get
from tests.running import RunningSandbox

TAIL = 60
"""The last record contains as many bytes from the end, however much handshakes differ."""

BODIES = pytest.mark.parametrize(
    ("data", "coded"), [(LARGE, False), (LARGE, True), (SMALL, False)], ids=["large", "coded", "small"]
)
BROKEN = pytest.mark.parametrize("kind", [Kind.RESET, Kind.TRUNCATE, Kind.FLIP], ids=str)
"""A changed bit breaks the connection."""

Ask = Callable[[Door], Answer]


@pytest.fixture(scope="module", params=["front", "back"])
def side(request: pytest.FixtureRequest) -> str:
    """Where TLS is; `front` is the contract port."""
    return str(request.param)


@pytest.fixture(scope="module")
def tls_harness(side: str, sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    folder = tmp_path_factory.mktemp("tls")
    with running_harness(sandbox, folder, front_tls=side == "front", back_tls=side == "back") as harness:
        yield harness


@pytest.fixture
def harness(tls_harness: Harness) -> Iterator[Harness]:
    with tls_harness.without_traces():
        tls_harness.begin(blob_redirect="off")
        yield tls_harness


class Line:
    """The encrypted connections."""

    def __init__(self, harness: Harness, side: str) -> None:
        self.harness = harness
        self.side = side
        self._proxy = harness.proxies[side]

    def places(self, way: Way, ask: Ask, data: bytes) -> list[int]:
        """Places of faults: among all bytes of a request without one.

        The number of records of a large body varies, but they have more bytes than the body.
        """
        self.quiet()
        assert ask(self.harness.door).status in {200, 201}
        last = self._proxy.passed(way) - TAIL if data is SMALL else len(data)
        return [min(place(last), last) for place in PLACES.values()]

    def quiet(self) -> None:
        """Clients use a connection for each request, the adapter reuses its own."""
        if self.side == "front":
            eventually(lambda: all(link.closed.is_set() for link in self._proxy.links))
        self._proxy.calm()

    def ask(self, fault: Fault, ask: Ask) -> Answer | None:
        self.quiet()
        order = self._proxy.order(fault)
        answer = self.harness.ask(ask)
        assert order.acted.is_set()
        return answer


@pytest.fixture
def line(harness: Harness, side: str) -> Line:
    return Line(harness, side)


class Upload:
    """A PUT to an upload that was started before, so that the PUT is the next request."""

    def __init__(self, harness: Harness, data: bytes, *, coded: bool = False) -> None:
        self.repository = harness.repository()
        self._harness = harness
        self._data = data
        self._coded = coded
        self._location = harness.door.start(self.repository)

    def __call__(self, door: Door) -> Answer:
        return finish(door, self._location, self._data, coded=self._coded)

    def stored(self, *, begun: bool) -> bytes | None:
        """What SWR has when the adapter is done; `begun`: the PUT reached the adapter."""
        self._harness.settled(self.repository, 2 if begun else 1)
        return blob(self._harness, self.repository, self._data)

    def again(self) -> None:
        self._harness.calm()
        self._location = self._harness.door.start(self.repository)
        assert self(self._harness.door).status == 201
        assert blob(self._harness, self.repository, self._data) == self._data


@BROKEN
@BODIES
def test_body_that_breaks_off(line: Line, data: bytes, coded: bool, kind: Kind) -> None:
    for number, place in enumerate(line.places(Way.UP, Upload(line.harness, data, coded=coded), data)):
        if line.side == "front" and data is SMALL and number == 2:
            continue  # the head may have passed or not
        upload = Upload(line.harness, data, coded=coded)
        answer = line.ask(Fault(kind, Way.UP, place, Unit.RAW), upload)
        assert answer is None or answer.status >= 400
        assert upload.stored(begun=line.side == "back" or number > 1) is None
        upload.again()


@BODIES
def test_body_that_pauses(line: Line, data: bytes, coded: bool) -> None:
    for place in line.places(Way.UP, Upload(line.harness, data, coded=coded), data):
        upload = Upload(line.harness, data, coded=coded)
        answer = line.ask(Fault(Kind.DELAY, Way.UP, place, Unit.RAW, seconds=0.05), upload)
        assert answer is not None
        assert answer.status == 201
        assert upload.stored(begun=True) == data


@BROKEN
def test_answer_that_is_lost(line: Line, kind: Kind) -> None:
    for place in line.places(Way.DOWN, Upload(line.harness, SMALL), SMALL):
        upload = Upload(line.harness, SMALL)
        answer = line.ask(Fault(kind, Way.DOWN, place, Unit.RAW), upload)
        assert answer is None or answer.status >= 500
        assert line.side == "front" or upload.stored(begun=True) == SMALL
        upload.again()


@BROKEN
@pytest.mark.parametrize("data", [LARGE, SMALL], ids=["large", "small"])
def test_download_that_breaks_off(line: Line, data: bytes, kind: Kind) -> None:
    """A request may be repeated before its answer has begun; what has begun is never complete."""
    repository = line.harness.repository()
    digest = line.harness.swr.store.put_blob(repository, data)

    def ask(door: Door) -> Answer:
        return get(door, repository, digest)

    assert ask(line.harness.door).body == data
    for place in line.places(Way.DOWN, ask, data):
        answer = line.ask(Fault(kind, Way.DOWN, place, Unit.RAW), ask)
        if answer is not None:
            assert answer.status >= 500 or answer.body == data
            assert line.side == "back"
            assert data is SMALL or place < len(data) // 2
        line.quiet()
        assert ask(line.harness.door).body == data
