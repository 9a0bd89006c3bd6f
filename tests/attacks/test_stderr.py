"""A standard error that nobody reads, as a log driver that hangs leaves it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.contract.http import Door
from tests.services import answers, free_ports

LONG = "/v2/" + "a/" * 60 + "manifests/v1"
PIPE = 64 << 10


@contextlib.contextmanager
def unread() -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """An adapter whose standard error is a pipe that the test does not read, and its three ports."""
    ports = free_ports(3)
    names = ("CONTRACT_BIND", "PROVIDER_BIND", "OPERATIONS_BIND")
    env = {f"SWR_ADAPTER_{name}": f"127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)}
    process = subprocess.Popen(
        [sys.executable, "-m", "adapter", "serve"], env={**os.environ, **env}, stderr=subprocess.PIPE
    )
    try:
        until = time.monotonic() + 30
        while not answers(ports[2], "/probe/healthy"):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        yield process, ports
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@pytest.mark.timeout(60)
def test_it_stops_neither_the_doors_nor_the_end() -> None:
    with unread() as (process, ports):
        contract, probe = (Door(f"http://127.0.0.1:{port}", documented=False) for port in (ports[0], ports[2]))
        line = 150 + len(LONG)
        connection = contract.connect(5)
        for _ in range(2 * PIPE // line):
            connection.request("GET", LONG)
            response = connection.getresponse()
            response.read()
            assert response.status == 401
        connection.close()
        assert probe.ask("GET", "/probe/healthy", timeout=5).status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
