from __future__ import annotations

import contextlib
import http.client
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
from adapter.server import Dispatcher, temporary_directory
from adapter.settings import SettingsError
from tests.contract.http import eventually
from tests.services import free_ports, running


def test_the_port_decides_which_door() -> None:
    doors = Dispatcher({1: lambda *_: [b"one"], 2: lambda *_: [b"two"]})

    def ask(port: int) -> list[bytes]:
        environ: dict[str, Any] = {"SERVER_PORT": str(port), "HTTP_HOST": "other:1", "HTTP_X_FORWARDED_PORT": "1"}
        return list(doors(environ, lambda *_: None))

    assert (ask(1), ask(2)) == ([b"one"], [b"two"])


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def environment(**settings: str) -> tuple[dict[str, str], int, int]:
    contract, provider, operations = free_ports(3)
    binds = {"CONTRACT_BIND": contract, "PROVIDER_BIND": provider, "OPERATIONS_BIND": operations}
    values = {name: f"127.0.0.1:{port}" for name, port in binds.items()} | settings
    return {f"SWR_ADAPTER_{name}": value for name, value in values.items()}, contract, operations


def test_each_door_serves_its_own() -> None:
    env, contract, operations = environment(LOG_LEVEL="debug")
    with running("doors", "serve", env=env, port=operations, path="/probe/healthy") as service:
        assert get(operations, "/probe/ready") == (200, b'{"regions":["eu-ch2","eu-de","eu-nl"],"status":"ready"}\n')
        assert get(contract, "/probe/ready", {"Host": f"127.0.0.1:{operations}"})[0] == 404
        assert get(operations, "/v2/", {"Host": f"127.0.0.1:{contract}"})[0] == 404
        assert get(contract, "/v2/")[0] == 401
        assert service.stop() == 0
    assert "Traceback" not in service.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    env, _, operations = environment(LOG_FORMAT="json")
    with running("signal", "serve", env=env, port=operations, path="/probe/healthy") as service:
        service.process.send_signal(number)
        assert service.process.wait(20) == 0
    assert "Traceback" not in service.output
    lines = [json.loads(line) for line in service.output.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)


@contextlib.contextmanager
def asking(port: int, path: str) -> Iterator[None]:
    """Clients that send one request after another, each on a new connection."""
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                get(port, path)

    with futures.ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(ask)
        try:
            yield
        finally:
            ended.set()


def test_an_interrupt_ends_it_while_requests_come() -> None:
    """Wherever the main loop is when the signal comes, and whatever lock it holds."""
    env, contract, operations = environment()
    for _ in range(3):
        with (
            running("interrupt", "serve", env=env, port=operations, path="/probe/healthy") as service,
            asking(contract, "/v2/"),
        ):
            eventually(lambda: service.output.count("/v2/") > 20)
            service.process.send_signal(signal.SIGINT)
            assert service.process.wait(20) == 0


def test_a_setting_without_effect_is_told() -> None:
    env, _, operations = environment(RECORD="recordings", VERIFY_UPLOADS="false")
    with running("later", "serve", env=env, port=operations, path="/probe/healthy") as service:
        assert service.stop() == 0
    (told,) = [line for line in service.output.splitlines() if "no effect" in line]
    assert "SWR_ADAPTER_RECORD" in told


def test_a_port_that_is_taken_ends_the_start() -> None:
    env, _, operations = environment()
    with running("first", "serve", env=env, port=operations, path="/probe/healthy"):
        done = subprocess.run(
            [sys.executable, "-m", "adapter", "serve"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "Address already in use" in done.stderr or "Can't connect to" in done.stderr


def without_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a read-only root and no tmpfs."""

    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)


def test_temporary_files_are_in_memory_or_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert temporary_directory(str(tmp_path)) == str(tmp_path)
    assert temporary_directory(str(tmp_path / "missing")) == tempfile.gettempdir()
    without_temporary_directory(monkeypatch)
    with pytest.raises(SettingsError, match="TMPDIR"):
        temporary_directory(str(tmp_path / "missing"))


def test_without_a_temporary_directory_the_start_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    without_temporary_directory(monkeypatch)
    monkeypatch.setattr(server, "temporary_directory", lambda: temporary_directory("/nowhere"))
    monkeypatch.setattr(server, "configure", lambda *_: None)
    done = CliRunner().invoke(main, ["serve"])
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert "no directory for temporary files" in done.output
