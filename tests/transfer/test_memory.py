"""Memory stays flat however large a layer is: measured in the server's own process, by the kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conftest import StartAdapter
from tests.contract.http import Door, digest_of
from tests.running import TENANT, RunningAdapter, RunningSandbox

BLOCK = bytes(1 << 20)
BLOCKS = 48
TRANSFERS = 4
MAX_GROWTH = TRANSFERS * (8 << 20)


def worker_of(running: RunningAdapter) -> int:
    """The process that serves requests; its parent only watches it."""
    pid = running.service.process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def peak(pid: int) -> int:
    """The maximum of resident memory since the last reset, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def reset_peak(pid: int) -> int:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def test_memory_does_not_grow_with_a_layer(adapter: StartAdapter, sandbox: RunningSandbox) -> None:
    sandbox.reset()
    sandbox.store.create_organization("team", tenant=TENANT)
    running = adapter()
    door, worker = Door(running.contract, documented=False), worker_of(running)
    digests = {count: digest_of(BLOCK * count) for count in (1, BLOCKS)}

    def blocks(count: int) -> Iterator[bytes]:
        yield from (BLOCK for _ in range(count))

    def upload(number: int, count: int = BLOCKS) -> int:
        length = {"Content-Length": str(count << 20)}
        return door.put(door.start(f"team/big{number}"), digests[count], blocks(count), length).status

    def download(number: int) -> int:
        connection = door.connect(60)
        target = f"/v2/team/big{number}/blobs/{digests[BLOCKS]}"
        connection.request("GET", target, headers={"Authorization": door.authorization})
        response = connection.getresponse()
        total = sum(len(block) for block in iter(lambda: response.read(1 << 20), b""))
        connection.close()
        return total

    with ThreadPoolExecutor(TRANSFERS) as pool:
        # What the first transfers load stays in memory, and is not part of a transfer.
        assert set(pool.map(lambda number: upload(number, 1), range(TRANSFERS))) == {201}
        before = reset_peak(worker)
        assert set(pool.map(upload, range(TRANSFERS))) == {201}
        assert peak(worker) - before <= MAX_GROWTH
        before = reset_peak(worker)
        assert set(pool.map(download, range(TRANSFERS))) == {BLOCKS << 20}
        assert peak(worker) - before <= MAX_GROWTH
