"""Starts the commands of the product as real processes and stops them again."""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

PORTS = range(20_000, 32_000)
SHARES = 8

OUTPUT = Path(os.environ.get("OUTPUT_DIR") or tempfile.mkdtemp(prefix="harbor-swr-adapter-tests-"))


@functools.cache
def _numbers() -> Iterator[int]:
    """All ports of this process in random order, round after round: none comes twice in a test."""
    share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
    numbers = list(range(PORTS.start + share, PORTS.stop, SHARES))
    random.SystemRandom().shuffle(numbers)
    return itertools.cycle(numbers)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, on any address. They are below the ephemeral ports of the kernel, and each process
    of the suite has its own share, so that no other process uses one first."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            listening = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                listening.bind(("", next(_numbers())))
                found.append(int(listening.getsockname()[1]))
    return found


def answers(port: int, path: str, tls: ssl.SSLContext | None = None) -> bool:
    """Whether a server on the port answers the path, with any HTTP status."""
    url = f"http://127.0.0.1:{port}{path}" if tls is None else f"https://localhost:{port}{path}"
    try:
        urllib.request.urlopen(url, timeout=2, context=tls).close()
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, http.client.HTTPException):
        return False
    return True


class Service:
    """A running process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def output(self) -> str:
        return self.log.read_text()

    def stop(self, grace: float = 20.0) -> int:
        """Sends SIGTERM, waits, and returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextlib.contextmanager
def running(
    name: str,
    *arguments: str,
    env: Mapping[str, str],
    port: int,
    path: str,
    module: str = "adapter",
    tls: ssl.SSLContext | None = None,
    files: int | None = None,
    output: int | None = None,
) -> Iterator[Service]:
    """`python -m <module> <arguments>` until the block ends; ready when `path` on `port` answers.

    The environment has no settings but those of `env`. `files` limits the file descriptors of the process; `output` is
    a descriptor for its output in place of a file.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SWR_ADAPTER_")}
    OUTPUT.mkdir(parents=True, exist_ok=True)
    handle, log = tempfile.mkstemp(prefix=f"{name}-", suffix=".log", dir=OUTPUT)
    with os.fdopen(handle, "wb") as sink:
        command = [sys.executable, "-m", module, *arguments]
        if files is not None:
            command = ["prlimit", f"--nofile={files}:{files}", *command]
        process = subprocess.Popen(
            command, env={**inherited, **env}, stdout=sink if output is None else output, stderr=subprocess.STDOUT
        )
    service = Service(process, Path(log))
    try:
        until = time.monotonic() + 30
        while not answers(port, path, tls):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{name} did not start:\n{service.output}")
            time.sleep(0.05)
        yield service
    finally:
        service.stop()
