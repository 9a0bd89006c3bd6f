"""A real redis-server, of Debian, that can be killed, started again and stopped in its tracks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import redis

from tests.services import OUTPUT, free_ports


class RedisServer:
    """One process on one port; `url` is what STATE_URL gets."""

    def __init__(self, folder: Path, *, password: str | None = None, options: Mapping[str, str] | None = None) -> None:
        (self.port,) = free_ports(1)
        self._folder = folder
        self._password = password
        self._options = options or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{f':{self._password}@' if self._password else ''}127.0.0.1:{self.port}/3"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, db=3, password=self._password, protocol=2, socket_timeout=5)

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program is not None, "Debian's redis-server is missing: make test installs it"
        lines = {"bind": "127.0.0.1", "port": str(self.port), "save": '""', "dir": str(self._folder), **self._options}
        if self._password:
            lines["requirepass"] = self._password
        OUTPUT.mkdir(parents=True, exist_ok=True)
        with (OUTPUT / f"redis-{self.port}.log").open("ab") as log:
            # Its configuration goes to stdin: command lines can be read by everybody.
            self._process = subprocess.Popen([program, "-"], stdin=subprocess.PIPE, stdout=log, stderr=log)
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{name} {value}\n" for name, value in lines.items()).encode())
        self._process.stdin.close()
        until = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, "redis-server did not start"
            assert time.monotonic() < until, "redis-server does not answer"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with contextlib.closing(self.client) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Takes connections and answers nothing: the kernel goes on without the process."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def names(self) -> list[str]:
        with contextlib.closing(self.client) as client:
            return sorted(key.decode() for key in client.scan_iter())

    def everything(self) -> bytes:
        """All keys and values, for a search."""
        with contextlib.closing(self.client) as client:
            found = list(client.scan_iter())
            return b"\n".join(part for key in found for part in (key, client.dump(key) or b""))


@contextlib.contextmanager
def running_redis(*, password: str | None = None, options: Mapping[str, str] | None = None) -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), password=password, options=options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
