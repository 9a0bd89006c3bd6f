"""The client disconnects while SWR is silent: no thread waits for SWR any longer, and its connection is closed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.http import Answer, Door, alive, eventually
from tests.faults.faults import Fault, Kind, Unit, Way
from tests.faults.harness import LARGE, PLACES, SMALL, TIMEOUT, Harness
from tests.faults.verbs import coded, get, monolithic

SILENCE = 3 * TIMEOUT

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("upload", [monolithic, coded], ids=["sized", "coded"])
@pytest.mark.parametrize(
    ("way", "unit", "data", "kind"),
    [
        (Way.DOWN, Unit.MESSAGE, SMALL, Kind.RESET),
        (Way.DOWN, Unit.MESSAGE, SMALL, Kind.TRUNCATE),
        (Way.DOWN, Unit.MESSAGE, LARGE, Kind.RESET),
        (Way.DOWN, Unit.MESSAGE, LARGE, Kind.TRUNCATE),
        # A mere end would come behind what lies on the connection unread, and nobody would see it.
        (Way.UP, Unit.CONTENT, LARGE * 16, Kind.RESET),
    ],
    ids=["small, reset", "small, ended", "large, reset", "large, ended", "larger than all buffers, reset"],
)
def test_client_disconnects_from_an_upload(
    harness: Harness, upload: Callable[[Door, str, bytes], Answer], way: Way, unit: Unit, data: bytes, kind: Kind
) -> None:
    """SWR is silent after the body, or takes no more of it."""
    harness.begin()
    repository = harness.repository()
    order = harness.order("back", Fault(Kind.STALL, way, 0, unit, "PUT", repository, seconds=SILENCE))
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(harness.ask, lambda door: upload(door, repository, data))
        assert order.acted.wait(TIMEOUT)
        link = order.link
        assert link is not None
        harness.front.kill(kind)
        eventually(lambda: harness.log.requests(repository) == 2, TIMEOUT)
        # What takes nothing does not see either that there is no more.
        eventually(lambda: way is Way.UP or link.left.is_set(), TIMEOUT)
        assert got.result() is None
    link.reset()
    assert '"status": 201' not in harness.log.text()
    alive(harness.door)


@pytest.mark.parametrize("kind", [Kind.RESET, Kind.TRUNCATE], ids=str)
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("unit", "place"),
    [(Unit.MESSAGE, lambda _: 0), *((Unit.CONTENT, place) for place in PLACES.values())],
    ids=["before the head", *PLACES],
)
def test_client_disconnects_from_a_download(
    harness: Harness, kind: Kind, data: bytes, unit: Unit, place: Callable[[int], int]
) -> None:
    """The object store is silent at some byte."""
    harness.begin()
    repository = harness.repository()
    digest = harness.swr.store.put_blob(repository, data)
    harness.pass_blobs_through(repository, digest)
    at = place(len(data))
    order = harness.order("objects", Fault(Kind.STALL, Way.DOWN, at, unit, "GET", digest, seconds=SILENCE))
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(harness.ask, lambda door: get(door, repository, digest))
        assert order.acted.wait(TIMEOUT)
        harness.front.kill(kind)
        eventually(lambda: harness.log.requests(repository) == 1, TIMEOUT)
        link = order.link
        assert link is not None
        eventually(link.left.is_set, TIMEOUT)
        assert got.result() is None
    link.reset()
    alive(harness.door)
