"""Somebody falls silent at some byte: everything ends in bounded time, nothing is made up, and threads are free again.

All places at once: each waits for a timeout, and none may wait for another's.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.contract.http import alive, eventually
from tests.faults.cases import play_all
from tests.faults.faults import Fault, Kind, Way
from tests.faults.rig import LARGE, TIMEOUT, Rig
from tests.faults.test_downloads import fetch
from tests.faults.test_downloads import in_body as body_of
from tests.faults.uploads import BLOBS, CHUNK, MANIFEST, in_answer, in_body, none_is_there
from tests.faults.verbs import Verb, get

LONG = 3 * TIMEOUT
"""Seconds of a stall that only the adapter's own patience can end."""
BRIEF = 1.0
"""Seconds after which the other side of a stall hangs up: the adapter gives SWR's answer to a whole layer minutes."""

pytestmark = pytest.mark.timeout(60)


def silent(faults: list[Fault], seconds: float) -> list[Fault]:
    return [replace(fault, kind=Kind.STALL, seconds=seconds) for fault in faults]


def each_place(verbs: list[Verb], way: Way, seconds: float) -> list[tuple[Verb, Fault]]:
    faults = {Way.UP: in_body, Way.DOWN: in_answer}[way]
    return [(verb, fault) for verb in verbs for fault in silent(faults(Kind.STALL, verb), seconds)]


class TestUploads:
    @pytest.fixture(autouse=True)
    def _usual(self, rig: Rig) -> None:
        rig.begin(check_references=False)

    def test_a_client_in_its_body(self, rig: Rig) -> None:
        """It is dropped after CLIENT_IDLE_TIMEOUT."""
        cases = play_all(rig, "front", each_place([*BLOBS, MANIFEST], Way.UP, LONG))
        none_is_there(cases)
        for case in cases:
            rig.let_go(case.repository)

    def test_swr_in_a_body(self, rig: Rig) -> None:
        """A manifest is repeated: the adapter has all of it."""
        wanted = each_place([*BLOBS, MANIFEST], Way.UP, BRIEF)
        cases = play_all(rig, "back", wanted)
        none_is_there([case for case in cases if case.verb is not MANIFEST])
        assert all(case.told for case in cases if case.verb is MANIFEST)

    def test_swr_in_its_answer(self, rig: Rig) -> None:
        """What it has completed it has; after a chunk there is nothing to complete."""
        cases = play_all(rig, "back", each_place(BLOBS, Way.DOWN, BRIEF))
        assert all(case.held for case in cases if case.verb is not CHUNK)


class TestDownloads:
    def test_the_source(self, rig: Rig) -> None:
        rig.begin()
        assert all(each.failed for each in fetch(rig, LARGE, "objects", body_of(Kind.STALL, LARGE, BRIEF)))

    def test_the_client(self, rig: Rig) -> None:
        """It takes no more of a blob that is larger than all buffers: the adapter lets go of it, and of the source."""
        rig.begin()
        data = LARGE * 12
        repository = rig.repository()
        digest = rig.swr.store.put_blob(repository, data)
        rig.pass_blobs_through(repository, digest)
        order = rig.order("front", Fault(Kind.STALL, Way.DOWN, 100_000, method="GET", target=digest, seconds=LONG))
        with ThreadPoolExecutor(1) as pool:
            got = pool.submit(rig.ask, lambda door: get(door, repository, digest))
            rig.settled_after(order, repository)
            (link,) = rig.objects.with_request("GET", digest)
            eventually(link.left.is_set, TIMEOUT)
            rig.front.kill(Kind.RESET)
            assert got.result() is None
        assert get(rig.door, repository, digest).body == data
        alive(rig.door)
