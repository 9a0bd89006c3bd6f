"""The same over TLS, where a fault is at a byte of what is encrypted: only bytes are seen of the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.http import Answer, Door, eventually
from tests.faults.faults import Fault, Kind, Unit, Way
from tests.faults.harness import LARGE, PLACES, SMALL, Harness, running_harness
from tests.faults.verbs import blob, finish, get
from tests.running import RunningSandbox

SIDES = ["front", "back"]
"""Where TLS is; `front` is the contract door."""

TAIL = 60
"""So many bytes before the end is in the last record, however much handshakes differ."""

BODIES = pytest.mark.parametrize(
    ("data", "coded"), [(LARGE, False), (LARGE, True), (SMALL, False)], ids=["large", "coded", "small"]
)
SIZES = pytest.mark.parametrize("data", [LARGE, SMALL], ids=["large", "small"])
BROKEN = pytest.mark.parametrize("kind", [Kind.RESET, Kind.TRUNCATE, Kind.FLIP], ids=str)
"""A changed bit breaks the connection."""

Ask = Callable[[Door], Answer]


@pytest.fixture(scope="module", params=SIDES)
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def secure_rig(side: str, sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    folder = tmp_path_factory.mktemp("tls")
    with running_harness(sandbox, folder, front_tls=side == "front", back_tls=side == "back") as harness:
        yield harness


@pytest.fixture
def harness(secure_rig: Harness) -> Iterator[Harness]:
    secure_rig.begin(blob_redirect="off")
    before = secure_rig.log.traces
    yield secure_rig
    text = secure_rig.log.text()
    assert secure_rig.log.traces == before, text[-5000:]


class Wire:
    """The side of the rig that is encrypted."""

    def __init__(self, harness: Harness, side: str) -> None:
        self.harness = harness
        self.proxy = harness.proxies[side]

    def places(self, way: Way, ask: Ask, data: bytes) -> list[int]:
        """Where faults are to be: in all that passes in a request without one.

        How many records there are of a large body is not always the same, but they are more than it.
        """
        self.quiet()
        assert ask(self.harness.door).status in {200, 201}
        last = self.proxy.passed(way) - TAIL if data is SMALL else len(data)
        return [min(place(last), last) for place in PLACES.values()]

    def quiet(self) -> None:
        """Nothing is left of what was before: clients make a connection for each request, the adapter keeps its own."""
        if self.proxy is self.harness.front:
            eventually(lambda: all(link.closed.is_set() for link in self.proxy.links))
        self.proxy.calm()

    def ask(self, fault: Fault, ask: Ask) -> Answer | None:
        self.quiet()
        order = self.proxy.order(fault)
        answer = self.harness.ask(ask)
        assert order.acted.is_set()
        return answer


@pytest.fixture
def wire(harness: Harness, side: str) -> Wire:
    return Wire(harness, side)


class Upload:
    """A PUT on an upload that was started before, so that it is the next that passes."""

    def __init__(self, harness: Harness, data: bytes, *, coded: bool = False) -> None:
        self.repository = harness.repository()
        self._rig = harness
        self._data = data
        self._coded = coded
        self._location = harness.door.start(self.repository)

    def __call__(self, door: Door) -> Answer:
        return finish(door, self._location, self._data, coded=self._coded)

    def held(self, *, begun: bool) -> bytes | None:
        """What SWR has once the adapter is done; `begun`: the PUT reached it."""
        self._rig.settled(self.repository, 2 if begun else 1)
        return blob(self._rig, self.repository, self._data)

    def again(self) -> None:
        self._rig.calm()
        location = self._rig.door.start(self.repository)
        assert finish(self._rig.door, location, self._data, coded=self._coded).status == 201
        assert blob(self._rig, self.repository, self._data) == self._data


class TestUploads:
    @BROKEN
    @BODIES
    def test_a_body_that_breaks_off(self, wire: Wire, side: str, data: bytes, coded: bool, kind: Kind) -> None:
        for number, place in enumerate(wire.places(Way.UP, Upload(wire.harness, data, coded=coded), data)):
            if side == "front" and data is SMALL and number == 2:
                continue  # nobody knows whether its head has passed
            upload = Upload(wire.harness, data, coded=coded)
            answer = wire.ask(Fault(kind, Way.UP, place, Unit.RAW), upload)
            assert answer is None or answer.status >= 400
            assert upload.held(begun=side == "back" or number > 1) is None
            upload.again()

    @BODIES
    def test_a_body_that_pauses(self, wire: Wire, data: bytes, coded: bool) -> None:
        for place in wire.places(Way.UP, Upload(wire.harness, data, coded=coded), data):
            upload = Upload(wire.harness, data, coded=coded)
            answer = wire.ask(Fault(Kind.DELAY, Way.UP, place, Unit.RAW, seconds=0.05), upload)
            assert answer is not None
            assert answer.status == 201
            assert upload.held(begun=True) == data

    @BROKEN
    def test_an_answer_that_is_lost(self, wire: Wire, side: str, kind: Kind) -> None:
        """Who is not sure of a success must not claim it."""
        for place in wire.places(Way.DOWN, Upload(wire.harness, SMALL), SMALL):
            upload = Upload(wire.harness, SMALL)
            answer = wire.ask(Fault(kind, Way.DOWN, place, Unit.RAW), upload)
            assert answer is None or answer.status >= 500
            if side == "back":
                assert upload.held(begun=True) == SMALL
            upload.again()


class TestDownloads:
    @BROKEN
    @SIZES
    def test_a_source_that_breaks_off(self, wire: Wire, side: str, data: bytes, kind: Kind) -> None:
        """One that breaks off before its answer has begun may be asked again; what was begun is never whole."""
        repository = wire.harness.repository()
        digest = wire.harness.swr.store.put_blob(repository, data)

        def ask(door: Door) -> Answer:
            return get(door, repository, digest)

        assert ask(wire.harness.door).body == data
        for place in wire.places(Way.DOWN, ask, data):
            answer = wire.ask(Fault(kind, Way.DOWN, place, Unit.RAW), ask)
            assert answer is None or answer.status >= 500 or answer.body == data
            assert answer is None or side == "back"
            if place >= len(data) // 2 and data is LARGE:
                assert answer is None
            wire.quiet()
            assert ask(wire.harness.door).body == data
