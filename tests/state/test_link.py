from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from adapter.state import RedisClient, RedisUnavailable
from adapter.state.redis_client import RETRY_SECONDS
from tests.certificates import Certificate
from tests.clock import Clock
from tests.credentials import STATE_PASSWORD as PASSWORD
from tests.services import free_ports
from tests.state.server import RedisServer, running_redis


def ping(server: Any) -> bool:
    return bool(server.ping())


def unexpected(_: Any) -> None:
    raise AssertionError("the command was run")


def fail(_: Any) -> None:
    raise redis.ConnectionError


def fails(link: RedisClient, command: Callable[[Any], object] = ping) -> None:
    with pytest.raises(RedisUnavailable):
        link.do(command)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_unreachable_server_is_tried_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    (port,) = free_ports(1)
    link = RedisClient(f"redis://127.0.0.1:{port}")
    assert warnings(caplog) == []
    fails(link)
    for _ in range(50):
        fails(link, unexpected)
    (line,) = warnings(caplog)
    assert f"127.0.0.1:{port} cannot be reached" in line


def test_a_lost_server_is_tried_again_by_one_caller(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock(time.monotonic())
    link = RedisClient(server.url, clock)
    assert link.do(ping)
    # A restart between two commands is not noticed.
    server.kill()
    server.start()
    assert link.do(ping)
    assert warnings(caplog) == []
    server.kill()
    fails(link)
    clock.now += RETRY_SECONDS + 1

    def attempt(_: Any) -> None:
        fails(link, unexpected)
        raise redis.ConnectionError

    fails(link, attempt)
    server.start()
    fails(link, unexpected)
    clock.now += RETRY_SECONDS + 1
    assert link.do(ping)
    assert link.do(ping)
    assert len(warnings(caplog)) == 1
    assert "reconnected" in caplog.text
    # One warning a minute.
    for seconds, count in ((RETRY_SECONDS + 1, 1), (60, 2)):
        clock.now += seconds
        fails(link, fail)
        assert len(warnings(caplog)) == count
        clock.now += RETRY_SECONDS + 1
        assert link.do(ping)
    with pytest.raises(AssertionError):
        link.do(unexpected)


def test_a_command_from_before_a_failure_does_not_reconnect(server: RedisServer) -> None:
    link = RedisClient(server.url)

    def slow(_: Any) -> str:
        fails(link, fail)
        return "a reply from before"

    assert link.do(slow) == "a reply from before"
    fails(link, unexpected)


def test_a_rejected_command_is_logged_without_its_arguments(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    fails(RedisClient(server.url), lambda connected: connected.execute_command("NONSENSE", "quoted"))
    assert "rejected a command" in caplog.text
    assert "quoted" not in caplog.text


@pytest.mark.timeout(30)
def test_a_server_that_hangs_times_out_once(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    link = RedisClient(server.url)
    assert link.do(ping)
    server.pause()
    attempts: list[bool] = []

    def counted(server: Any) -> bool:
        attempts.append(True)
        return ping(server)

    try:
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda _: fails(link, counted), range(200)))
    finally:
        server.go_on()
    # Those that had begun when the first one timed out.
    assert len(attempts) <= 20
    assert len(warnings(caplog)) == 1
    assert "timed out" in caplog.text


def test_a_password_is_used_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with running_redis(password=PASSWORD) as server:
        assert RedisClient(server.url).do(ping)
        for url in (server.url.replace(PASSWORD, "wrong" + PASSWORD), f"redis://127.0.0.1:{server.port}"):
            with pytest.raises(RedisUnavailable) as caught:
                RedisClient(url).do(ping)
            assert PASSWORD not in repr((caught.value, caught.value.__cause__, caught.value.args))
    assert "rejected the password" in caplog.text
    assert PASSWORD not in caplog.text


def test_tls_with_a_private_authority_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certificate = Certificate(tmp_path, ("127.0.0.1",))
    (port,) = free_ports(1)
    files = {"cert": certificate.chain, "key": certificate.key, "ca-cert": certificate.authority}
    options = {f"tls-{name}-file": str(file) for name, file in files.items()}
    options |= {"tls-port": str(port), "tls-auth-clients": "no"}
    with running_redis(password=PASSWORD, options=options):
        url = f"rediss://:{PASSWORD}@127.0.0.1:{port}"
        assert RedisClient(f"{url}?ssl_ca_certs={certificate.authority}").do(ping)
        for wrong in (url, f"{url.replace('127.0.0.1', 'localhost')}?ssl_ca_certs={certificate.authority}"):
            fails(RedisClient(wrong))
    assert PASSWORD not in caplog.text
