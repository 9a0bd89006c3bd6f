"""`load.c` as client and sink: compiled after a change, run as a sink and as a client for each sample."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.certificates import Certificate
from tests.credentials import basic
from tests.services import free_ports

ROOT = Path(__file__).parent.parent.parent
SOURCE = Path(__file__).with_name("load.c")
PROGRAM = ROOT / "build" / "bench" / "load"
MAX_SAMPLE_SECONDS = 900.0
"""Timeout of one sample."""


class BenchError(Exception):
    """The benchmark cannot run; the message says why."""


@dataclass(frozen=True)
class Target:
    """The target of a client: a port of the loopback interface."""

    port: int
    tls: bool = False
    authorization: str = basic()


class Ends(Protocol):
    """Client and sink of a transfer; `str` is their name."""

    def sink(self, certificate: Certificate | None) -> AbstractContextManager[int]:
        """The port of a server that discards bodies, with TLS if there is a certificate."""
        ...

    def send(self, target: Target, digest: str, size: int, count: int) -> float:
        """`count` concurrent uploads of `size` zero bytes; seconds from the first request to the last response."""
        ...

    def fetch(self, target: Target, digest: str, size: int, count: int) -> float:
        """`count` concurrent downloads; seconds from the first request to the last response."""
        ...

    def close(self) -> None:
        """Deletes temporary files."""
        ...


class Load:
    """Compiles `load.c`.

    :raises BenchError: when that fails.
    """

    def __init__(self) -> None:
        if PROGRAM.exists() and PROGRAM.stat().st_mtime > SOURCE.stat().st_mtime:
            return
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise BenchError("no C compiler found")
        PROGRAM.parent.mkdir(parents=True, exist_ok=True)
        command = [compiler, "-O2", "-o", str(PROGRAM), str(SOURCE), "-lssl", "-lcrypto", "-pthread"]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            raise BenchError(f"cannot compile load.c: install libssl-dev\n{built.stderr.strip()}")

    def __str__(self) -> str:
        return "load.c"

    def close(self) -> None:
        """Keeps the program for the next run."""

    @contextlib.contextmanager
    def sink(self, certificate: Certificate | None) -> Iterator[int]:
        """See `Ends.sink`."""
        (port,) = free_ports(1)
        files = [str(certificate.chain), str(certificate.key)] if certificate else []
        with started([str(PROGRAM), "sink", str(port), *files], port, "the sink"):
            yield port

    def send(self, target: Target, digest: str, size: int, count: int) -> float:
        """See `Ends.send`."""
        return self._run("send", target, "bench/uploads", digest, size, count)

    def fetch(self, target: Target, digest: str, size: int, count: int) -> float:
        """See `Ends.fetch`."""
        return self._run("fetch", target, f"bench/s{size}", digest, size, count)

    def _run(self, verb: str, target: Target, repository: str, digest: str, size: int, count: int) -> float:
        where = [str(target.port), "tls" if target.tls else "plain", target.authorization]
        command = [str(PROGRAM), verb, *where, repository, digest, str(size), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAX_SAMPLE_SECONDS)
        if done.returncode:
            raise BenchError(f"{verb} through port {target.port} failed: {done.stderr.strip()}")
        return float(done.stdout)


@contextlib.contextmanager
def started(command: Sequence[str], port: int, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program that listens on the port until the block ends.

    :raises BenchError: when the program does not listen.
    """
    process = subprocess.Popen(command)
    try:
        _wait_for(port, process, name)
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], name: str) -> None:
    """Waits until the program listens.

    :raises BenchError: when it ends before, or after 10 seconds.
    """
    until = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > until:
            raise BenchError(f"{name} did not start")
        time.sleep(0.02)
