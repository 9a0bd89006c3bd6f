from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from adapter.state import RedisClient, RedisUnavailable
from adapter.state.redis_client import RETRY_SECONDS
from tests.certificates import Certificate
from tests.credentials import STATE_PASSWORD as PASSWORD
from tests.services import free_ports
from tests.state.server import RedisServer, running_redis


class Clock:
    """Goes on with the real one, and can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def ping(server: Any) -> bool:
    return bool(server.ping())


def nothing(_: Any) -> None:
    raise AssertionError("the server was asked")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_command_goes_through(server: RedisServer) -> None:
    assert RedisClient(server.url).do(ping)


def test_nothing_is_connected_before_the_first_command() -> None:
    (port,) = free_ports(1)
    RedisClient(f"redis://127.0.0.1:{port}")


def test_a_server_that_is_gone_is_asked_once_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    (port,) = free_ports(1)
    link = RedisClient(f"redis://127.0.0.1:{port}")
    with pytest.raises(RedisUnavailable):
        link.do(ping)
    for _ in range(50):
        with pytest.raises(RedisUnavailable):
            link.do(nothing)
    (line,) = warnings(caplog)
    assert f"127.0.0.1:{port} cannot be reached" in line


def test_it_is_tried_again_by_one_and_used_again(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    link = RedisClient(server.url, clock)
    assert link.do(ping)
    server.kill()
    with pytest.raises(RedisUnavailable):
        link.do(ping)
    clock.ahead += RETRY_SECONDS + 1
    with pytest.raises(RedisUnavailable):
        link.do(ping)
    with pytest.raises(RedisUnavailable):
        link.do(nothing)
    server.start()
    with pytest.raises(RedisUnavailable):
        link.do(nothing)
    clock.ahead += RETRY_SECONDS + 1
    assert link.do(ping)
    assert link.do(ping)
    assert len(warnings(caplog)) == 1
    assert "reconnected" in caplog.text


def test_while_one_tries_it_the_others_do_not_wait(server: RedisServer) -> None:
    clock = Clock()
    link = RedisClient(server.url, clock)
    server.kill()
    with pytest.raises(RedisUnavailable):
        link.do(ping)
    clock.ahead += RETRY_SECONDS + 1

    def tries(_: Any) -> None:
        with pytest.raises(RedisUnavailable):
            link.do(nothing)
        raise redis.ConnectionError

    with pytest.raises(RedisUnavailable):
        link.do(tries)


def test_what_was_under_way_when_it_failed_does_not_bring_it_back(server: RedisServer) -> None:
    link = RedisClient(server.url)

    def slow(_: Any) -> str:
        with pytest.raises(RedisUnavailable):
            link.do(_broken)
        return "an answer from before"

    assert link.do(slow) == "an answer from before"
    with pytest.raises(RedisUnavailable):
        link.do(nothing)


def _broken(_: Any) -> None:
    raise redis.ConnectionError


def test_a_restart_between_two_commands_is_not_noticed(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    link = RedisClient(server.url)
    assert link.do(ping)
    server.kill()
    server.start()
    assert link.do(ping)
    assert warnings(caplog) == []


def test_many_warnings_of_a_server_that_comes_and_goes_are_one(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    link = RedisClient(server.url, clock)
    for _ in range(3):
        with pytest.raises(RedisUnavailable):
            link.do(_broken)
        clock.ahead += RETRY_SECONDS + 1
        assert link.do(ping)
    assert len(warnings(caplog)) == 1
    clock.ahead += 60
    with pytest.raises(RedisUnavailable):
        link.do(_broken)
    assert len(warnings(caplog)) == 2


@pytest.mark.timeout(30)
def test_one_that_hangs_is_not_waited_for_long(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    link = RedisClient(server.url)
    assert link.do(ping)
    server.pause()
    try:
        asked: list[bool] = []

        def counted(server: Any) -> bool:
            asked.append(True)
            return ping(server)

        def asks(_: int) -> None:
            with pytest.raises(RedisUnavailable):
                link.do(counted)

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(asks, range(200)))
    finally:
        server.go_on()
    # Those that were at it when the first one gave up.
    assert len(asked) <= 20
    assert len(warnings(caplog)) == 1
    assert "timed out" in caplog.text


def test_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with running_redis(password=PASSWORD) as server:
        assert RedisClient(server.url).do(ping)
        for url in (server.url.replace(PASSWORD, "wrong" + PASSWORD), f"redis://127.0.0.1:{server.port}"):
            with pytest.raises(RedisUnavailable) as caught:
                RedisClient(url).do(ping)
            assert PASSWORD not in repr((caught.value, caught.value.__cause__, caught.value.args))
    assert "rejected the password" in caplog.text
    assert PASSWORD not in caplog.text


def test_over_tls_with_a_ca_of_ones_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certificate = Certificate(tmp_path, ("127.0.0.1",))
    (port,) = free_ports(1)
    files = {"cert": certificate.chain, "key": certificate.key, "ca-cert": certificate.authority}
    options = {f"tls-{name}-file": str(file) for name, file in files.items()}
    options |= {"tls-port": str(port), "tls-auth-clients": "no"}
    with running_redis(password=PASSWORD, options=options):
        url = f"rediss://:{PASSWORD}@127.0.0.1:{port}"
        assert RedisClient(f"{url}?ssl_ca_certs={certificate.authority}").do(ping)
        with pytest.raises(RedisUnavailable):
            RedisClient(url).do(ping)
        with pytest.raises(RedisUnavailable):
            RedisClient(f"{url.replace('127.0.0.1', 'localhost')}?ssl_ca_certs={certificate.authority}").do(ping)
    assert PASSWORD not in caplog.text


def test_a_refused_command_is_no_answer(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    link = RedisClient(server.url)
    with pytest.raises(RedisUnavailable):
        link.do(lambda connected: connected.execute_command("NONSENSE", "quoted"))
    assert "rejected a command" in caplog.text
    assert "quoted" not in caplog.text


def test_a_defect_of_ours_is_not_hidden(server: RedisServer) -> None:
    with pytest.raises(AssertionError):
        RedisClient(server.url).do(nothing)
