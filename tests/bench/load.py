"""`load.c` at both ends: built when it is new, run as a sink for as long as needed and as a client for each sample."""

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
LONGEST = 900.0
"""Seconds for one sample."""


class Failed(Exception):
    """Something that the benchmark needs is not on this machine, or does not work; the text says what."""


@dataclass(frozen=True)
class Target:
    """Where a client goes: a port of the loopback interface."""

    port: int
    tls: bool = False
    authorization: str = basic()


class Ends(Protocol):
    """Both ends of a transfer, whatever they are made of; `str` names it."""

    def sink(self, certificate: Certificate | None) -> AbstractContextManager[int]:
        """The port of a stand-in that throws away what it gets, with TLS when there is a certificate."""
        ...

    def send(self, target: Target, digest: str, size: int, count: int) -> float:
        """`count` uploads of `size` zero bytes at once; seconds from the first request to the last answer."""
        ...

    def fetch(self, target: Target, digest: str, size: int, count: int) -> float:
        """The same for downloads."""
        ...

    def close(self) -> None:
        """Leaves nothing behind."""
        ...


class Load:
    """`load.c`, built. Raises `Failed` where it cannot be."""

    def __init__(self) -> None:
        if PROGRAM.exists() and PROGRAM.stat().st_mtime > SOURCE.stat().st_mtime:
            return
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise Failed("there is no C compiler")
        PROGRAM.parent.mkdir(parents=True, exist_ok=True)
        command = [compiler, "-O2", "-o", str(PROGRAM), str(SOURCE), "-lssl", "-lcrypto", "-pthread"]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            raise Failed(f"load.c cannot be built, are OpenSSL's headers there?\n{built.stderr.strip()}")

    def __str__(self) -> str:
        return "load.c"

    def close(self) -> None:
        """The program is kept for the next time."""

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
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        if done.returncode:
            raise Failed(f"{verb} through port {target.port} failed: {done.stderr.strip()}")
        return float(done.stdout)


@contextlib.contextmanager
def started(command: Sequence[str], port: int, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program until the block ends, from when it listens on the port. Raises `Failed` when it ends before."""
    process = subprocess.Popen(command)
    try:
        _wait_for(port, process, name)
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], name: str) -> None:
    """Until the port is listened on. Raises `Failed` when the process ends before."""
    until = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > until:
            raise Failed(f"{name} did not start")
        time.sleep(0.02)
