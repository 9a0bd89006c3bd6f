from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from adapter import server
from adapter.cli import main
from adapter.server import ServerLog, temporary_directory
from tests.contract.http import Door, eventually
from tests.running import RunningAdapter, running_adapter
from tests.services import Service


def status(url: str, path: str, host: str | None = None) -> int:
    headers = {} if host is None else {"Host": host.removeprefix("http://")}
    return Door(url, documented=False).ask("GET", path, headers=headers, authorization=None, timeout=10).status


def test_each_port_serves_its_application_until_sigterm() -> None:
    with running_adapter({}, log_level="debug", record="recordings", verify_uploads=False) as adapter:
        ready = Door(adapter.operations).ask("GET", "/probe/ready", authorization=None)
        assert ready.json == {"regions": ["eu-ch2", "eu-de", "eu-nl"], "status": "ready"}
        assert status(adapter.contract, "/probe/ready", adapter.operations) == 404
        assert status(adapter.operations, "/v2/", adapter.contract) == 404
        assert status(adapter.contract, "/v2/") == 401
        assert port_in_use(adapter)
        assert adapter.service.stop() == 0
    warnings = [line["message"] for line in lines(adapter.service) if line["level"] == "warning"]
    assert [message for message in warnings if "no effect" in message] == [
        "SWR_ADAPTER_RECORD is set, but has no effect in this version"
    ]


def lines(service: Service) -> list[dict[str, Any]]:
    """The log; every line of it is a JSON object."""
    assert "Traceback" not in service.output
    return [json.loads(line) for line in service.output.splitlines()]


def port_in_use(adapter: RunningAdapter) -> bool:
    """Whether a second adapter on the same port reports it and exits with status 1."""
    env = {"SWR_ADAPTER_CONTRACT_BIND": adapter.contract.removeprefix("http://")}
    command = [sys.executable, "-m", "adapter", "serve"]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return "Address already in use" in done.stderr or "Can't connect to" in done.stderr


@contextlib.contextmanager
def requesting(url: str, path: str) -> Iterator[None]:
    """Clients that send one request after another, each on a new connection."""
    stop = threading.Event()

    def request() -> None:
        while not stop.is_set():
            with contextlib.suppress(Exception):
                status(url, path)

    with futures.ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(request)
        try:
            yield
        finally:
            stop.set()


def test_sigint_ends_the_process_while_requests_come() -> None:
    """Whatever the main loop does when the signal comes, and whatever lock it holds."""
    for _ in range(2):
        with running_adapter({}) as adapter, requesting(adapter.contract, "/v2/"):
            eventually(lambda: adapter.service.output.count("/v2/") > 20)
            adapter.service.process.send_signal(signal.SIGINT)
            assert adapter.service.process.wait(20) == 0
        assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines(adapter.service))


def test_log_of_a_socket_error_has_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log = ServerLog.__new__(ServerLog)
    log.error_log = server.log
    for error in (TimeoutError(), ValueError()):
        with caplog.at_level("INFO"):
            try:
                raise error
            except type(error):
                log.exception("%s failed", "a socket")
    records = [(record.getMessage(), record.exc_info is not None) for record in caplog.records]
    assert records == [("a socket failed (TimeoutError)", False), ("a socket failed", True)]


def test_temporary_directory_is_in_memory_if_possible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert temporary_directory(str(tmp_path)) == str(tmp_path)
    missing = str(tmp_path / "missing")
    assert temporary_directory(missing) == tempfile.gettempdir()

    def fail() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    # As with a read-only root and no tmpfs.
    monkeypatch.setattr(tempfile, "gettempdir", fail)
    monkeypatch.setattr(server, "temporary_directory", lambda: temporary_directory(missing))
    monkeypatch.setattr(server, "configure", lambda *_: None)
    done = CliRunner().invoke(main, ["serve"])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "no directory for temporary files is writable: mount a tmpfs" in done.output
