"""The process: its log, its secrets, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.conftest import Start
from tests.contract.http import Door, asked, digest_of, eventually, pieces, read_answer, under_way, with_query
from tests.credentials import ACCESS_ID, LOGIN_KEY, WRONG_SECRET, basic, canaries
from tests.running import RunningAdapter, RunningSandbox

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(usual_adapter: RunningAdapter) -> Lines:
    """The log lines of requests since the test began."""
    before = len(usual_adapter.service.output)

    def read() -> list[dict[str, Any]]:
        added = usual_adapter.service.output[before:]
        entries = [json.loads(line) for line in added.splitlines()]
        return [entry for entry in entries if entry["message"] == "request" and entry["door"] == "contract"]

    return read


class TestLog:
    def test_one_line_a_request(self, door: Door, swr: RunningSandbox, repository: str, lines: Lines) -> None:
        data = b"a layer"
        location = door.ask("POST", f"/v2/{repository}/blobs/uploads/", b"", {"X-Request-Id": "first-1"}).header(
            "Location"
        )
        door.ask("PUT", with_query(location, digest=digest_of(data)), data, {"X-Request-Id": "second-2"})
        door.ask("GET", f"/v2/{repository}/blobs/{digest_of(data)}", headers={"X-Request-Id": "third-3"})
        # A line is written when the client has its answer already.
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

    def test_what_came_of_a_body_is_counted(self, door: Door, repository: str, lines: Lines) -> None:
        """In chunks too, and of one that broke off, whatever was announced."""
        data = os.urandom(300_000)
        location = door.ask("PATCH", door.start(repository), pieces(data, 7000)).header("Location")
        with door.open() as connection:
            connection.sendall(
                door.head("PATCH", location, "Content-Length: 900000", "X-Request-Id: cut") + data[:1000]
            )
        eventually(lambda: len(lines()) == 3)
        assert [line["received"] for line in lines()][1:] == [len(data), 1000]

    def test_the_sealed_part_is_left_out(self, door: Door, repository: str, lines: Lines) -> None:
        location = door.start(repository)
        sealed = location.rpartition("/")[2]
        for target in (
            location,
            location + "x",
            location + "/more",
            location.replace("uploads/", "uploads//"),
            location.replace("uploads/", "uploads/%20"),
            location.replace("/blobs/", "/blobs//"),
            f"/x{location}",
            f"/v2/{repository}/manifests/{sealed}",
        ):
            door.ask("PATCH", target, b"x")
        eventually(lambda: len(lines()) == 9)
        told = [entry["path"] for entry in lines() if sealed[:40] in json.dumps(entry)]
        assert told in ([], [f"/v2/{repository}/manifests/{sealed}"])

    def test_swrs_request_ids_are_there(self, door: Door, swr: RunningSandbox, repository: str, lines: Lines) -> None:
        swr.faults({"path": "/manifests/", "status": 404, "headers": {"X-Request-Id": "swr-77"}, "times": 0})
        answer = door.ask("GET", f"/v2/{repository}/manifests/v1")
        assert answer.error["detail"]["swr_request_id"] == "swr-77"
        eventually(lambda: len(lines()) == 1)
        assert "swr-77" in lines()[0]["swr_request_ids"]

    def test_a_line_stays_one_line(self, door: Door, lines: Lines) -> None:
        """What a client writes into its path or headers cannot make up a line of the log."""
        made_up = '%0a{"message":"request","door":"contract"}%0d%0a%1b[31m%E2%80%A8'
        door.ask("GET", f"/v2/team/{made_up}/manifests/v1")
        door.ask("GET", f"/v2/team/app/manifests/{made_up}")
        eventually(lambda: len(lines()) >= 2)
        assert len(lines()) == 2
        assert not any(letter in entry["path"] for entry in lines() for letter in "\n\r\x1b\u2028")


class TestSecrets:
    def test_none_is_printed(self, start: Start, swr: RunningSandbox, repository: str, number: int) -> None:
        """At the most talkative level, with everything that can go wrong."""
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

    def test_none_is_answered(self, door: Door, number: int) -> None:
        for authorization in (basic(secret=f"{WRONG_SECRET}{number}"), basic(LOGIN_KEY), basic(ACCESS_ID, " ")):
            for target in ("/v2/", "/api/version", "/api/v2.0/labels", "/v2/team/app/manifests/v1"):
                body = door.ask("GET", target, authorization=authorization).body.decode()
                assert not [secret for secret in canaries() if secret in body]


def refuses(address: tuple[str, int]) -> bool:
    """Whether a new connection is refused, and not only left waiting."""
    try:
        socket.create_connection(address, 5).close()
    except ConnectionRefusedError:
        return True
    return False


class TestEnd:
    def test_sigterm_when_idle(self, start: Start) -> None:
        adapter = start()
        door = Door(adapter.contract)
        kept = door.connect()
        kept.request("GET", "/api/version")
        kept.getresponse().read()
        assert adapter.service.stop(15) == 0
        kept.close()

    def test_an_upload_that_runs_is_finished(self, start: Start, swr: RunningSandbox, repository: str) -> None:
        adapter = start(grace_period=20)
        door = Door(adapter.contract)
        data = os.urandom(600_000)
        with under_way(door, swr, repository, data, 400_000) as connection:
            adapter.service.process.send_signal(signal.SIGTERM)
            eventually(lambda: refuses(door.address))
            eventually(lambda: refuses(Door(adapter.provider).address))
            assert Door(adapter.operations).ask("GET", "/probe/healthy").status == 200
            for piece in pieces(data[400_000:], 20_000):
                time.sleep(0.15)  # altogether longer than the time that gunicorn gives by itself to idle connections
                connection.sendall(piece)
            answer = read_answer(connection)
        assert answer is not None
        assert answer.status == 201, answer.body
        assert adapter.service.stop(20) == 0
        assert swr.store.read_blob(repository, digest_of(data)) == data

    def test_an_upload_that_does_not_end_is_cut_after_the_grace_time(
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

    def test_a_new_worker_takes_over_while_an_upload_runs(
        self, start: Start, swr: RunningSandbox, repository: str
    ) -> None:
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


class TestTogether:
    def test_silent_clients_do_not_keep_others_from_being_heard(
        self, usual_adapter: RunningAdapter, door: Door
    ) -> None:
        """More connections than threads that say nothing, or half a request line, for a while."""
        silent = [door.open() for _ in range(40)]
        try:
            for connection in silent[:20]:
                connection.sendall(b"GET /api/ver")
            results: list[int] = []
            probe = Door(usual_adapter.operations)
            threads = [
                threading.Thread(target=lambda: results.append(each.ask("GET", path, timeout=15).status))  # noqa: B023
                for each, path in ((door, "/api/version"), (probe, "/probe/healthy"))
            ]
            for thread in threads:
                thread.start()
                thread.join(16)
            assert results == [200, 200]
        finally:
            for connection in silent:
                connection.close()

    def test_clients_that_do_not_hang_up_do_not_either(self, usual_adapter: RunningAdapter, door: Door) -> None:
        """They asked for the end of the connection, got it announced, and leave their side open."""
        lingering = [door.open() for _ in range(8)]
        try:
            for connection in lingering:
                connection.sendall(door.head("GET", "/api/version", "Connection: close"))
            assert lingering[0].recv(100).startswith(b"HTTP/1.1 200")
            for _ in range(4):
                time.sleep(0.1)  # so that the server has come to close them
                assert Door(usual_adapter.operations).ask("GET", "/probe/healthy", timeout=1.5).status == 200
        finally:
            for connection in lingering:
                connection.close()

    def test_the_operations_door_is_another(self, usual_adapter: RunningAdapter, door: Door) -> None:
        probe = Door(usual_adapter.operations, documented=False)
        assert probe.ask("GET", "/probe/healthy", authorization=None).json["status"] == "healthy"
        assert probe.ask("GET", "/probe/ready", authorization=None).json["regions"]
        for target in ("/v2/", "/api/version", "/api/v2.0/projects"):
            assert probe.ask("GET", target).status == 404
        assert probe.ask("GET", "/v2/", headers={"Host": door.url.removeprefix("http://")}).status == 404


def test_memory_stays_flat(start: Start, swr: RunningSandbox, repository: str) -> None:
    """64 MiB up and down: no more than 8 MiB stay."""
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
    (child,) = [int(part) for part in _read(f"/proc/{parent}/task/{parent}/children").split()]
    (line,) = [line for line in _read(f"/proc/{child}/status").splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


def _read(path: str) -> str:
    with open(path) as file:  # noqa: PTH123
        return file.read()
