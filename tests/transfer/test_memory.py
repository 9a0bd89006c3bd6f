"""Memory stays flat however large a layer is: measured in the server's own process, by the kernel."""

from __future__ import annotations

import hashlib
import http.client
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conftest import StartAdapter
from tests.credentials import basic
from tests.running import TENANT, RunningAdapter, RunningSandbox

SIZE = 48 << 20
BLOCK = bytes(1 << 20)
TRANSFERS = 4
ALLOWED = 8 << 20
DIGEST = "sha256:" + hashlib.sha256(BLOCK * (SIZE >> 20)).hexdigest()


def worker_of(running: RunningAdapter) -> int:
    """The process that serves; its parent only watches over it."""
    pid = running.service.process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def peak(pid: int) -> int:
    """Bytes of resident memory at the highest since the last reset."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def reset_peak(pid: int) -> int:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def blocks(size: int) -> Iterator[bytes]:
    for _ in range(size >> 20):
        yield BLOCK


def connect(running: RunningAdapter) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(running.contract.removeprefix("http://"), timeout=60)


def upload(running: RunningAdapter, number: int, size: int = SIZE, digest: str = DIGEST) -> int:
    connection = connect(running)
    headers = {"Authorization": basic()}
    connection.request("POST", f"/v2/team/big{number}/blobs/uploads/", headers={**headers, "Content-Length": "0"})
    answer = connection.getresponse()
    answer.read()
    location = answer.headers["Location"]
    connection.request("PUT", f"{location}?digest={digest}", blocks(size), {**headers, "Content-Length": str(size)})
    done = connection.getresponse()
    done.read()
    connection.close()
    return done.status


def download(running: RunningAdapter, number: int) -> int:
    connection = connect(running)
    connection.request("GET", f"/v2/team/big{number}/blobs/{DIGEST}", headers={"Authorization": basic()})
    answer = connection.getresponse()
    total = 0
    while block := answer.read(1 << 20):
        total += len(block)
    connection.close()
    return total


def test_transfers_do_not_fill_memory(adapter: StartAdapter, sandbox: RunningSandbox) -> None:
    sandbox.reset()
    sandbox.store.create_organization("team", tenant=TENANT)
    running = adapter()
    worker = worker_of(running)
    small = "sha256:" + hashlib.sha256(BLOCK).hexdigest()
    # What the first transfers load stays loaded: it is not a transfer's own.
    with ThreadPoolExecutor(TRANSFERS) as pool:
        assert set(pool.map(lambda number: upload(running, number, 1 << 20, small), range(TRANSFERS))) == {201}
        before = reset_peak(worker)
        assert set(pool.map(lambda number: upload(running, number), range(TRANSFERS))) == {201}
        assert peak(worker) - before <= ALLOWED * TRANSFERS
        before = reset_peak(worker)
        assert set(pool.map(lambda number: download(running, number), range(TRANSFERS))) == {SIZE}
        assert peak(worker) - before <= ALLOWED * TRANSFERS
