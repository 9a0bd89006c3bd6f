"""The process: its log, its secrets, its end, and clients that block nobody."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Start
from tests.contract.http import Door, asked, digest_of, eventually, pieces, read_answer, under_way, with_query
from tests.credentials import ACCESS_ID, LOGIN_KEY, WRONG_SECRET, basic, canaries
from tests.running import RunningAdapter, RunningSandbox

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(usual_adapter: RunningAdapter) -> Lines:
    """The request lines in the log since the test began."""
    before = len(usual_adapter.service.output)

    def read() -> list[dict[str, Any]]:
        added = usual_adapter.service.output[before:]
        entries = [json.loads(line) for line in added.splitlines()]
        return [entry for entry in entries if entry["message"] == "request" and entry["door"] == "contract"]

    return read


class TestLog:
    def test_one_line_for_each_request(self, door: Door, swr: RunningSandbox, repository: str, lines: Lines) -> None:
        data = b"a layer"
        location = door.ask("POST", f"/v2/{repository}/blobs/uploads/", b"", {"X-Request-Id": "first-1"}).header(
            "Location"
        )
        door.ask("PUT", with_query(location, digest=digest_of(data)), data, {"X-Request-Id": "second-2"})
        door.ask("GET", f"/v2/{repository}/blobs/{digest_of(data)}", headers={"X-Request-Id": "third-3"})
        # The line is written after the client has the response.
        eventually(lambda: len(lines()) == 3)
        door.ask("GET", "/v2/", headers={"X-Request-Id": "fourth-4"}, authorization=None)
        eventually(lambda: len(lines()) == 4)
        first, second, third, fourth = lines()
        assert [each["request_id"] for each in lines()] == ["first-1", "second-2", "third-3", "fourth-4"]
        assert [each["status"] for each in lines()] == [202, 201, 200, 401]
        assert first["path"] == f"/v2/{repository}/blobs/uploads/"
        assert second["path"] == f"/v2/{repository}/blobs/uploads/…"
        assert second["received"] == len(data)
        assert third["sent"] == len(data)
        assert first["account"] == ACCESS_ID[: len("eu-de@") + 4] + "..."
        assert fourth["account"] is None
        assert sum(each["swr_requests"] for each in lines()) == len(asked(swr))

    def test_received_bytes_are_counted(self, door: Door, repository: str, lines: Lines) -> None:
        """Of a chunked body, and of a truncated one."""
        data = os.urandom(300_000)
        location = door.ask("PATCH", door.start(repository), pieces(data, 7000)).header("Location")
        with door.open() as connection:
            connection.sendall(
                door.head("PATCH", location, "Content-Length: 900000", "X-Request-Id: cut") + data[:1000]
            )
        eventually(lambda: len(lines()) == 3)
        assert [line["received"] for line in lines()][1:] == [len(data), 1000]


class TestSecrets:
    def test_no_secret_is_logged(self, start: Start, swr: RunningSandbox, repository: str, number: int) -> None:
        """At debug level, with every kind of error."""
        text, structured = start(log_level="debug"), start(log_level="debug", log_format="text")
        for adapter in (text, structured):
            door = Door(adapter.contract)
            wrong = basic(secret=WRONG_SECRET)
            for authorization in (
                "",
                wrong,
                basic(secret=LOGIN_KEY),
                basic(LOGIN_KEY, ACCESS_ID),
                basic("", LOGIN_KEY),
            ):
                for target in ("/v2/", "/api/version", "/api/v2.0/projects", f"/v2/{repository}/manifests/v1"):
                    door.ask("GET", target, authorization=authorization)
            location = door.start(repository)
            swr.faults({"origin": "registry", "method": "PUT", "status": 500}, {"origin": "objects", "status": 500})
            door.put(location, digest_of(b"x"), b"x")
            digest = swr.store.put_blob(repository, b"blob")
            door.ask("GET", f"/v2/{repository}/blobs/{digest}")
            credentials = door.authorization.removeprefix("Basic ")
            for line in (
                f"Authorization {door.authorization}",
                f"Authorization : {door.authorization}",
                f"Authorization: {door.authorization}\x00",
                f"Authorization: {credentials}",
                f"Authorization: Basic\x0b{credentials}",
                f"Proxy Authorization: Basic  {credentials}",
            ):
                door.raw(f"GET /v2/ HTTP/1.1\r\nHost: door\r\n{line}\r\n\r\n".encode("latin-1"))
            door.raw(f"{door.authorization}\r\n\r\n".encode())
            door.ask("GET", with_query("/api/v2.0/projects", page=LOGIN_KEY, token=LOGIN_KEY))
            output = adapter.service.output
            assert f"/v2/{repository}/manifests/v1" in output
            assert [line for line in output.splitlines() if any(secret in line for secret in canaries())] == []
            assert "_state" not in output.replace("_state …", "")
            assert "Signature=" not in output


def refuses(address: tuple[str, int]) -> bool:
    """Whether a new connection is refused."""
    try:
        socket.create_connection(address, 5).close()
    except ConnectionRefusedError:
        return True
    return False


class TestEnd:
    def test_sigterm_of_an_idle_adapter(self, start: Start) -> None:
        adapter = start()
        door = Door(adapter.contract)
        kept = door.connect()
        kept.request("GET", "/api/version")
        kept.getresponse().read()
        assert adapter.service.stop(15) == 0
        kept.close()

    def test_running_upload_is_finished(self, start: Start, swr: RunningSandbox, repository: str) -> None:
        adapter = start(grace_period=20)
        door = Door(adapter.contract)
        data = os.urandom(600_000)
        with under_way(door, swr, repository, data, 400_000) as connection:
            adapter.service.process.send_signal(signal.SIGTERM)
            eventually(lambda: refuses(door.address))
            eventually(lambda: refuses(Door(adapter.provider).address))
            assert Door(adapter.operations).ask("GET", "/probe/healthy").status == 200
            for piece in pieces(data[400_000:], 20_000):
                time.sleep(0.15)  # in total longer than gunicorn waits for idle connections
                connection.sendall(piece)
            answer = read_answer(connection)
        assert answer is not None
        assert answer.status == 201, answer.body
        assert adapter.service.stop(20) == 0
        assert swr.store.read_blob(repository, digest_of(data)) == data

    def test_endless_upload_is_cut_after_the_grace_period(
        self, start: Start, swr: RunningSandbox, repository: str
    ) -> None:
        adapter = start(grace_period=1)
        door = Door(adapter.contract)
        target = with_query(door.start(repository), digest=digest_of(b"x"))
        with door.open() as connection:
            connection.sendall(door.head("PUT", target, "Content-Length: 600000") + bytes(400_000))
            eventually(lambda: bool(asked(swr, "PUT")))
            adapter.service.stop(15)
        assert not swr.store.has_blob(repository, digest_of(b"x"))

    def test_new_worker_starts_while_an_upload_runs(self, start: Start, swr: RunningSandbox, repository: str) -> None:
        adapter = start(grace_period=20)
        door = Door(adapter.contract)
        data = os.urandom(600_000)
        with under_way(door, swr, repository, data, 400_000) as connection:
            adapter.service.process.send_signal(signal.SIGHUP)
            eventually(lambda: adapter.service.output.count("Booting worker") == 2)
            eventually(lambda: "Worker exiting" in adapter.service.output or door.push(repository, data[:10]) != "")
            connection.sendall(data[400_000:])
            answer = read_answer(connection)
        assert answer is not None
        assert answer.status == 201, answer.body
        assert swr.store.read_blob(repository, digest_of(data)) == data
        assert door.push(repository, data)


class TestConcurrentClients:
    def test_operations_port_serves_no_contract(self, usual_adapter: RunningAdapter, door: Door) -> None:
        probe = Door(usual_adapter.operations, documented=False)
        assert probe.ask("GET", "/probe/healthy", authorization=None).json["status"] == "healthy"
        assert probe.ask("GET", "/probe/ready", authorization=None).json["regions"]
        for target in ("/v2/", "/api/version", "/api/v2.0/projects"):
            assert probe.ask("GET", target).status == 404
        assert probe.ask("GET", "/v2/", headers={"Host": door.url.removeprefix("http://")}).status == 404


def test_memory_stays_flat(start: Start, swr: RunningSandbox, repository: str) -> None:
    """64 MiB up and down add at most 8 MiB."""
    adapter = start()
    door = Door(adapter.contract)
    door.push(repository, bytes(4 << 20))
    before = _peak(adapter)
    data = bytes(64 << 20)
    digest = door.push(repository, data)
    assert door.ask("GET", f"/v2/{repository}/blobs/{digest}").body == data
    assert _peak(adapter) - before <= 8 << 20


def _peak(adapter: RunningAdapter) -> int:
    """Peak memory of the worker in bytes."""
    parent = adapter.service.process.pid
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    (line,) = [line for line in Path(f"/proc/{child}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10
