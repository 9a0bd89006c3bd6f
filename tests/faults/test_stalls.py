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
from tests.faults.harness import LARGE, TIMEOUT, Harness
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
    def _usual(self, harness: Harness) -> None:
        harness.begin(check_references=False)

    def test_client_stalls_in_a_body(self, harness: Harness) -> None:
        """It is dropped after CLIENT_IDLE_TIMEOUT."""
        cases = play_all(harness, "front", each_place([*BLOBS, MANIFEST], Way.UP, LONG))
        none_is_there(cases)
        for case in cases:
            harness.let_go(case.repository)

    def test_swr_stalls_in_a_body(self, harness: Harness) -> None:
        """A manifest is repeated: the adapter has all of it."""
        wanted = each_place([*BLOBS, MANIFEST], Way.UP, BRIEF)
        cases = play_all(harness, "back", wanted)
        none_is_there([case for case in cases if case.verb is not MANIFEST])
        assert all(case.told for case in cases if case.verb is MANIFEST)

    def test_swr_stalls_in_an_answer(self, harness: Harness) -> None:
        """What it has completed it has; after a chunk there is nothing to complete."""
        cases = play_all(harness, "back", each_place(BLOBS, Way.DOWN, BRIEF))
        assert all(case.held for case in cases if case.verb is not CHUNK)


class TestDownloads:
    def test_source_stalls(self, harness: Harness) -> None:
        harness.begin()
        assert all(each.failed for each in fetch(harness, LARGE, "objects", body_of(Kind.STALL, LARGE, BRIEF)))

    def test_client_stalls(self, harness: Harness) -> None:
        """It takes no more of a blob that is larger than all buffers: the adapter lets go of it, and of the source."""
        harness.begin()
        data = LARGE * 12
        repository = harness.repository()
        digest = harness.swr.store.put_blob(repository, data)
        harness.pass_blobs_through(repository, digest)
        order = harness.order("front", Fault(Kind.STALL, Way.DOWN, 100_000, method="GET", target=digest, seconds=LONG))
        with ThreadPoolExecutor(1) as pool:
            got = pool.submit(harness.ask, lambda door: get(door, repository, digest))
            harness.settled_after(order, repository)
            (link,) = harness.objects.with_request("GET", digest)
            eventually(link.left.is_set, TIMEOUT)
            harness.front.kill(Kind.RESET)
            assert got.result() is None
        assert get(harness.door, repository, digest).body == data
        alive(harness.door)
